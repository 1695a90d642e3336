# SPDX-License-Identifier: GPL-3.0-or-later
"""What a render shows of a scene: by its view layer, its collections and its objects."""

from __future__ import annotations

import bpy


def layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The view layer that the artist looks at; of a scene that is not open, the first."""
    return bpy.context.view_layer if scene == bpy.context.scene else scene.view_layers[0]
