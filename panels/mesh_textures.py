# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel that gives a scanned mesh textures that take new light."""

from bpy.types import Context, Panel

from . import columns, wording
from .estimate import draw_running

_KIND = "splat_texture"


class LIMELIGHT_PT_mesh_textures(Panel):
    """Learn the material of a scanned mesh from its photos"""

    bl_idname = "LIMELIGHT_PT_mesh_textures"
    bl_label = "Textures of a Mesh"
    bl_parent_id = "LIMELIGHT_PT_splats"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        layout, manager = self.layout, context.window_manager.limelight
        if manager.running:
            if manager.kind == _KIND:
                draw_running(layout, context, manager)
            return
        settings, thing = context.scene.limelight.capture, context.view_layer.objects.active
        if thing is None or thing.type != "MESH":
            wording.wrapped(layout, context, "Click a scanned mesh whose photos have known cameras.")
            return
        column = columns.of_settings(layout)
        for name in ("source", "tone", "iterations", "resolution", "texels", "unwrap"):
            column.prop(settings, name)
        if not settings.source:
            wording.wrapped(layout, context, "Choose the folder of the scan's photos with their cameras.", icon="INFO")
        column = layout.column(align=True)
        column.enabled = bool(settings.source)
        column.operator("limelight.learn_textures", icon="TEXTURE").again = False
        column.operator("limelight.learn_textures", text="From the Start", icon="FILE_REFRESH").again = True
        if manager.message and manager.kind == _KIND:
            wording.wrapped(layout, context, manager.message, icon="INFO")


CLASSES = (LIMELIGHT_PT_mesh_textures,)
