# SPDX-License-Identifier: GPL-3.0-or-later
"""The editors of Blender's windows."""

import bpy


def of_images() -> list[bpy.types.SpaceImageEditor]:
    """All Image Editors of all windows and workspaces."""
    spaces = [space for screen in bpy.data.screens for area in screen.areas for space in area.spaces]
    return [space for space in spaces if isinstance(space, bpy.types.SpaceImageEditor)]
