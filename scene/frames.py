# SPDX-License-Identifier: GPL-3.0-or-later
"""The plate as a still: of an image sequence or a movie, the frame that the scene's current frame shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import bpy

from . import compat, paths, renderer


class NoFrame(ValueError):
    """The plate has no picture at the scene's current frame; at frame ``nearest`` it has one (None: nowhere)."""

    def __init__(self, text: str, nearest: int | None) -> None:
        super().__init__(text)
        self.nearest = nearest


def is_animated(image: bpy.types.Image) -> bool:
    """Whether an image shows another picture at another frame."""
    return image.source in {"SEQUENCE", "MOVIE"}


def check(scene: bpy.types.Scene, frame: int | None = None) -> None:
    """Raise :class:`NoFrame` if the plate shows nothing at a frame, None: the scene's current one."""
    image = scene.limelight.plate
    if image is None:
        return
    if is_animated(image):
        _number(scene, image, at=frame)
    elif image.source == "FILE" and image.packed_file is None and not image.has_data:
        path = paths.of_image(image)
        if not path.is_file():
            raise NoFrame(f"The photo's file is gone: {path}", None)


def numbered(path: str, frame: int) -> Path:
    """A path of a Blender setting on this computer; of a name with #### the file of a frame."""
    whole = paths.of_setting(path)
    name = re.sub("#+", lambda found: f"{frame:0{len(found[0])}d}", whole.name)
    # Where none was chosen yet there is no name.
    return whole.with_name(name) if name else whole


def source(scene: bpy.types.Scene) -> Path | None:
    """The file that the plate shows at the current frame, where its pixels are in a file; :class:`NoFrame` if none."""
    image = scene.limelight.plate
    if image is None or image.packed_file is not None or image.source not in {"FILE", "MOVIE", "SEQUENCE"}:
        return None
    if image.source == "SEQUENCE":
        return _path(image, _number(scene, image))
    return paths.of_image(image) if image.filepath_raw else None


def size(scene: bpy.types.Scene) -> tuple[int, int]:
    """Width and height in pixels of the plate at the current frame; raises as :func:`save_still`."""
    image = scene.limelight.plate
    if image.source != "SEQUENCE":
        return image.size[0], image.size[1]
    # Blender knows the size of a sequence only once it drew it.
    still = _sequence_file(scene, image, None)
    try:
        return still.size[0], still.size[1]
    finally:
        bpy.data.images.remove(still)


def save_still(
    scene: bpy.types.Scene,
    folder: Path,
    image: bpy.types.Image | None = None,
    counted: bpy.types.ImageUser | None = None,
) -> tuple[Path, tuple[int, int]]:
    """Write an image (None: the plate) as it shows at the current frame: path, and (width, height) in pixels.

    ``counted`` says how its frames are counted; None: as the camera's background counts them.
    Floating-point pictures, 16-bit ones among them, become a linear EXR, others a PNG. Raises :class:`NoFrame`, and
    ``ValueError`` if the picture cannot be read any more.
    """
    image = image or scene.limelight.plate
    if image.source == "MOVIE":
        path = folder / "plate.png"
        _render_movie_frame(scene, image, _number(scene, image, counted), path)
        return path, tuple(image.size)
    # Only a panel's look at the frames comes up without numpy.
    from . import relight

    if image.source != "SEQUENCE":
        return relight.save_picture(image, folder, "plate"), (image.size[0], image.size[1])
    still = _sequence_file(scene, image, counted)
    try:
        return relight.save_picture(still, folder, "plate"), (still.size[0], still.size[1])
    finally:
        bpy.data.images.remove(still)


def shows_file(image: bpy.types.Image) -> bool:
    """Whether an image is what the engine would read from its file: not painted on since, nor its 8 bits linear."""
    return not image.is_dirty and image.colorspace_settings.name != compat.LINEAR


def user(scene: bpy.types.Scene, image: bpy.types.Image) -> bpy.types.ImageUser | None:
    """How the camera's background counts the frames of the plate; None if the artist has not set that.

    Where the scene went on to a camera without the plate, as by a cut or with a tracked one, another's background does.
    """
    others = (thing for thing in scene.objects if thing.type == "CAMERA")
    for camera in (scene.camera, *others):
        backgrounds = camera.data.background_images if camera is not None and camera.type == "CAMERA" else []
        for background in backgrounds:
            if background.image == image:
                return background.image_user if background.image_user.frame_duration > 0 else None
    return None


def count(scene: bpy.types.Scene, image: bpy.types.Image, node: Any) -> None:
    """Let a compositor's image node show the plate's pictures at the frames at which the engine sees them."""
    if not is_animated(image):
        return
    counted = user(scene, image)
    for name in ("frame_start", "frame_duration", "frame_offset", "use_cyclic"):
        if counted is not None:
            setattr(node, name, getattr(counted, name))
    if counted is None:
        last = image.frame_duration if image.source == "MOVIE" else max(_all_numbers(image), default=1)
        node.frame_start, node.frame_duration, node.frame_offset, node.use_cyclic = 1, max(last, 1), 0, False
    node.use_auto_refresh = True


def hold(scene: bpy.types.Scene, image: bpy.types.Image, node: Any, frame: int) -> None:
    """Let a texture node show, at all frames, the picture that the plate shows at one; raises :class:`NoFrame`."""
    if not is_animated(image):
        return
    user = node.image_user
    user.frame_start, user.frame_duration, user.frame_offset = frame, 1, _number(scene, image, at=frame) - 1
    # Otherwise Blender asks for the picture before that at earlier frames.
    user.use_cyclic = True


def _number(
    scene: bpy.types.Scene,
    image: bpy.types.Image,
    counted: bpy.types.ImageUser | None = None,
    at: int | None = None,
) -> int:
    """The movie's frame, counted from 1, or the number in the sequence's file name, at the scene's current frame."""
    frame, first, offset, shown = scene.frame_current if at is None else at, 1, 0, None
    counted = counted or user(scene, image)
    if counted is not None:
        first, offset, length = counted.frame_start, counted.frame_offset, counted.frame_duration
        shown = range(first, first + length)
        if counted.use_cyclic:
            frame = (frame - first) % length + first
        elif frame not in shown:
            raise NoFrame(
                f"“{image.name}” is shown at the frames {first} to {shown[-1]}, not at {frame}",
                min(max(frame, first), shown[-1]),
            )
    number = frame - first + 1 + offset
    there = range(1, image.frame_duration + 1) if image.source == "MOVIE" else _numbers(image, number)
    if number not in there:
        if not there:
            raise NoFrame(f"“{image.name}” has no frame {number}: none of its files is there", None)
        low, high = min(there), max(there)
        gone = f"its file “{_path(image, number).name}” is not there"
        lacks = gone if low < number < high else f"it has {low} to {high}"
        at_frames = (other - offset - 1 + first for other in there)
        nearest = min((f for f in at_frames if shown is None or f in shown), key=lambda f: abs(f - frame), default=None)
        raise NoFrame(f"“{image.name}” has no frame {number}, {lacks}", nearest)
    return number


def _split(image: bpy.types.Image) -> tuple[Path, str, str, str]:
    """Folder, what stands before the number, the number, what stands after it, as Blender reads a sequence's path."""
    path = paths.of_image(image)
    found = re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem)
    head, digits, tail = found.groups() if found else (path.stem, "", "")
    return path.parent, head, digits, tail + path.suffix


def _path(image: bpy.types.Image, number: int) -> Path:
    folder, head, digits, tail = _split(image)
    return folder / (f"{head}{number:0{len(digits)}}{tail}" if digits else f"{head}{tail}")


def _numbers(image: bpy.types.Image, wanted: int) -> list[int]:
    """The numbers of a sequence's files; only ``wanted`` if it is there, because a folder may be large and far away."""
    return [wanted] if _path(image, wanted).is_file() else _all_numbers(image)


def _all_numbers(image: bpy.types.Image) -> list[int]:
    folder, head, _digits, tail = _split(image)
    pattern = re.compile(re.escape(head) + r"(\d+)" + re.escape(tail))
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(found[1]) for name in names if (found := pattern.fullmatch(name)))


def _sequence_file(
    scene: bpy.types.Scene, image: bpy.types.Image, counted: bpy.types.ImageUser | None
) -> bpy.types.Image:
    path = _path(image, _number(scene, image, counted))
    try:
        still = bpy.data.images.load(str(path), check_existing=False)
        if min(still.size) < 1 and still.type == "MULTILAYER":
            from . import plate

            return plate.flat(still, str(path))
    except RuntimeError as error:
        raise ValueError(f"“{path.name}” of the photo's sequence cannot be read: {error}") from error
    still.colorspace_settings.name = image.colorspace_settings.name
    still.alpha_mode = image.alpha_mode
    return still


def _render_movie_frame(scene: bpy.types.Scene, image: bpy.types.Image, number: int, path: Path) -> None:
    """Blender gives no script a movie's pixels: a sequencer of its own renders the frame."""
    stage = bpy.data.scenes.new("Limelight movie frame")
    try:
        # Rendering takes over the current frame of the artist's scene, so the strip is moved instead.
        stage.frame_set(scene.frame_current)
        start = scene.frame_current - number + 1
        strips = compat.strips(stage.sequence_editor_create())
        strip = strips.new_movie("plate", str(paths.of_image(image)), channel=1, frame_start=start)
        strip.colorspace_settings.name = image.colorspace_settings.name
        render = stage.render
        # At any other rate the strip would be stretched in time.
        render.fps = max(1, round(strip.fps))
        render.fps_base = render.fps / strip.fps if strip.fps > 0 else 1.0
        render.resolution_x, render.resolution_y, render.resolution_percentage = *image.size, 100
        render.use_sequencer, render.use_compositing, render.dither_intensity = True, False, 0.0
        stage.view_settings.view_transform = "Standard"
        render.filepath, render.use_file_extension = str(path), False
        compat.set_still_format(render.image_settings, "PNG")
        render.image_settings.color_mode, render.image_settings.color_depth = "RGB", "8"
        renderer.render_still(stage)
    finally:
        bpy.data.scenes.remove(stage)
