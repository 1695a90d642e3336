# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel that says what the engine sees: a photo or the scene, and where depth comes from."""

from bpy.types import Context, Panel, UILayout

from . import columns, wording


class LIMELIGHT_PT_view(Panel):
    """Choose what the light is estimated from"""

    bl_idname = "LIMELIGHT_PT_view"
    bl_label = "What the Engine Sees"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"

    def draw(self, context: Context):
        layout, scene, settings = self.layout, context.scene, context.scene.limelight
        layout.row().prop(settings, "source", expand=True)
        if settings.source == "PLATE":
            self._draw_plate(layout, context, settings)
        else:
            wording.wrapped(layout, context, "The active camera's view of the scene, rendered without view transform.")
        if scene.camera is None and not (settings.source == "PLATE" and settings.plate is None):
            layout.operator("limelight.add_camera", icon="CAMERA_DATA")

    def _draw_plate(self, layout: UILayout, context: Context, settings):
        if settings.plate is None:
            wording.wrapped(layout, context, "Drop a photo into the viewport, or choose one here.")
            row = layout.row()
            row.scale_y = 1.4
            row.operator("limelight.set_plate", text="Choose Photo…", icon="FILE_IMAGE")
            return
        row = layout.row(align=True)
        row.label(text=settings.plate.name, icon="IMAGE_DATA")
        row.operator("limelight.set_plate", text="", icon="FILE_FOLDER")
        row.operator("limelight.clear_plate", text="", icon="X")
        column = columns.of_settings(layout)
        column.prop(settings, "depth_source")
        if settings.depth_source == "FILE":
            column.prop(settings, "depth_file")
        # Side by side, the last would be cut off in a narrow sidebar.
        buttons = layout.column(align=True)
        buttons.operator("limelight.show_depth", icon="MESH_GRID")
        if settings.depth_source == "GEOMETRY":
            buttons.operator("limelight.scale_depth", text="Scale…", icon="DRIVER_DISTANCE")
            buttons.operator("limelight.snap_to_ground", icon="VIEW_PERSPECTIVE")
        column.prop(settings, "fov_override", text="View Angle")


CLASSES = (LIMELIGHT_PT_view,)
