# SPDX-License-Identifier: GPL-3.0-or-later
"""Which renderer draws the scene, as some of what lights it or catches its shadows only Cycles knows, and when."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import bpy

#: Blender's own renderers that draw a shadow catcher as a floor and let no mesh light others by its links.
_OTHERS = {"BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"}


def use_cycles(scene: bpy.types.Scene) -> None:
    """Let Cycles render where another of Blender's own would; renderers from elsewhere stay."""
    if scene.render.engine in _OTHERS:
        # Cycles is an add-on, too, and may be switched off.
        with suppress(TypeError):
            scene.render.engine = "CYCLES"


def is_busy() -> bool:
    """Whether Blender renders or bakes for the artist just now: a second render at that time ends Blender."""
    # The stubs say that it answers nothing.
    return bpy.app.is_job_running("RENDER") or bpy.app.is_job_running("OBJECT_BAKE")  # type: ignore[return-value]


def render_still(scene: bpy.types.Scene) -> None:
    """Render a scene into the very file that its settings name.

    Raises ``ValueError`` if Blender renders just now, or if the render was broken off.
    """
    if is_busy():
        raise ValueError("Blender renders just now: wait until it is done, or stop it with Esc")
    path = Path(scene.render.filepath)
    path.unlink(missing_ok=True)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    # Esc ends a render without any error: there is only no picture then.
    if not path.is_file():
        raise ValueError("the render was cancelled")
