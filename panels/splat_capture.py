# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel that makes splats: capture an object, train."""

from bpy.types import Context, Panel

from . import columns, wording
from .estimate import draw_running

_KINDS = ("capture", "splat_train")


class LIMELIGHT_PT_splat_capture(Panel):
    """Make splats of an object in the scene, or of photos with known cameras"""

    bl_idname = "LIMELIGHT_PT_splat_capture"
    bl_label = "Capture and Train"
    bl_parent_id = "LIMELIGHT_PT_splats"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        layout, manager = self.layout, context.window_manager.limelight
        if manager.running:
            if manager.kind in _KINDS:
                draw_running(layout, context, manager)
            return
        settings = context.scene.limelight.capture
        column = columns.of_settings(layout)
        for name in ("views", "size", "samples", "lowest", "folder"):
            column.prop(settings, name)
        layout.operator("limelight.capture_object", icon="CAMERA_DATA")
        layout.separator()
        column = columns.of_settings(layout)
        for name in ("source", "tone", "iterations", "resolution", "gaussians", "start", "up"):
            column.prop(settings, name)
        if not settings.source:
            wording.wrapped(layout, context, "Capture an object, or choose a folder of pictures.", icon="INFO")
        column = layout.column(align=True)
        column.enabled = bool(settings.source)
        column.operator("limelight.train_splats", icon="PLAY").again = False
        column.operator("limelight.train_splats", text="From the Start", icon="FILE_REFRESH").again = True
        if manager.message and manager.kind in _KINDS:
            wording.wrapped(layout, context, manager.message, icon="INFO")


CLASSES = (LIMELIGHT_PT_splat_capture,)
