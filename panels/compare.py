# SPDX-License-Identifier: GPL-3.0-or-later
"""The true panorama of the scene next to the estimate, and keeping the estimate as an asset."""

from bpy.types import Context, Panel

from ..operators import watch
from . import columns, wording


class LIMELIGHT_PT_compare(Panel):
    """Compare with the true light of the scene, keep the result"""

    bl_idname = "LIMELIGHT_PT_compare"
    bl_label = "Compare and Keep"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        layout, probe = self.layout, watch.active_probe(context)
        if probe is None:
            wording.wrapped(layout, context, "Add a probe first.")
            return
        column = layout.column(align=True)
        column.operator("limelight.bake_truth", icon="RENDER_STILL")
        row = column.row(align=True)
        row.enabled = probe.limelight.truth is not None
        row.operator("limelight.use_truth", icon="WORLD")
        row = column.row(align=True)
        row.enabled = probe.limelight.environment is not None
        row.operator("limelight.mark_asset", icon="ASSET_MANAGER")
        column = columns.of_settings(layout)
        column.prop(probe.limelight, "environment", text="Estimate")
        column.prop(probe.limelight, "truth", text="Truth")


CLASSES = (LIMELIGHT_PT_compare,)
