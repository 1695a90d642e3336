# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures in other light, as images of this file: what each remembers, which belong to one picture, their removal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from . import editors, packed, paths, plate

#: Settings of a run that a result remembers under the same name.
REMEMBERED = ("reference_type", "reference", "probe", "rotation", "strength", "quality", "seed", "take", "model")
_NAME_BYTES = 63


def is_relit(image: bpy.types.Image | None) -> bool:
    """Whether Limelight made this image by relighting another."""
    return image is not None and image.limelight.number > 0


def source_of(image: bpy.types.Image | None) -> bpy.types.Image | None:
    """The picture that is relit when ``image`` is open: of a result its original, so light is not laid on light."""
    if image is not None and is_relit(image) and image.limelight.source is not None:
        return image.limelight.source
    return image


def results(source: bpy.types.Image | None) -> list[bpy.types.Image]:
    """All results of a picture, the newest first."""
    if source is None:
        return []
    made = [image for image in bpy.data.images if is_relit(image) and image.limelight.source == source]
    return sorted(made, key=lambda image: -image.limelight.number)


def load(source: bpy.types.Image, answer: dict[str, Any], made: dict[str, Any]) -> bpy.types.Image:
    """The engine's answer as a packed image of this file that remembers how it was ``made``.

    An EXR is linear, a PNG holds 16 bits in the original's colour space; a light ratio is data. Earlier results stay as
    they are.
    """
    number = max((image.limelight.number for image in results(source)), default=0) + 1
    file = Path(answer["relit"])
    image = packed.load(file, _named(source, "relit"))
    # Its values mean what the original's do, or it would be shown in other colours, or without those below no alpha.
    if file.suffix == ".png" and not source.colorspace_settings.is_data:
        image.colorspace_settings.name = source.colorspace_settings.name
    if source.alpha_mode == "CHANNEL_PACKED":
        image.alpha_mode = source.alpha_mode
    # Nothing of the scene holds it: without this a result that is not shown would not be saved.
    image.use_fake_user = True
    memory = image.limelight
    memory.number, memory.source = number, source
    for name, value in made.items():
        setattr(memory, name, value)
    before, after = answer.get("before", 0.0), answer.get("code_distance", 0.0)
    memory.reached = 1 - after / before if before > 1e-6 else -1.0
    if answer.get("ratio"):
        memory.ratio = packed.load(Path(answer["ratio"]), _named(source, "light ratio"), data=True)
    return image


def _named(source: bpy.types.Image, ending: str) -> str:
    """A picture's name with an ending; as much of it as leaves room for that and Blender's number."""
    return f"{source.name.encode()[: _NAME_BYTES - len(ending) - 5].decode(errors='ignore')} {ending}"


def remove(image: bpy.types.Image) -> None:
    """Take a result and its light ratio out of the file; where it was the photo behind a camera, its original is again.

    Raises ``ValueError`` if it is no result.
    """
    if not is_relit(image):
        raise ValueError(f"“{image.name}” was not made by Relight")
    source, ratio = source_of(image), image.limelight.ratio
    # Held to the end: a photo that nothing shows any more would go with the first scene.
    image.use_fake_user = True
    for scene in bpy.data.scenes:
        if scene.limelight.plate == image and source is not None:
            plate.exchange(scene, source)
    for editor in editors.of_images():
        if editor.image == image and source is not None:
            editor.image = source
    bpy.data.images.remove(image)
    if ratio is not None and not ratio.users:
        bpy.data.images.remove(ratio)


def show(image: bpy.types.Image) -> None:
    """Show a picture or a result wherever an Image Editor shows the picture or another result of it."""
    source = source_of(image)
    for editor in editors.of_images():
        if editor.image is not None and source_of(editor.image) == source:
            editor.image = image


def use_as_background(scene: bpy.types.Scene, image: bpy.types.Image) -> bpy.types.Object:
    """Put a result behind the scene's camera, so that estimates read it; returns the camera.

    Where its original, another result of it, or what its original is a still of, is there already, the camera keeps its
    view angle.
    """
    source, there = source_of(image), source_of(scene.limelight.plate)
    if there is not None and (there == source or _is_still_of(source, there)):
        return plate.use_image(scene, image)
    fov_deg = plate.fov_of_file(source) if source is not None else None
    return plate.use_image(scene, image, fov_deg or plate.DEFAULT_FOV_DEG)


def _is_still_of(image: bpy.types.Image | None, other: bpy.types.Image) -> bool:
    return image is not None and bool(other.filepath_raw) and image.get(plate.FILE) == str(paths.of_image(other))


def restore_settings(scene: bpy.types.Scene, image: bpy.types.Image) -> None:
    """Set Relight as it was when a result was made."""
    settings = scene.limelight.relight
    for name in REMEMBERED:
        setattr(settings, name, getattr(image.limelight, name))
    settings.keep_ratio = image.limelight.ratio is not None


def told(image: bpy.types.Image) -> str:
    """How a result was made, in a few words."""
    memory = image.limelight
    take = f"take {memory.take}, " if memory.take else ""
    return f"{memory.number}: {memory.reference_name}, {take}{memory.strength:.0f} %"
