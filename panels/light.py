# SPDX-License-Identifier: GPL-3.0-or-later
"""From the estimate to light in the scene."""

from bpy.types import Context, Panel, UILayout

from ..operators import state
from ..scene import composite, sun
from . import wording
from .problems import draw_problem
from .world import draw_world


def draw_sun(layout: UILayout, context: Context):
    """The button for a sun by itself, and how sure the last one is."""
    layout.operator("limelight.sun_from_photo", icon="LIGHT_SUN")
    lamp = sun.find(context.scene)
    if lamp is not None:
        wording.wrapped(layout, context, sun.told(lamp), icon="INFO")


class LIMELIGHT_PT_light(Panel):
    """Light the scene with what was estimated"""

    bl_idname = "LIMELIGHT_PT_light"
    bl_label = "Light"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"

    def draw(self, context: Context):
        layout = self.layout
        lit = any(row.has_light for row in state.seen(context).probe_rows)
        if not lit:
            wording.wrapped(layout, context, "After an estimate, these buttons light the scene with it.")
        column = layout.column(align=True)
        column.enabled = lit
        column.scale_y = 1.2
        column.operator("limelight.apply_world", icon="WORLD")
        column.operator("limelight.apply_lamps", icon="LIGHT_AREA")
        column.operator("limelight.apply_domes", icon="SHADING_RENDERED")
        draw_sun(layout, context)
        layout.operator("limelight.setup_composite", icon="NODE_COMPOSITING")
        wrong = composite.spoilt(context.scene)
        if wrong is not None:
            draw_problem(layout, context, wrong.text, wrong.operator_idname, wrong.operator_label, wrong.properties)
        world = context.scene.world
        if world is not None and world.limelight.probe:
            draw_world(layout.box(), world)


CLASSES = (LIMELIGHT_PT_light,)
