# SPDX-License-Identifier: GPL-3.0-or-later
"""How Limelight's preferences look: engine, device, models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import bpy

from ..operators import state
from . import columns, wording

if TYPE_CHECKING:
    from ..preferences import LimelightPreferences


def draw(preferences: LimelightPreferences, layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw ``preferences`` into ``layout`` from cached state only."""
    interface = state.get(context)
    box = layout.box()
    box.label(text="Engine", icon="SYSTEM")
    _draw_engine(preferences, box, interface)
    _draw_progress(box, context, interface)
    box = layout.box()
    box.label(text="Computing", icon="MEMORY")
    column = columns.of_settings(box)
    column.prop(preferences, "device")
    column.prop(preferences, "models_folder")
    _draw_report(preferences, box, context)
    row = box.row()
    row.operator("limelight.unload", icon="MEMORY")
    row.operator("limelight.open_log", icon="TEXT")


def _draw_engine(
    preferences: LimelightPreferences, box: bpy.types.UILayout, interface: state.InterfaceState
) -> None:
    box.row().prop(preferences, "engine_source", expand=True)
    column = columns.of_settings(box)
    if preferences.engine_source == "EXISTING":
        column.prop(preferences, "existing_python")
    else:
        row = column.row(align=True)
        row.prop(preferences, "base_python")
        row.operator("limelight.find_pythons", text="", icon="FILE_REFRESH")
        if preferences.base_python in {"CHOOSE", ""}:
            column.prop(preferences, "chosen_python")
        column.prop(preferences, "environment")
    row = box.row()
    row.enabled = not interface.setup_running
    if preferences.engine_source == "OWN":
        row.operator("limelight.setup_engine", icon="IMPORT")
    row.operator("limelight.doctor", icon="CHECKMARK")
    if preferences.engine_source == "OWN":
        row.operator("limelight.remove_engine", icon="TRASH")


def _draw_progress(box: bpy.types.UILayout, context: bpy.types.Context, interface: state.InterfaceState) -> None:
    if interface.setup_running:
        wording.progress(box, interface.setup_fraction, f"{round(interface.setup_fraction * 100)} %")
        wording.wrapped(box, context, f"{interface.setup_stage} (Esc stops)")
    elif interface.setup_message:
        failed = interface.setup_failed
        wording.wrapped(box, context, interface.setup_message, icon="ERROR" if failed else "CHECKMARK", alert=failed)


def _draw_report(preferences: LimelightPreferences, box: bpy.types.UILayout, context: bpy.types.Context) -> None:
    if not preferences.doctor_report:
        wording.wrapped(box, context, "Press Verify Engine to list the devices and their memory.", icon="INFO")
        return
    for device in json.loads(preferences.doctor_report).get("devices", []):
        memory = device.get("memory_gb")
        room = f": {memory:.1f} GB of memory" if isinstance(memory, int | float) else ""
        box.label(text=f"{device.get('name', device.get('id', '?'))}{room}", icon="DOT")
