# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of shots, with what became of each."""

from typing import TYPE_CHECKING

from bpy.types import Context, Panel, UILayout, UIList

from ..operators import state
from . import wording

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

_ICONS: dict[str, "IconItems"] = {
    "queued": "TIME",
    "running": "PLAY",
    "done": "CHECKMARK",
    "skipped": "CHECKMARK",
    "failed": "ERROR",
    "cancelled": "PANEL_CLOSE",
}


class LIMELIGHT_UL_jobs(UIList):
    """One line a shot: name, state, how far it is, and what can be done with it"""

    bl_idname = "LIMELIGHT_UL_jobs"

    def draw_item(self, _context: Context, layout: UILayout, _data, item, _icon, _active_data, _active_property):
        row = layout.row(align=True)
        row.label(text=item.name, icon=_ICONS.get(item.state, "QUESTION"))
        if item.state == "running":
            row.label(text=f"{round(item.fraction * 100)} %")
        elif item.state == "queued":
            row.operator("limelight.batch_skip", text="", icon="X", emboss=False).name = item.name
        else:
            if item.state in {"done", "skipped"}:
                row.operator("limelight.batch_load", text="", icon="IMPORT", emboss=False).name = item.name
            row.operator("limelight.batch_retry", text="", icon="FILE_REFRESH", emboss=False).name = item.name


class LIMELIGHT_PT_batch(Panel):
    """Shots of several cameras, probes and ranges, estimated one after the other"""

    bl_idname = "LIMELIGHT_PT_batch"
    bl_label = "List of Shots"
    bl_parent_id = "LIMELIGHT_PT_estimate"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        layout, interface = self.layout, state.seen(context)
        column = layout.column(align=True)
        column.enabled = not context.window_manager.limelight.running
        column.operator("limelight.batch_add", icon="ADD")
        column.operator("limelight.batch_add", text="Add Every Camera", icon="OUTLINER_OB_CAMERA").every_camera = True
        rows = interface.job_rows
        if not rows:
            wording.wrapped(layout, context, "Add the frames above, with this camera and the probes that are switched "
                            "on; then set up the next shot and add it too.")  # fmt: skip
            return
        layout.template_list("LIMELIGHT_UL_jobs", "", interface, "job_rows", interface, "job_index",
                             rows=max(2, min(len(rows), 8)))  # fmt: skip
        if 0 <= interface.job_index < len(rows) and rows[interface.job_index].text:
            wording.wrapped(layout, context, rows[interface.job_index].text, icon="INFO")
        row = layout.row()
        row.scale_y = 1.4
        waiting = sum(item.state == "queued" for item in rows)
        row.enabled = waiting > 0 and not context.window_manager.limelight.running
        row.operator("limelight.batch_start", text=f"Estimate {waiting} Shot{'s' * (waiting != 1)}", icon="LIGHT_SUN")


CLASSES = (LIMELIGHT_UL_jobs, LIMELIGHT_PT_batch)
