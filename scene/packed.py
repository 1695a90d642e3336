# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that the engine wrote, as images that live in the .blend: its folder is gone a moment later."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import compat


def load(path: Path, name: str, *, data: bool = False) -> bpy.types.Image:
    """A file as a packed image; an EXR is linear, ``data`` no colour at all. ``RuntimeError`` if it is unreadable."""
    image = bpy.data.images.load(str(path), check_existing=False)
    if min(image.size) < 1:
        bpy.data.images.remove(image)
        raise RuntimeError(f"“{path.name}” is no picture that Blender can read")
    if data:
        image.colorspace_settings.name = "Non-Color"
    elif path.suffix == ".exr":
        image.colorspace_settings.name = compat.LINEAR
    image.pack()
    image.name = name
    # The path lay in a job's folder that is gone by now; what counts is packed.
    image.filepath_raw = f"//{image.name}{path.suffix}"
    for file in image.packed_files:
        file.filepath = image.filepath_raw
    return image
