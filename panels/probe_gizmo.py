# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes as spheres in the 3D viewport, and a ring around the active one: drag it to change the radius."""

from __future__ import annotations

import bpy
from bpy.types import Context, Event, Gizmo, GizmoGroup
from mathutils import Matrix, Vector

from ..operators import state
from ..operators.picking import RADIUS_RANGE
from ..operators.probe_preview import circle_lines
from ..scene import camera as cameras
from ..scene import probes

_WAITING = (0.75, 0.78, 0.85)
_LIT = (1.0, 0.72, 0.15)
# The ring stands a little outside the sphere, so that it can be told from the outline of the Empty.
_RING = 1.12
_SEGMENTS = 64


def ball_triangles(rings: int = 10, segments: int = 20) -> list[Vector]:
    """Triangle corners of a unit sphere around the origin."""
    from math import cos, pi, sin

    def corner(ring: int, segment: int) -> Vector:
        polar, around = pi * ring / rings, 2 * pi * segment / segments
        return Vector((sin(polar) * cos(around), sin(polar) * sin(around), cos(polar)))

    triangles = []
    for ring in range(rings):
        for segment in range(segments):
            a, b = corner(ring, segment), corner(ring, segment + 1)
            c, d = corner(ring + 1, segment), corner(ring + 1, segment + 1)
            triangles += [a, c, b, b, c, d]
    return triangles


def radius_under_mouse(
    context: bpy.types.Context, centre: Vector, x: float, y: float, *, ring: float = _RING
) -> float:
    """Radius in scene units that puts the ring below region pixel (x, y), measured in the plane through ``centre``."""
    from bpy_extras import view3d_utils

    assert context.region is not None and context.region_data is not None
    at_mouse = view3d_utils.region_2d_to_location_3d(context.region, context.region_data, (x, y), centre)
    low, high = (bound / cameras.metres(context.scene) for bound in RADIUS_RANGE)
    return min(max((at_mouse - centre).length / ring, low / 2), high * 10)


def _visible_probes(context: bpy.types.Context) -> list[bpy.types.Object]:
    rows = state.seen(context).probe_rows
    named = [probes.named(context.scene, row.name) for row in rows]
    return [p for p in named if p is not None and p.visible_get()]


class LIMELIGHT_GT_ball(Gizmo):
    """A see-through ball where a probe is; clicks go through it to the Empty"""

    bl_idname = "LIMELIGHT_GT_ball"

    def setup(self):
        """Make the shape once."""
        self.shape = self.new_custom_shape("TRIS", ball_triangles())

    def draw(self, _context: Context):
        """Draw the ball with this gizmo's matrix and colour."""
        self.draw_custom_shape(self.shape)


class LIMELIGHT_GT_ring(Gizmo):
    """Drag this ring to change the radius of the probe"""

    bl_idname = "LIMELIGHT_GT_ring"

    def setup(self):
        """Make the shape once."""
        self.shape = self.new_custom_shape("LINES", circle_lines(2, _SEGMENTS))
        self.probe_name, self.radius_before = "", 0.0

    def draw(self, _context: Context):
        """Draw the ring."""
        self.draw_custom_shape(self.shape)

    def draw_select(self, _context: Context, select_id):
        """Draw the ring for picking."""
        self.draw_custom_shape(self.shape, select_id=select_id)

    def invoke(self, context: Context, _event: Event):
        """Start to drag."""
        probe = context.active_object
        if probe is None:
            return {"CANCELLED"}
        self.probe_name, self.radius_before = probe.name, probe.limelight.radius
        return {"RUNNING_MODAL"}

    def modal(self, context: Context, event: Event, _tweak):
        """Follow the mouse."""
        probe = probes.named(context.scene, self.probe_name)
        if probe is None:
            return {"CANCELLED"}
        scale = probes.radius_in_world(probe) / probe.limelight.radius
        wanted = radius_under_mouse(
            context, probes.to_world(probe).translation, event.mouse_region_x, event.mouse_region_y
        )
        probe.limelight.radius = wanted / scale
        if context.area is not None:
            context.area.header_text_set(f"Radius of {probe.name}: {wanted * cameras.metres(context.scene):.3f} m")
        return {"RUNNING_MODAL"}

    def exit(self, context: Context, cancel):
        """End the drag: one undo step, or the old radius if it was cancelled."""
        if context.area is not None:
            context.area.header_text_set(None)
        probe = probes.named(context.scene, self.probe_name)
        if probe is None:
            return
        if cancel:
            probe.limelight.radius = self.radius_before
        else:
            bpy.ops.ed.undo_push(message="Change Probe Radius")


class LIMELIGHT_GGT_probes(GizmoGroup):
    """Shows every probe of the scene as a ball, golden once it holds light"""

    bl_idname = "LIMELIGHT_GGT_probes"
    bl_label = "Light Probes"
    bl_space_type = "VIEW_3D"
    bl_region_type = "WINDOW"
    bl_options = {"3D", "PERSISTENT"}

    @classmethod
    def poll(cls, context: Context):
        """Only in Object Mode with overlays and gizmos on, and with a probe to show."""
        space = context.space_data
        if context.mode != "OBJECT" or not space.overlay.show_overlays:
            return False
        return len(state.seen(context).probe_rows) > 0

    def setup(self, _context: Context):
        """The ring of the active probe; balls are made as probes appear."""
        self.ring = self.gizmos.new("LIMELIGHT_GT_ring")
        self.ring.use_draw_modal = True
        self.ring.use_draw_scale = False
        self.ring.line_width = 2.0
        self.ring.color, self.ring.color_highlight = (1.0, 1.0, 1.0), _LIT
        self.ring.alpha = self.ring.alpha_highlight = 0.9
        self.balls: list[Gizmo] = []

    def draw_prepare(self, context: Context):
        """Put the balls and the ring where the probes are now."""
        visible = _visible_probes(context)
        for number, ball in enumerate(self.balls):
            ball.hide = number >= len(visible)
            if not ball.hide:
                self._place(ball, visible[number])
        active = context.active_object
        view = context.region_data
        self.ring.hide = view is None or active is None or not probes.is_probe(active) or not active.select_get()
        if view is None or active is None or self.ring.hide:
            return
        towards_eye = view.view_matrix.to_3x3().inverted().to_4x4()
        size = Matrix.Scale(probes.radius_in_world(active) * _RING, 4)
        self.ring.matrix_basis = Matrix.Translation(probes.to_world(active).translation) @ towards_eye @ size

    def refresh(self, context: Context):
        """Blender asks for this when something changed; the only moment at which balls may be added."""
        while len(self.balls) < len(_visible_probes(context)):
            self.balls.append(self._new_ball())
        self.draw_prepare(context)

    def _new_ball(self):
        ball = self.gizmos.new("LIMELIGHT_GT_ball")
        ball.use_draw_scale = False
        ball.hide_select = True
        ball.alpha = 0.35
        return ball

    @staticmethod
    def _place(ball, probe):
        ball.color = _LIT if probe.limelight.environment is not None else _WAITING
        size = Matrix.Scale(probes.radius_in_world(probe), 4)
        ball.matrix_basis = Matrix.Translation(probes.to_world(probe).translation) @ size


CLASSES = (LIMELIGHT_GT_ball, LIMELIGHT_GT_ring, LIMELIGHT_GGT_probes)
