# SPDX-License-Identifier: GPL-3.0-or-later
"""The sphere that follows the mouse while a probe is being placed."""

from __future__ import annotations

import math

import bpy
from mathutils import Vector

from .picking import Pick

_SEGMENTS = 48
_COLOUR = (1.0, 0.78, 0.2, 0.9)


def circle_lines(axis: int, segments: int = _SEGMENTS) -> list[tuple[float, float, float]]:
    """Line segments (pairs of points) of the unit circle around ``axis`` (0 x, 1 y, 2 z)."""
    lines = []
    for step in range(segments):
        for end in (step, step + 1):
            angle = 2 * math.pi * end / segments
            flat = [math.cos(angle), math.sin(angle)]
            flat.insert(axis, 0.0)
            lines.append((flat[0], flat[1], flat[2]))
    return lines


class ProbePreview:
    """Draws one wire sphere in every 3D viewport until it is closed."""

    def __init__(self) -> None:
        self._pick: Pick | None = None
        self._handle = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_VIEW")

    def show(self, context: bpy.types.Context, pick: Pick) -> None:
        """Draw the sphere at ``pick``."""
        self._pick = pick
        _redraw_viewports(context)

    def hide(self, context: bpy.types.Context) -> None:
        """Draw nothing until the next ``show``."""
        if self._pick is not None:
            self._pick = None
            _redraw_viewports(context)

    def close(self, context: bpy.types.Context) -> None:
        """Stop drawing for good; a second call does nothing."""
        if self._handle is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")
            self._handle = None
            _redraw_viewports(context)

    def _draw(self) -> None:
        if self._pick is None:
            return
        import gpu
        from gpu_extras.batch import batch_for_shader

        centre, radius = self._pick.location, self._pick.radius
        points = [centre + Vector(p) * radius for axis in range(3) for p in circle_lines(axis)]
        # Blender 4.0 dropped the prefix of the builtin shaders' names.
        shader = gpu.shader.from_builtin("UNIFORM_COLOR" if bpy.app.version >= (4, 0, 0) else "3D_UNIFORM_COLOR")
        shader.bind()
        shader.uniform_float("color", _COLOUR)
        gpu.state.line_width_set(2.0)
        gpu.state.blend_set("ALPHA")
        batch_for_shader(shader, "LINES", {"pos": points}).draw(shader)
        gpu.state.blend_set("NONE")
        gpu.state.line_width_set(1.0)


def _redraw_viewports(context: bpy.types.Context) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
