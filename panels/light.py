# SPDX-License-Identifier: GPL-3.0-or-later
"""From the estimate to light in the scene."""

from bpy.types import Context, Panel

from ..operators import state
from . import wording
from .world import draw_world


class LIMELIGHT_PT_light(Panel):
    """Light the scene with what was estimated"""

    bl_idname = "LIMELIGHT_PT_light"
    bl_label = "Light"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"

    def draw(self, context: Context):
        layout = self.layout
        lit = any(row.has_light for row in state.get(context).probe_rows)
        if not lit:
            wording.wrapped(layout, context, "After an estimate, these buttons light the scene with it.")
        column = layout.column(align=True)
        column.enabled = lit
        column.scale_y = 1.2
        column.operator("limelight.apply_world", icon="WORLD")
        column.operator("limelight.apply_lamps", icon="LIGHT_AREA")
        column.operator("limelight.apply_domes", icon="SHADING_RENDERED")
        layout.operator("limelight.setup_composite", icon="NODE_COMPOSITING")
        world = context.scene.world
        if world is not None and world.limelight.probe:
            draw_world(layout.box(), world)


CLASSES = (LIMELIGHT_PT_light,)
