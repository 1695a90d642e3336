# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of shots of a file: ``shots.jobs`` in the folder of its light; the command line can work it off too.

Files that lie side by side have one list, and each sees its own shots: those that it put there under the name that it
has now, those that it remembers, and those of nobody.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from . import state

if TYPE_CHECKING:
    from ..bridge import JobList
    from ..bridge.joblist import Entry
    from ..scene.shot_folder import Owners

NAME = "shots.jobs"
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
        if _known is None or _known.path != there.absolute() or _known.is_lost:
            _known = JobList(there)
        else:
            _known.refresh()
    except JobListError:
        _known = None
    return _known


def own(found: JobList) -> list[Entry]:
    """The shots of this file on a list."""
    from ..scene import shot_folder

    scenes = [scene for scene in bpy.data.scenes if scene.library is None]
    names = {shot.name for scene in scenes for shot in scene.limelight.frames.listed}
    tokens = {token.name for scene in scenes for token in scene.limelight.tokens}
    folder, file = str(found.path.parent), Path(bpy.data.filepath)

    def is_own(entry: Entry) -> bool:
        # Asked of every shot whenever anything changes: of its paths only this one is made whole.
        if not {"out", "range"} <= entry.params.keys():
            return True
        owners = shot_folder.owners(os.path.join(folder, entry.params["out"]), entry.params["range"])
        if owners is None or file in owners.files:
            return True
        # Another list may have a shot of the same name.
        return entry.id in names and not tokens.isdisjoint(owners.tokens)

    return [entry for entry in found.entries.values() if is_own(entry)]


def refresh(context: bpy.types.Context) -> bool:
    """Show the list as it stands on disk; True if anything changed."""
    rows = state.see(context).job_rows
    found = listed(context.scene)
    fresh = [] if found is None else [
        (e.id, e.state, e.fraction, f"{e.text} {e.remedy}".strip() or e.stage) for e in own(found)
    ]  # fmt: skip
    if fresh == [(row.name, row.state, row.fraction, row.text) for row in rows]:
        return False
    rows.clear()
    for name, what, fraction, text in fresh:
        row = rows.add()
        row.name, row.state, row.fraction, row.text = name, what, fraction, text
    return True


def load(params: Mapping[str, Any]) -> list[bpy.types.Object]:
    """Load what the engine made of a shot's request into the scene that it is of; the probes that got light.

    Raises ``ValueError`` or ``OSError`` with a sentence if something is gone.
    """
    from ..scene import results_frames, shot_folder, shot_range

    folder = Path(params["out"])
    told = shot_folder.told(folder)
    if not told:
        raise ValueError(f"its folder “{folder.name}” is gone: put it back, or add the shot anew")
    name = told.get("scene", "")
    scene, known = _place(shot_folder.owners(folder, params["range"]), name)
    if scene is None:
        raise ValueError(f"“{folder.name}” is of the scene “{name}”, which is not in this file")
    frames = {number - told["shift"]: number for number in shot_range.numbers(params["range"])}
    lit = results_frames.load_shot(scene, folder, frames, known)
    if not lit:
        raise ValueError(f"no probe of “{folder.name}” is in this scene: call one as it was called when it was listed")
    return lit


def _place(
    owners: Owners | None, name: str
) -> tuple[bpy.types.Scene | None, dict[str, bpy.types.Object | None] | None]:
    """The scene of a shot that was called ``name``, and its probes by their names then, whatever they are called by
    now; what no token tells goes by those names, of probes all if they are None."""
    from ..scene import origin, probes

    found = {} if owners is None else {
        scene: {called: probe for token, called in owners.tokens.items() if (probe := origin.held(scene, token))}
        for scene in bpy.data.scenes
        if scene.library is None
    }  # fmt: skip

    def likeness(scene: bpy.types.Scene) -> tuple[bool, int]:
        # Copies of a scene hold the same tokens.
        return scene.name == name, sum(probe.name == called for called, probe in found[scene].items())

    scene = max((scene for scene, there in found.items() if there), key=likeness, default=None)
    if owners is None or scene is None:
        return bpy.data.scenes.get((name, None)), None
    there = found[scene]
    others = {called: probes.named(scene, called) for called in owners.tokens.values() if called not in there}
    return scene, there | {called: probe for called, probe in others.items() if probe not in there.values()}
