# SPDX-License-Identifier: GPL-3.0-or-later
"""Which renderer draws the scene: some of what lights it or catches its shadows only Cycles knows."""

from __future__ import annotations

from contextlib import suppress

import bpy

#: Blender's own renderers that draw a shadow catcher as a floor and let no mesh light others by its links.
_OTHERS = {"BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"}


def use_cycles(scene: bpy.types.Scene) -> None:
    """Let Cycles render where another of Blender's own would; renderers from elsewhere stay."""
    if scene.render.engine in _OTHERS:
        # Cycles is an add-on, too, and may be switched off.
        with suppress(TypeError):
            scene.render.engine = "CYCLES"
