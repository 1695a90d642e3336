# SPDX-License-Identifier: GPL-3.0-or-later
"""Never run, only type-checked: fails the check if the plugin stops to know what it knows.

A misspelt name that is ignored here must be an error, or mypy complains that there was nothing to ignore.
"""

from __future__ import annotations

from typing import assert_type

import bpy

from ...operators import state
from ...properties import ProbeLight, SceneSettings
from ...scene import probes, world


def attributes(context: bpy.types.Context, thing: bpy.types.Object) -> None:
    """What Limelight registers has its own types and knows its own names."""
    assert_type(context.scene.limelight, SceneSettings)
    assert_type(thing.limelight, ProbeLight)
    assert_type(state.get(context), state.InterfaceState)
    thing.limelight.is_prob = True  # type: ignore[attr-defined]
    context.scene.limlight.seed = 1  # type: ignore[attr-defined]
    thing.matrix_wrld.copy()  # type: ignore[attr-defined]


def absences(context: bpy.types.Context) -> None:
    """What may be missing has to be asked for, also across rooms."""
    assert_type(context.scene.objects.get("Probe"), bpy.types.Object | None)
    probes.radius_in_world(context.scene.camera)  # type: ignore[arg-type]
    world.update(context.scene.world)  # type: ignore[arg-type]
    context.window.cursor_modal_restore()  # type: ignore[union-attr]
