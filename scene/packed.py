# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that the engine wrote, as images that live in the .blend: its folder is gone a moment later."""

from __future__ import annotations

import re
from pathlib import Path

import bpy

from . import compat

#: What no file's name holds on all systems.
_REFUSED = re.compile(r'[\\/:*?"<>|\x00-\x1f]')


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
    name_file(image, path.suffix)
    return image


def show(material: bpy.types.Material, node_name: str, path: Path, name: str, mark: str, *, data: bool = False) -> None:
    """Put the engine's picture where the earlier one, which has the ``mark``, is, everywhere; a node that the artist
    removed stays away. Raises as :func:`load`."""
    node = compat.node_tree(material).nodes.get(node_name)
    if node is None:
        return
    image, old = load(path, name, data=data), node.image  # type: ignore[attr-defined]
    image[mark] = True
    if old is not None and mark in old:
        old.user_remap(image)
        bpy.data.images.remove(old)
        image.name = name
    node.image = image  # type: ignore[attr-defined]


def name_file(image: bpy.types.Image, suffix: str) -> None:
    """Let a packed image's file be called like the image, beside the .blend: that is where it goes when unpacked.

    Its path lay in a job's folder that is gone, or is that of the image that it is a copy of.
    """
    # Artists call things by what would be folders, or what disks refuse.
    image.filepath_raw = f"//{_REFUSED.sub('_', image.name)}{suffix}"
    for file in image.packed_files:
        file.filepath = image.filepath_raw
