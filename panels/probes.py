# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of probes, with the settings of the active one."""

from bpy.types import Context, Panel, UILayout, UIList

from ..operators import state, watch
from ..scene import probes
from . import columns, wording


class LIMELIGHT_UL_probes(UIList):
    """One line a probe: name, whether it takes part, whether it holds light, delete"""

    bl_idname = "LIMELIGHT_UL_probes"

    def draw_item(self, context: Context, layout: UILayout, _data, item, _icon, _active_data, _active_property):
        probe = probes.named(context.scene, item.name)
        if probe is None:
            layout.label(text=item.name, icon="GHOST_DISABLED")
            return
        row = layout.row(align=True)
        row.prop(probe.limelight, "use", text="")
        row.prop(probe, "name", text="", emboss=False, icon="LIGHT_SUN" if item.has_light else "SPHERE")
        row.operator("limelight.delete_probe", text="", icon="X", emboss=False).name = item.name


class LIMELIGHT_PT_probes(Panel):
    """The points where light is estimated"""

    bl_idname = "LIMELIGHT_PT_probes"
    bl_label = "Probes"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"

    def draw(self, context: Context):
        layout, interface = self.layout, state.seen(context)
        row = layout.row()
        row.scale_y = 1.4
        row.operator("limelight.add_probe", icon="EYEDROPPER")
        if not interface.probe_rows:
            wording.wrapped(layout, context, "Press Add Probe, then click the point where your object will stand.")
            return
        layout.template_list(
            "LIMELIGHT_UL_probes", "", interface, "probe_rows", interface, "probe_index",
            rows=max(2, min(len(interface.probe_rows), 6)),
        )
        probe = watch.active_probe(context)
        if probe is None:
            return
        column = columns.of_settings(layout)
        column.prop(probe.limelight, "radius")
        if probe.limelight.status not in {"", "Estimated"}:
            wording.wrapped(layout, context, probe.limelight.status, icon="INFO")


CLASSES = (LIMELIGHT_UL_probes, LIMELIGHT_PT_probes)
