# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures for the panels, kept outside the file: no datablock is made for them."""

from __future__ import annotations

from pathlib import Path

import bpy
import bpy.utils.previews

_collection: bpy.utils.previews.ImagePreviewCollection | None = None
# What each slot shows: the path with its time of change, so that a picture is read again only when it changed.
_shown: dict[str, tuple[str, int]] = {}
_icons: dict[str, int] = {}


def slot_of(thing: bpy.types.Object) -> str:
    """The slot of what a probe or head looks like: another's, also one's of its name in the next file, is another."""
    # Blender before 4.2 tells no numbers.
    return f"of {getattr(thing, 'session_uid', thing.name)}"


def show_file(slot: str, path: str) -> None:
    """Show the picture at ``path`` under the name ``slot``; a missing file leaves the slot as it was."""
    global _collection
    if not Path(path).is_file():
        return
    version = (path, Path(path).stat().st_mtime_ns)
    if _shown.get(slot) == version:
        return
    if _collection is None:
        _collection = bpy.utils.previews.new()
    key = f"{slot}:{version[0]}:{version[1]}"
    if key not in _collection:
        _crop(_collection.load(key, path, "IMAGE"))
    _shown[slot], _icons[slot] = version, _collection[key].icon_id


def _crop(preview: bpy.types.ImagePreview) -> None:
    """Keep the left square of a wide strip: an icon is square, and the first exposures are the ones to look at.

    Reading the size also reads the file now, which may be gone when Blender draws it.
    """
    width, height = preview.image_size
    if width <= height or height == 0:
        return
    pixels = list(preview.image_pixels)
    preview.image_size = (height, height)
    preview.image_pixels = [pixel for row in range(height) for pixel in pixels[row * width : row * width + height]]


def icon(slot: str) -> int:
    """The icon of what ``slot`` shows, 0 if nothing. Safe in ``draw``: it only looks the number up."""
    return _icons.get(slot, 0)


def forget(slot: str) -> None:
    """Let ``slot`` show nothing."""
    _shown.pop(slot, None)
    _icons.pop(slot, None)


def unregister() -> None:
    """Free all pictures."""
    global _collection
    if _collection is not None:
        bpy.utils.previews.remove(_collection)
        _collection = None
    _shown.clear()
    _icons.clear()
