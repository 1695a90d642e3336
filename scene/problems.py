# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps an estimate from starting, all at once, each with the button that repairs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from . import camera as cameras
from . import frames, probes, sight


@dataclass(frozen=True)
class Problem:
    """A sentence, and the operator (with its properties) that mends it; None if only the artist can."""

    text: str
    operator_idname: str | None = None
    operator_label: str = ""
    properties: dict[str, Any] = field(default_factory=dict)


def find_problems(context: bpy.types.Context, *, quick: bool = False) -> list[Problem]:
    """Everything that is missing or wrong in the scene; empty when an estimate may start.

    ``quick`` leaves out what needs rays into the geometry, which takes long where meshes change all the time.
    """
    scene, settings = context.scene, context.scene.limelight
    found = []
    if settings.source == "PLATE" and settings.plate is None:
        found.append(Problem("There is no photo", "limelight.set_plate", "Choose a photo"))
    if settings.source == "PLATE":
        try:
            frames.check(scene)
        except frames.NoFrame as error:
            to = {"data_path": "scene.frame_current", "value": error.nearest}
            go = ("wm.context_set_int", f"Go to frame {error.nearest}", to) if error.nearest is not None else ()
            found.append(Problem(str(error), *go))
    if scene.camera is None:
        found.append(Problem("The scene has no camera", "limelight.add_camera", "Add a camera"))
    elif scene.camera.data.type != "PERSP":
        found.append(Problem(f"“{scene.camera.name}” is no perspective camera"))
    if settings.source == "PLATE" and settings.depth_source == "FILE":
        path = bpy.path.abspath(settings.depth_file)
        if not path or not Path(path).is_file():
            found.append(Problem("The depth file is missing: choose one, or let the engine estimate the depth"))
    wanted = probes.used(scene)
    if not wanted:
        hint = "Switch a probe on in the list" if probes.probes(scene) else "There is no probe yet"
        operator = None if probes.probes(scene) else "limelight.add_probe"
        found.append(Problem(hint, operator, "Add a probe" if operator else ""))
    if scene.camera is not None and scene.camera.data.type == "PERSP":
        found += [p for probe in wanted if (p := _misplaced(context, probe, quick)) is not None]
    return found


def _misplaced(context: bpy.types.Context, probe: bpy.types.Object, quick: bool) -> Problem | None:
    scene = context.scene
    assert scene.camera is not None
    u, v, depth = cameras.project(scene, scene.camera, probe.matrix_world.translation)
    select = ("limelight.select_probe", "Select it", {"name": probe.name})
    if depth <= 0:
        return Problem(f"{probe.name} is behind the camera", *select)
    if not (0 <= u <= 1 and 0 <= v <= 1):
        return Problem(f"{probe.name} is outside the picture", *select)
    if probes.radius_in_world(probe) >= 0.5 * depth:
        return Problem(f"{probe.name} is too large for its distance from the camera", *select)
    cover = None if quick else sight.cover(context, probe)
    if cover is not None:
        text = f"{probe.name} is hidden from the camera by {cover.what}"
        return Problem(text, "limelight.reveal_probe", "Move it in front", {"name": probe.name})
    return None
