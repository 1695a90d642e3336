# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel of Gaussian splats: bring them in, and how those that are selected are drawn."""

from bpy.types import Context, Panel

from . import wording
from .estimate import draw_running


class LIMELIGHT_PT_splats(Panel):
    """Gaussian splats in the scene"""

    bl_idname = "LIMELIGHT_PT_splats"
    bl_label = "Splats"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        # Not with the add-on: the nodes' description would slow its start.
        from ..scene import splat_drawing

        layout, manager = self.layout, context.window_manager.limelight
        if manager.running:
            if manager.kind == "splats":
                draw_running(layout, context, manager)
            else:
                wording.wrapped(layout, context, "The engine is busy with something else.", icon="SORTTIME")
            return
        layout.operator("limelight.import_splats", icon="IMPORT")
        thing = context.view_layer.objects.active
        if thing is None or not splat_drawing.is_splats(thing):
            wording.wrapped(layout, context, "PLY, compressed PLY, .splat, .spz, .ksplat or glTF.")
            return
        settings = splat_drawing.inputs(thing)
        if not settings:
            wording.wrapped(layout, context, "Blender draws these splats itself.", icon="INFO")
            return
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        for name, (owner, member) in settings.items():
            if name == "Crop Box":
                column.prop_search(owner, member, context.scene, "objects", text=name)
            else:
                column.prop(owner, member, text=name)
        layout.operator("limelight.crop_splats", icon="CUBE")


CLASSES = (LIMELIGHT_PT_splats,)
