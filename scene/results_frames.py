# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's answer for a sequence into the file: maps as image sequences, lamps and places by frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from . import camera as cameras
from . import lamps, light_frames, probes, results, shot_folder

#: What of an answer's entry is a file of light.
_MAPS = ("environment", "fill")


def load_shot(
    scene: bpy.types.Scene,
    folder: Path,
    frames: Mapping[int, int],
    known: Mapping[str, bpy.types.Object | None] | None = None,
) -> list[bpy.types.Object]:
    """:func:`load_results` of what the engine left in ``folder``: the whole of a long sequence is not on the wire."""
    whole = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return load_results(scene, folder, whole, frames, known)


def load_results(
    scene: bpy.types.Scene,
    folder: Path,
    result: Mapping[str, Any],
    frames: Mapping[int, int],
    known: Mapping[str, bpy.types.Object | None] | None = None,
) -> list[bpy.types.Object]:
    """Store the light of every probe at the frames of the scene whose numbers in files are ``frames``' values.

    The files stay in ``folder``. ``known`` are the probes by their names in the answer, None for one that is gone;
    without it the scene's of these names. Returns those that got light. Raises ``ValueError`` if a frame is missing.
    """
    lit = []
    by_number = {int(record["number"]): record for record in result["frames"]}
    missing = [frame for frame, number in frames.items() if number not in by_number]
    if missing:
        raise ValueError(f"the engine's answer lacks frame {missing[0]}")
    for name in [entry["name"] for entry in by_number[next(iter(frames.values()))]["probes"]]:
        probe = probes.named(scene, name) if known is None else known.get(name)
        if probe is None:
            continue
        found = {f: _entry(by_number[number], name) for f, number in sorted(frames.items())}
        _store(scene, probe, folder, found, frames)
        notes = [*result.get("warnings", []), *(note for e in found.values() for note in e.get("warnings", []))]
        probe.limelight.status = notes[0] if notes else "Estimated"
        lamps.renew(scene, probe)
        lit.append(probe)
    return lit


def _entry(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in record["probes"] if entry["name"] == name)


def _store(
    scene: bpy.types.Scene,
    probe: bpy.types.Object,
    folder: Path,
    found: dict[int, dict[str, Any]],
    frames: Mapping[int, int],
) -> None:
    light, span, unit = probe.limelight, (min(found), max(found)), cameras.metres(scene)
    first, done = found[span[0]], shot_folder.done(folder)
    for kind in _MAPS:
        path = folder / first[kind]
        light_frames.complete(path.parent, sorted(frames.values()), len(path.stem), done)
        fresh = light_frames.load(path, span)
        name = f"{probe.name} {'light' if kind == 'environment' else kind}"
        results.take_place(getattr(light, kind), fresh, name, probe)
        setattr(light, kind, fresh)
        light_frames.show_everywhere(fresh)
    light.spheres = results.load_image(light.spheres, folder / first["spheres"], f"{probe.name} spheres")
    light.lamps = json.dumps(first["lamps"])
    spread = first.get("spread") or {"brightness_stops": -1.0, "direction_deg": -1.0}
    light.spread = spread["brightness_stops"], spread["direction_deg"]
    places = [[value / unit for value in entry["position_world"]] for entry in found.values()]
    light_frames.Track(list(found), [entry["lamps"] for entry in found.values()], places).store(probe)
