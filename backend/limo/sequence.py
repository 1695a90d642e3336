# SPDX-License-Identifier: GPL-3.0-or-later
"""Light of an image sequence: every frame estimated like a picture, with one seed, into numbered files.

A probe has a folder of frames for each kind of file: ``probe_0/0001.exr``, ``probe_0_fill/0001.exr``,
``probe_0_spheres/0001.exr`` and ``probe_0_preview/0001.png``. ``frames/0001.json`` comes last and so marks a frame as
done; the next run goes on after it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import BadInput, Cancelled, LimelightError
from .frames import Frames, check_sizes, list_frames
from .job import LightJob
from .output import staged, write_json
from .report import PartReport, Report

_KINDS = ("environment", "fill", "spheres", "preview")
#: What of a job does not change its result, or is a frame's own.
_FREE = {"images", "out", "depth", "device", "range", "overwrite", "track"}
#: What a track gives each frame of its own.
_MOVES = {"camera", "camera_to_world", "probes"}
Light = Callable[[LightJob, Report], dict[str, Any]]


def run_sequence(job: LightJob, frames: Frames, report: Report, light: Light) -> dict[str, Any]:
    """Estimate every frame that is not there yet by ``light``; returns what result.json holds.

    A cancelled or failed run leaves the frames that were finished, and nothing of the one that was not.
    """
    report.progress(0.0, f"Looking at {len(frames.paths)} frames")
    check_sizes(frames)
    depths = _depths(job, frames)
    parts = {number: _part(job, number, path, depths[number]) for number, path in frames.paths.items()}
    todo = [n for n, part in parts.items() if job.overwrite or not _is_done(job.out, _name(frames, n), part, n)]
    with staged(job.out) as work:
        for done, number in enumerate(todo):
            name = f"Frame {number} ({done + 1} of {len(todo)})"
            part_report = PartReport(report, done / len(todo), 1 / len(todo), name)
            try:
                result = light(dataclasses.replace(parts[number], out=work / "frame"), part_report)
            except (Cancelled, KeyboardInterrupt) as error:
                raise Cancelled(remedy=f"{done} of {len(todo)} frames are done; run it again to go on.") from error
            except LimelightError as error:
                raise type(error)(f"Frame {number}: {error.text}", error.remedy, error.code) from error
            _put(work / "frame", job.out, _name(frames, number), _record(result, parts[number], number))
        result = _summary(job, frames, len(todo))
        write_json(work / "result.json", result)
    report.progress(1.0, "Done")
    return result


def _part(job: LightJob, number: int, path: Path, depth: Path | None) -> LightJob:
    """The job of one frame."""
    part = dataclasses.replace(job, images=[path], depth=depth)
    return part if job.track is None else job.track.part(part, number)


def _name(frames: Frames, number: int) -> str:
    return f"{number:0{frames.digits}d}"


def _depths(job: LightJob, frames: Frames) -> dict[int, Path | None]:
    """Each frame's depth map: of a sequence the one of its number, else the one map or none for all."""
    found = list_frames([job.depth]) if job.depth is not None else None
    if found is None:
        return dict.fromkeys(frames.paths, job.depth)
    missing = next((n for n in frames.paths if n not in found.paths), None)
    if missing is not None:
        raise BadInput(
            f"The depth maps {found.pattern} lack frame {missing}.", "Give one for each frame, or one map for all."
        )
    return {n: found.paths[n] for n in frames.paths}


def _settings(part: LightJob) -> dict[str, Any]:
    """What decides a frame's result, as JSON gives it back."""
    values = {k: v for k, v in vars(part).items() if k not in _FREE}
    values["probes"] = [dataclasses.asdict(probe) for probe in part.probes]
    if part.camera_to_world is not None:
        values["camera_to_world"] = part.camera_to_world.tolist()
    values["depth"] = None if part.depth is None else str(part.depth.resolve())
    values["image"] = str(part.images[0].resolve())
    return json.loads(json.dumps(values))  # type: ignore[no-any-return]


def _record(result: dict[str, Any], part: LightJob, number: int) -> dict[str, Any]:
    return {"number": number, **result, "settings": _settings(part)}


def _read(path: Path) -> dict[str, Any] | None:
    """A frame's record; None where there is none or it is of no use."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("settings"), dict) else None


def _is_done(out: Path, name: str, part: LightJob, number: int) -> bool:
    """Whether a frame is there whole; raises :class:`BadInput` if it was made from another input or otherwise."""
    record = _read(out / "frames" / f"{name}.json")
    if record is None or not all((out / entry[k]).is_file() for entry in record["probes"] for k in _KINDS):
        return False
    then, now = record["settings"], _settings(part)
    other = next((key for key in now if then.get(key) != now[key]), None)
    if other is not None:
        told = f" ({then.get(other)}, now {now[other]})" if not isinstance(now[other], (list, dict)) else ""
        raise BadInput(
            f"Frame {number} in {out} was estimated with another {other}{told}.",
            "Use another folder, or --overwrite to estimate it anew.",
        )
    return True


def _put(made: Path, out: Path, name: str, record: dict[str, Any]) -> None:
    """Move a frame's files from the folder ``made`` to their numbered places, its record last."""
    for entry in record["probes"]:
        for kind in _KINDS:
            stem, suffix = os.path.splitext(entry[kind])
            entry[kind] = f"{stem}/{name}{suffix}"
            (out / stem).mkdir(exist_ok=True)
            os.replace(made / f"{stem}{suffix}", out / entry[kind])
    (out / "frames").mkdir(exist_ok=True)
    (made / "result.json").unlink()
    made.rmdir()
    write_json(out / "frames" / f"{name}.json", record)


def _summary(job: LightJob, frames: Frames, estimated: int) -> dict[str, Any]:
    """What ``job.out`` holds: the frames of this run, and those of earlier ones with the same settings."""
    records = {}
    free = {"image", "depth"} if job.track is None else {"image", "depth"} | _MOVES
    ours = {k: v for k, v in _settings(job).items() if k not in free}
    for path in (job.out / "frames").glob("*.json"):
        record = _read(path)
        if record is not None and all(record["settings"].get(k) == v for k, v in ours.items()):
            records[int(record["number"])] = record
    # What is the same for all frames stands once, above them.
    shared = {"settings", "version", "frame", "model", "quality", "seed", "take"}
    shown = [{k: v for k, v in records[n].items() if k not in shared} for n in sorted(records)]
    mask = "#" * frames.digits
    probes = [
        {"name": entry["name"], **{kind: re.sub(r"/\d+\.", f"/{mask}.", entry[kind]) for kind in _KINDS}}
        for entry in shown[-1]["probes"]
    ]
    return {
        "version": 1,
        "images": frames.pattern,
        "frame": job.frame,
        "model": job.model,
        "quality": job.quality,
        "seed": job.seed,
        "take": job.take,
        "estimated": estimated,
        "kept": len(frames.paths) - estimated,
        "warnings": list(dict.fromkeys(text for record in shown for text in record["warnings"])),
        "probes": probes,
        "frames": shown,
    }
