# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab in the Image Editor: probes are placed on the photo itself."""

from bpy.types import Context, Panel

from ..operators import state
from . import wording
from .estimate import draw_problems, draw_running


class LIMELIGHT_PT_image(Panel):
    """Place probes on the photo and estimate their light"""

    bl_idname = "LIMELIGHT_PT_image"
    bl_label = "Limelight"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Limelight"

    def draw(self, context: Context):
        layout, settings, manager = self.layout, context.scene.limelight, context.window_manager.limelight
        if settings.plate is None:
            wording.wrapped(layout, context, "There is no photo yet.")
            layout.operator("limelight.set_plate", text="Choose Photo…", icon="FILE_IMAGE")
            return
        if context.space_data.image != settings.plate:
            wording.wrapped(layout, context, f"Probes are placed on “{settings.plate.name}”: show that image here.")
        else:
            layout.operator("limelight.add_probe_image", icon="EYEDROPPER")
        if manager.running:
            # What is relit, and a portrait, show their progress in the panels below.
            if manager.kind not in {"relight", "landmarks", "face"}:
                draw_running(layout, context, manager)
            return
        draw_problems(layout, context, state.seen(context))
        row = layout.row()
        row.scale_y = 1.4
        row.enabled = state.seen(context).checked and not state.seen(context).problems
        row.operator("limelight.estimate", icon="LIGHT_SUN")


CLASSES = (LIMELIGHT_PT_image,)
