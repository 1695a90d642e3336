# SPDX-License-Identifier: GPL-3.0-or-later
"""Light that changes from frame to frame: a probe's maps as a sequence of files, its lamps and places by frame.

The maps stay on disk, because Blender packs no sequences. Image and file numbers: the file of frame f is called
f − first + number, where ``number`` stands in the name of the image's first file.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from . import compat, paths


@dataclass(frozen=True)
class Track:
    """A probe's light at ``frames`` of the scene, rising: ``lamps`` as result.json has them, ``places`` of the probe in
    scene units."""

    frames: list[int]
    lamps: list[list[dict[str, Any]]]
    places: list[list[float]]

    def store(self, probe: bpy.types.Object) -> None:
        """Let the probe remember it."""
        probe.limelight.over_frames = json.dumps(vars(self))


def track(probe: bpy.types.Object) -> Track | None:
    """What a probe remembers of its light over frames; None if its light stands still."""
    text = probe.limelight.over_frames
    return Track(**json.loads(text)) if text else None


def is_sequence(image: bpy.types.Image) -> bool:
    """Whether an image is a sequence of maps that was loaded here."""
    first, last = image.limelight.light_frames
    return image.source == "SEQUENCE" and last >= first


def count(node: Any) -> None:
    """Let a texture node show each map of its image at its own frame: the first before it, the last after it."""
    image = node.image
    if image is None or not is_sequence(image):
        return
    user, (first, last) = node.image_user, image.limelight.light_frames
    user.frame_start, user.frame_duration = first, last - first + 1
    user.frame_offset = _number(image) - 1
    user.use_cyclic, user.use_auto_refresh = False, True


def show_everywhere(image: bpy.types.Image) -> None:
    """:func:`count` in every World and material that shows the image."""
    for owner in (*bpy.data.worlds, *bpy.data.materials):
        for node in showing(owner, image):
            count(node)


def showing(owner: bpy.types.World | bpy.types.Material, image: bpy.types.Image) -> list[Any]:
    """The texture nodes of a World or material that show the image."""
    nodes = owner.node_tree.nodes if owner.node_tree is not None else ()
    return [node for node in nodes if node.type == "TEX_ENVIRONMENT" and node.image == image]


def _number(image: bpy.types.Image) -> int:
    return int(Path(image.filepath_raw).stem)


def file_at(image: bpy.types.Image, frame: int) -> Path:
    """The file of the map that a sequence shows at a frame."""
    first, last = image.limelight.light_frames
    path = paths.of_image(image)
    number = min(max(frame, first), last) - first + _number(image)
    return path.with_name(f"{number:0{len(path.stem)}d}{path.suffix}")


def values(image: bpy.types.Image, frame: int) -> Any:
    """Numbers (H, W, C), rows from the bottom, of an image of light; of a sequence, those of a frame.

    Raises ``RuntimeError`` if that file is gone.
    """
    from . import pixels

    return pixels.read(file_at(image, frame))[::-1] if is_sequence(image) else pixels.of(image)


def load(path: Path, frames: tuple[int, int]) -> bpy.types.Image:
    """The maps of ``path`` and the files numbered after it as an image; it shows them at the frames first to last."""
    image = bpy.data.images.load(str(path), check_existing=False)
    image.colorspace_settings.name = compat.LINEAR
    image.source = "SEQUENCE"
    image.limelight.light_frames = frames
    image.filepath = paths.kept(str(path))
    return image


def complete(folder: Path, numbers: list[int], digits: int, done: Collection[int] = ()) -> None:
    """Fill a folder's sequence up: maps between those of ``numbers`` (rising) are mixed from their neighbours, and one
    before the first repeats it, because Blender asks for that one at all earlier frames.

    Maps of numbers that are ``done`` are the engine's own, which takes them for finished later: they stay.
    """
    import shutil

    from . import pixels

    def path(number: int) -> Path:
        return folder / f"{number:0{digits}d}.exr"

    for low, high in itertools.pairwise(numbers):
        if high - low < 2:
            continue
        start, end = pixels.read(path(low)), pixels.read(path(high))
        for number in (n for n in range(low + 1, high) if n not in done):
            share = (number - low) / (high - low)
            pixels.write(path(number), (start + (end - start) * share)[..., :3])
    if numbers[0] - 1 not in done:
        shutil.copyfile(path(numbers[0]), path(numbers[0] - 1))
