# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of shots of a file: ``shots.jobs`` in the folder of its light; the command line can work it off too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ..scene.handle import Handle
from . import state

if TYPE_CHECKING:
    from ..bridge import JobList

NAME = "shots.jobs"
#: Scenes by name, each with its probes by name.
Held = dict[str, tuple[Handle, dict[str, Handle]]]
#: The list that was read last, and its file's time and size, so that looking again costs little.
_known: JobList | None = None


def path(scene: bpy.types.Scene) -> Path:
    """The list's file; it need not be there."""
    from ..scene import shot_range

    return shot_range.base(scene) / NAME


def listed(scene: bpy.types.Scene) -> JobList | None:
    """The list as it stands on disk; None if there is none or it cannot be read."""
    global _known
    from ..bridge import JobList
    from ..bridge.joblist import JobListError

    there = path(scene)
    if not there.is_file():
        return None
    try:
        if _known is None or _known.path != there.absolute():
            _known = JobList(there)
        else:
            _known.refresh()
    except JobListError:
        _known = None
    return _known


def refresh(context: bpy.types.Context) -> bool:
    """Show the list as it stands on disk; True if anything changed."""
    rows = state.get(context).job_rows
    found = listed(context.scene)
    fresh = [] if found is None else [
        (e.id, e.state, e.fraction, f"{e.text} {e.remedy}".strip() or e.stage) for e in found.entries.values()
    ]  # fmt: skip
    if fresh == [(row.name, row.state, row.fraction, row.text) for row in rows]:
        return False
    rows.clear()
    for name, what, fraction, text in fresh:
        row = rows.add()
        row.name, row.state, row.fraction, row.text = name, what, fraction, text
    return True


def held() -> Held:
    """The scenes of this file and their probes as they are called now, to be found again under other names."""
    from ..scene import probes

    return {
        scene.name: (Handle.of(scene), {probe.name: Handle.of(probe) for probe in probes.probes(scene)})
        for scene in bpy.data.scenes
    }


def load(params: Mapping[str, Any], held: Held | None = None) -> list[bpy.types.Object]:
    """Load what the engine made of a shot's request into the scene that it is of; the probes that got light.

    ``held`` knows what was called differently when the list was begun. Raises ``ValueError`` or ``OSError`` with a
    sentence if something is gone.
    """
    from ..scene import results_frames, shot_folder, shot_range

    folder = Path(params["out"])
    told = shot_folder.told(folder)
    name = told.get("scene", "")
    known, probes = (held or {}).get(name, (None, {}))
    scene = bpy.data.scenes.get(name) if known is None else known.find(bpy.data.scenes)
    if scene is None:
        raise ValueError(f"“{folder.name}” is of the scene “{name}”, which is not in this file")
    frames = {number - told["shift"]: number for number in shot_range.numbers(params["range"])}
    found = {name: thing for name, probe in probes.items() if (thing := probe.find(scene.objects)) is not None}
    lit = results_frames.load_shot(scene, folder, frames, found if known is not None else None)
    if not lit:
        raise ValueError(f"no probe of “{folder.name}” is in this scene: call one as it was called when it was listed")
    return lit
