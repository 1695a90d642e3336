# SPDX-License-Identifier: GPL-3.0-or-later
"""The Estimate button, what keeps it from working, and how far a running estimate is."""

import json

from bpy.types import Context, Panel, UILayout

from ..operators import previews, state, watch
from ..operators.run_operator import time_left_text
from . import columns, wording
from .frames import button_text
from .problems import draw_problem


def draw_problems(layout: UILayout, context: Context, interface):
    """Every problem found with the button that repairs it."""
    for row in interface.problems:
        draw_problem(layout, context, row.text, row.operator, row.label, json.loads(row.arguments))


def draw_running(layout: UILayout, context: Context, manager):
    """Progress, stage, time left, the spheres so far and the way out."""
    wording.progress(layout, manager.fraction, f"{round(manager.fraction * 100)} %")
    wording.wrapped(layout, context, manager.stage or "Starting the engine")
    left = time_left_text(manager.eta)
    if left:
        layout.label(text=left.capitalize(), icon="TIME")
    picture = previews.icon("running")
    if picture:
        wording.picture(layout, context, picture)
    layout.operator("limelight.cancel", text="Cancel (Esc)", icon="CANCEL")


class LIMELIGHT_PT_estimate(Panel):
    """Estimate the light at the probes"""

    bl_idname = "LIMELIGHT_PT_estimate"
    bl_label = "Estimate"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"

    def draw(self, context: Context):
        layout, interface, manager = self.layout, state.seen(context), context.window_manager.limelight
        portrait = manager.kind in {"landmarks", "face"}
        if manager.running:
            if portrait:
                wording.wrapped(layout, context, "The engine is busy with a portrait.", icon="SORTTIME")
            else:
                draw_running(layout, context, manager)
            return
        layout.row().prop(context.scene.limelight, "quality", expand=True)
        draw_problems(layout, context, interface)
        row = layout.row()
        row.scale_y = 1.6
        row.enabled = interface.checked and not interface.problems
        row.operator("limelight.estimate", text=button_text(context), icon="LIGHT_SUN")
        if manager.message and not portrait:
            wording.wrapped(layout, context, manager.message, icon="INFO")
        probe = watch.active_probe(context)
        picture = previews.icon(previews.slot_of(probe)) if probe is not None else 0
        if picture:
            wording.picture(layout, context, picture)
        if probe is not None and probe.limelight.environment is not None:
            draw_takes(layout, context, probe)


def draw_takes(layout: UILayout, context: Context, probe):
    """How sure the estimate is, and the way to another."""
    stops, degrees = probe.limelight.spread
    if stops >= 0:
        text = f"Takes differ by {stops:.1f} stops, {degrees:.0f}°"
        wording.wrapped(layout, context, text, icon="ARROW_LEFTRIGHT")
    take = context.scene.limelight.take
    row = layout.row(align=True)
    row.operator("limelight.estimate_take", icon="FILE_REFRESH").take = take + 1
    if take:
        row.operator("limelight.estimate_take", text="Average").take = 0


class LIMELIGHT_PT_estimate_settings(Panel):
    """Details of the estimate; the defaults suit most photos"""

    bl_idname = "LIMELIGHT_PT_estimate_settings"
    bl_label = "Details"
    bl_parent_id = "LIMELIGHT_PT_estimate"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        settings = context.scene.limelight
        column = columns.of_settings(self.layout)
        for name in ("size", "seed", "take", "model"):
            column.prop(settings, name)
        # Behind the others' names there is no room for this one in a narrow sidebar.
        self.layout.prop(settings, "use_front")


CLASSES = (LIMELIGHT_PT_estimate, LIMELIGHT_PT_estimate_settings)
