# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo behind the scene: camera background, picture shape, field of view, EXIF."""

from __future__ import annotations

import hashlib
import math
import mmap
import struct
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import bpy

from . import camera as cameras
from . import compat, editors, frames, paths

DEFAULT_FOV_DEG = 50.0
_ORIENTATION, _FOCAL_35MM, _EXIF_IFD = 0x0112, 0xA405, 0x8769
_TURNED = {5, 6, 7, 8}
#: Of which file an image is, where it was turned upright, lost its layers or is one picture of several, and thus is not
#: linked to it any more.
FILE = "limelight_file"
#: What that file held then, or when :func:`load_once` last looked, as a hash: it may be written over.
CONTENT = "limelight_file_content"


def set_plate(scene: bpy.types.Scene, filepath: str, fov_deg: float | None = None) -> bpy.types.Object:
    """Make a photo the background of the scene's camera, with its shape and field of view; returns the camera.

    It takes the place of an earlier photo. A camera is added at standing height if there is none. One that somebody
    fitted to a shot keeps its lens where neither ``fov_deg`` nor the file tells another. A photo that its EXIF says is
    turned is stored upright. Raises ``RuntimeError`` if Blender cannot read the file, ``ValueError`` if the
    camera cannot be changed in this file.
    """
    _refuse_linked(scene)
    image, focal_35mm = load_photo(filepath)
    if fov_deg is None and (focal_35mm or not _is_fitted(scene.camera)):
        fov_deg = likely_fov(image, focal_35mm)
    camera = use_image(scene, image, fov_deg)
    image.name = Path(filepath).name
    return camera


def _is_fitted(camera: bpy.types.Object | None) -> bool:
    """Whether somebody fitted a camera to a shot: it moves, it is solved, or a picture or clip is behind it that is no
    scene's photo."""
    if camera is None or camera.type != "CAMERA":
        return False
    photos = {scene.limelight.plate for scene in bpy.data.scenes}
    behind = (b.clip if b.source == "MOVIE_CLIP" else b.image for b in camera.data.background_images)
    moves = any(thing.animation_data is not None for thing in (camera, camera.data)) or len(camera.constraints) > 0
    return moves or any(thing is not None and thing not in photos for thing in behind)


def load_photo(filepath: str) -> tuple[bpy.types.Image, float | None]:
    """A photo's file as a new image, upright as its EXIF says, and its 35-mm focal length in millimetres, if known.

    Of a file with layers it is the first one's finished picture. Raises ``RuntimeError`` if Blender cannot read it.
    """
    orientation, focal_35mm = read_exif(Path(filepath))
    image = bpy.data.images.load(filepath, check_existing=False)
    if min(image.size) < 1 and image.type == "MULTILAYER":
        return flat(image, filepath), focal_35mm
    if min(image.size) < 1:
        bpy.data.images.remove(image)
        raise RuntimeError("it is damaged or of a kind that Blender does not read; save it as PNG or JPEG")
    if orientation != 1:
        image = _upright(image, orientation)
        image[FILE], image[CONTENT] = filepath, _content(filepath)
    elif (kept := paths.kept(filepath)) != filepath:
        # Blender reads the file again.
        image.filepath = kept
    return image, focal_35mm


def load_once(filepath: str) -> bpy.types.Image:
    """A picture's file as an upright image, the same one at every call as long as the file is the same.

    Raises ``RuntimeError`` if Blender cannot read it.
    """
    content, (orientation, _focal) = _content(filepath), read_exif(Path(filepath))
    image = next((i for i in bpy.data.images if _shows(i, filepath, orientation, content)), None)
    if image is None:
        image, _focal = load_photo(filepath)
        image.name = Path(filepath).name
    elif image.packed_file is None and image.get(CONTENT) != content:
        image.reload()
        if CONTENT in image:
            # They were found in the earlier picture.
            image.limelight.faces.clear()
    image[CONTENT] = content
    return image


def _content(filepath: str) -> str:
    with open(filepath, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shows(image: bpy.types.Image, filepath: str, orientation: int, content: str) -> bool:
    """Whether an image is the picture of a file that holds this now, or would be once it is read again."""
    if bool(image.library) or image.is_dirty:
        return False
    if image.get(FILE) == filepath:
        return bool(image.get(CONTENT) == content)
    # What Blender itself loaded lies as the file does, and shows its layers.
    same = bool(image.filepath) and Path(bpy.path.abspath(image.filepath)) == Path(filepath)
    plain = image.source == "FILE" and image.type != "MULTILAYER"
    packed: Any = image.packed_file
    kept = packed is None or hashlib.sha256(packed.data).hexdigest() == content
    return same and orientation == 1 and plain and kept


def likely_fov(image: bpy.types.Image, focal_35mm: float | None) -> float:
    """Horizontal field of view in degrees of a photo with this 35-mm focal length, or of a usual lens."""
    width, height = image.size
    if not focal_35mm:
        return DEFAULT_FOV_DEG
    return 2 * math.degrees(math.atan(36 / 2 / focal_35mm * width / max(width, height)))


def fov_of_file(image: bpy.types.Image) -> float | None:
    """Horizontal field of view in degrees of an image as its file tells it; None where it does not."""
    path = image.get(FILE) or image.filepath
    focal_35mm = read_exif(Path(bpy.path.abspath(path, library=image.library)))[1] if path else None
    return likely_fov(image, focal_35mm) if focal_35mm else None


def use_image(scene: bpy.types.Scene, image: bpy.types.Image, fov_deg: float | None = None) -> bpy.types.Object:
    """Make an image of this file the background of the scene's camera, with its shape; returns the camera.

    It is a copy where another scene looks through the same one at another photo. ``fov_deg`` None keeps field of view
    and shift of the camera. Raises ``ValueError`` as :func:`set_plate` does.
    """
    _refuse_linked(scene)
    camera = scene.camera
    if camera is None or camera.type != "CAMERA":
        camera = _new_camera(scene)
    elif photos := _photos_of_others(scene, camera.data) - {image}:
        camera = _own_camera(scene, camera, photos)
    if fov_deg is not None:
        camera.data.sensor_fit = "HORIZONTAL"
        camera.data.shift_x = camera.data.shift_y = 0.0
        camera.data.angle_x = math.radians(fov_deg)
    _replace(scene, image)
    _show_behind(camera.data, image)
    for node in compat.compositor_nodes(scene):
        if node.type == "IMAGE" and node.image == image:
            frames.count(scene, image, node)
    render = scene.render
    render.resolution_x, render.resolution_y = image.size
    render.resolution_percentage = 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    if not render.film_transparent:
        render.film_transparent = scene.limelight.cleared_film = True
    scene.limelight.source = "PLATE"
    return camera


def hand_on(scene: bpy.types.Scene, before: bpy.types.Object | None) -> None:
    """Let the scene's camera, which was just added, see the photo: as the one ``before`` it did, if that did."""
    camera, photo = scene.camera, scene.limelight.plate
    assert camera is not None and photo is not None
    known = before is not None and before.type == "CAMERA" and photo in [b.image for b in before.data.background_images]
    if known:
        # With how the frames of a photo that moves are counted.
        made, camera.data = camera.data, before.data.copy()  # type: ignore[union-attr]
        camera.data.type = "PERSP"
        bpy.data.cameras.remove(made)
    else:
        use_image(scene, photo, fov_of_file(photo) or DEFAULT_FOV_DEG)


def exchange(scene: bpy.types.Scene, image: bpy.types.Image) -> None:
    """Show another picture of the same shape wherever the scene's photo is; all settings stay as they are."""
    from . import depth_mesh

    old = scene.limelight.plate
    for data in bpy.data.cameras:
        for background in data.background_images:
            if background.image == old:
                background.image = image
    if (mesh := depth_mesh.find(scene)) is not None:
        for material in filter(None, mesh.data.materials):
            for node in compat.node_tree(material).nodes:
                if node.type == "TEX_IMAGE" and node.image == old:
                    node.image = image
    _replace(scene, image)


def _refuse_linked(scene: bpy.types.Scene) -> None:
    linked = scene.camera
    if linked is not None and linked.type == "CAMERA" and (linked.library or linked.data.library):
        raise ValueError(
            f"the camera “{linked.name}” belongs to another file; choose one of this file, or "
            "make it local with Object > Relations > Make Local"
        )


def clear_plate(scene: bpy.types.Scene) -> None:
    """Take the photo away from camera and settings; the camera itself stays, and what composites still show it.

    The film is as it was before the photo, unless one of those needs it.
    """
    settings = scene.limelight
    composited = any(node.type == "IMAGE" and node.image == settings.plate for node in compat.compositor_nodes(scene))
    _replace(scene, None)
    settings.source = "SCENE"
    if settings.cleared_film and not composited:
        scene.render.film_transparent = False
    settings.cleared_film = False


def _replace(scene: bpy.types.Scene, image: bpy.types.Image | None) -> None:
    """Make an image the scene's plate and take the earlier one away from wherever Limelight had put it.

    The earlier one is removed from the file too, unless something of the artist's or another scene still shows it.
    """
    old, scene.limelight.plate = scene.limelight.plate, image
    if old is None:
        return
    shared = any(other.limelight.plate == old for other in bpy.data.scenes)
    # The scene may have had another camera when the old photo was set.
    for data in bpy.data.cameras:
        if shared and (scene.camera is None or data != scene.camera.data or old in _photos_of_others(scene, data)):
            continue
        for background in [b for b in data.background_images if b.image == old]:
            # Removing a background alone does not count its image's user down.
            background.image = None
            data.background_images.remove(background)
    for node in compat.compositor_nodes(scene):
        if node.type == "IMAGE" and node.image == old and image is not None:
            node.image = image
    for editor in editors.of_images():
        if editor.image == old and not shared:
            editor.image = image
    if not old.users:
        bpy.data.images.remove(old)


def _new_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    camera = cameras.add(scene)
    camera.location, camera.rotation_euler = (0.0, 0.0, 1.5 / cameras.metres(scene)), (math.radians(90), 0.0, 0.0)
    bpy.context.view_layer.update()
    return camera


def _photos_of_others(scene: bpy.types.Scene, data: bpy.types.Camera) -> set[bpy.types.Image]:
    """The photos that other scenes have behind a camera."""
    others = [o for o in bpy.data.scenes if o != scene and o.camera is not None and o.camera.data == data]
    return {other.limelight.plate for other in others if other.limelight.plate is not None}


def _own_camera(scene: bpy.types.Scene, camera: bpy.types.Object, photos: set[bpy.types.Image]) -> bpy.types.Object:
    """A camera of the scene alone, like one that it shares, without photos of other scenes."""
    if any(other.camera == camera for other in bpy.data.scenes if other != scene):
        cuts = [marker for marker in scene.timeline_markers if marker.camera == camera]
        camera = camera.copy()
        scene.collection.objects.link(camera)
        scene.camera = camera
        for marker in cuts:
            marker.camera = camera
    camera.data = camera.data.copy()
    for background in [b for b in camera.data.background_images if b.image in photos]:
        background.image = None
        camera.data.background_images.remove(background)
    bpy.context.view_layer.update()
    return camera


def _show_behind(data: bpy.types.Camera, image: bpy.types.Image) -> None:
    # Another scene may show it behind the same camera.
    background = next((b for b in data.background_images if b.image == image), None) or data.background_images.new()
    background.image, background.alpha, background.display_depth = image, 1.0, "BACK"
    background.frame_method = "STRETCH"
    if image.source == "MOVIE":
        background.image_user.frame_start, background.image_user.frame_duration = 1, image.frame_duration
    data.show_background_images = True


def flat(layered: bpy.types.Image, filepath: str) -> bpy.types.Image:
    """A packed image in place of one that has layers."""
    from . import stills

    try:
        with tempfile.TemporaryDirectory(prefix="limelight-") as folder:
            image = stills.take(bpy.context.scene, layered, Path(folder))
    except (OSError, ValueError) as error:
        raise RuntimeError(f"its layers cannot be read ({error}); save it as a plain EXR or PNG") from error
    finally:
        bpy.data.images.remove(layered)
    image[FILE], image[CONTENT] = filepath, _content(filepath)
    return image


def _upright(image: bpy.types.Image, orientation: int) -> bpy.types.Image:
    """A packed copy of the image with its pixels turned as the EXIF orientation (2–8) asks."""
    import numpy as np

    from . import pixels

    # Blender's rows go up; the tag speaks of rows that go down.
    grid = turn(pixels.of(image)[::-1], orientation)[::-1]
    name, space, deep = image.name, image.colorspace_settings.name, image.is_float
    bpy.data.images.remove(image)
    turned = bpy.data.images.new(name, grid.shape[1], grid.shape[0], alpha=True, float_buffer=deep)
    # What is stored deeper than 8 bits has been made linear on reading.
    turned.colorspace_settings.name = compat.LINEAR if deep else space
    turned.pixels.foreach_set(np.ascontiguousarray(grid).ravel())
    turned.pack()
    return turned


def turn(grid, orientation: int):
    """Rows-down pixels (H, W, C) made upright by EXIF orientation 1–8."""
    if orientation in _TURNED:
        grid = grid.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        grid = grid[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        grid = grid[::-1]
    return grid


def read_exif(path: Path) -> tuple[int, float | None]:
    """Orientation (1–8, 1 = upright) and 35-mm focal length in millimetres of a JPEG, TIFF, PNG or WebP; 1 and None
    otherwise."""
    try:
        with path.open("rb") as file:
            data = _exif(file)
        return _parse_tiff(data) if data else (1, None)
    except (OSError, struct.error, IndexError):
        return 1, None


def _exif(file: BinaryIO) -> bytes | mmap.mmap:
    """The EXIF data of a picture's file, from its TIFF header on; empty where there is none."""
    head = file.read(256 * 1024)
    if head[:4] in {b"II*\0", b"MM\0*"}:
        # Most TIFFs have it behind their pixels.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if head[:2] == b"\xff\xd8":
        return head.partition(b"Exif\0\0")[2]
    if head[:4] == b"\x89PNG":
        return _chunk(file, b"eXIf", png=True)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _chunk(file, b"EXIF", png=False).removeprefix(b"Exif\0\0")
    return b""


def _chunk(file: BinaryIO, wanted: bytes, *, png: bool) -> bytes:
    """The data of the first chunk of that name in a PNG, else in a WebP; empty if there is none."""
    file.seek(8 if png else 12)
    while len(start := file.read(8)) == 8:
        if png:
            length, name = struct.unpack(">I4s", start)
            behind = 4
        else:
            name, length = struct.unpack("<4sI", start)
            # Chunks begin at even places.
            behind = length % 2
        if name == wanted:
            return file.read(length)
        file.seek(length + behind, 1)
    return b""


def _parse_tiff(data: bytes | mmap.mmap) -> tuple[int, float | None]:
    order = "<" if data[:2] == b"II" else ">"

    def entries(offset: int) -> dict[int, int]:
        (count,) = struct.unpack_from(order + "H", data, offset)
        found = {}
        for i in range(min(count, 512)):
            tag, kind = struct.unpack_from(order + "HH", data, offset + 2 + 12 * i)
            code = "H" if kind == 3 else "I"
            (found[tag],) = struct.unpack_from(order + code, data, offset + 2 + 12 * i + 8)
        return found

    (first,) = struct.unpack_from(order + "I", data, 4)
    main = entries(first)
    detail = entries(main[_EXIF_IFD]) if _EXIF_IFD in main else {}
    orientation = main.get(_ORIENTATION, 1)
    focal = detail.get(_FOCAL_35MM)
    return (orientation if 1 <= orientation <= 8 else 1), (float(focal) if focal else None)
