# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of an image that moves or that the next render replaces, as an image of its own."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import compat, frames, packed, paths, plate

#: Tells what a still was taken of, by its name then.
OF = "limelight_still_of"


def take(
    scene: bpy.types.Scene, image: bpy.types.Image, folder: Path, counted: bpy.types.ImageUser | None = None
) -> bpy.types.Image:
    """What an image shows at the scene's current frame as a packed image; ``folder`` is for files on the way.

    Of an image with layers it is the first one's finished picture.
    ``counted`` says how the frames of a movie or sequence are counted. Raises ``ValueError`` if it shows nothing.
    """
    if image.type in {"RENDER_RESULT", "MULTILAYER"} and not frames.is_animated(image):
        if image.type == "MULTILAYER" and not compat.SAVES_FINISHED:
            raise ValueError("Blender 5.0 and 5.1 save another of its passes")
        path = folder / "still.exr"
        try:
            write_linear(scene, image, path)
        except RuntimeError as error:
            rendered = image.type == "RENDER_RESULT"
            raise ValueError("nothing has been rendered yet" if rendered else str(error)) from error
    elif image.source == "VIEWER":
        from . import pixels

        if len(image.pixels) == 0:
            raise ValueError(f"“{image.name}” shows nothing yet")
        path = folder / "still.exr"
        pixels.write(path, pixels.of(image)[::-1])
    else:
        usable = counted is not None and counted.frame_duration > 0
        path, _size = frames.save_still(scene, folder, image, counted if usable else None)
    if not path.is_file():
        raise ValueError(f"“{image.name}” shows nothing yet")
    still = bpy.data.images.load(str(path), check_existing=False)
    if path.suffix == ".exr":
        still.colorspace_settings.name = compat.LINEAR
    still.pack()
    moves = frames.is_animated(image)
    still.name = f"{Path(image.name).stem} frame {scene.frame_current}" if moves else f"{image.name} still"
    packed.name_file(still, path.suffix)
    still[OF] = image.name
    if image.filepath_raw:
        still[plate.FILE] = str(paths.of_image(image))
    return still


def write_linear(scene: bpy.types.Scene, image: bpy.types.Image, path: Path) -> None:
    """Write an image into an EXR, linear whatever its colour space; ``RuntimeError`` if it shows nothing."""
    with compat.output_kept(scene.render):
        settings = scene.render.image_settings
        compat.set_still_format(settings, "OPEN_EXR")
        settings.color_mode, settings.color_depth = "RGBA", "32"
        image.save_render(str(path), scene=scene)
