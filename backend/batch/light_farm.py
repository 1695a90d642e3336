# SPDX-License-Identifier: GPL-3.0-or-later
"""A light job on a cluster: a sequence in a part a worker, a picture probe by probe, a movie as a whole."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...bridge.batch import Batch, Seat
from ...bridge.joblist import JobList
from ..errors import Cancelled, of_code
from ..limo.frames import Frames, find_frames
from ..limo.job import LightJob, settings_of
from ..limo.output import staged, write_json
from ..limo.report import Report
from ..optics.photo import is_video
from .farm import RETRIES, seats
from .light_jobs import cut

#: Shorter parts of a sequence are not worth it: each is fitted apart, so that light may differ a little between them.
SHORTEST = 16


def run_light_on(address: str, job: LightJob, params: dict[str, Any], report: Report) -> dict[str, Any]:
    """Do a job on the cluster at ``address``; returns what result.json holds. ``params`` are those of ``job``.

    The cluster's machines need pictures and ``out`` under the same paths. Frames that are done stay if it is cancelled.
    """
    whole = len(job.images) == 1 and is_video(job.images[0])
    frames = None if whole else find_frames(job.images, job.range)
    # What one picture has no use for is told by the engine.
    whole |= frames is None and job.track is not None
    workers = seats(address, 1 if whole else len(job.probes) if frames is None else len(frames.paths), job.device)
    try:
        if whole:
            return by_one(job, params, workers, report)
        if frames is None:
            return by_probe(job, params, workers, report)
        return by_frames(job, frames, params, workers, report)
    finally:
        for worker in workers:
            worker.stop()


def by_one(job: LightJob, params: dict[str, Any], workers: Sequence[Seat], report: Report) -> dict[str, Any]:
    """One worker does it all: frames of a movie are told one after the other."""
    paths = {**params, "images": [str(path.resolve()) for path in job.images], "out": str(job.out.resolve())}
    _work({job.images[0].name: paths}, {}, workers, report)
    found: dict[str, Any] = json.loads((job.out / "result.json").read_text(encoding="utf-8"))
    return found


def by_frames(
    job: LightJob, frames: Frames, params: dict[str, Any], workers: Sequence[Seat], report: Report
) -> dict[str, Any]:
    """Every worker has a part of the frames; a last job gathers what they made."""
    numbers = list(frames.paths)
    image = next(iter(frames.paths.values())).with_name(frames.pattern)
    params = {**params, "images": [str(image.resolve())], "out": str(job.out.resolve())}
    parts = cut(numbers, max(SHORTEST, math.ceil(len(numbers) / len(workers))))
    jobs = {f"frames {part}": {**params, "range": part, "first": numbers[0]} for part in parts}
    # What was just made is kept when the parts are gathered.
    whole = {**params, "range": cut(numbers, len(numbers))[0], "overwrite": False}
    _work(jobs, {"all frames": whole}, workers, report)
    found: dict[str, Any] = json.loads((job.out / "result.json").read_text(encoding="utf-8"))
    return found


def by_probe(job: LightJob, params: dict[str, Any], workers: Sequence[Seat], report: Report) -> dict[str, Any]:
    """Every probe is a job of its own; their files are named as those of one job, and appear together."""
    paths: dict[str, Any] = {**params, "images": [str(path.resolve()) for path in job.images]}
    if job.depth is not None:
        paths["depth"] = str(job.depth.resolve())
    with staged(job.out) as work:
        folders = [work.resolve() / f"part_{number}" for number in range(len(job.probes))]
        jobs = {
            f"{number} {probe.get('name', 'probe')}": {**paths, "probes": [probe], "out": str(folder)}
            for number, (probe, folder) in enumerate(zip(params["probes"], folders, strict=True))
        }
        _work(jobs, {}, workers, report)
        results = [json.loads((folder / "result.json").read_text(encoding="utf-8")) for folder in folders]
        entries = [_moved(result["probes"][0], folders[n], work, n) for n, result in enumerate(results)]
        seconds = {name: round(sum(result["seconds"][name] for result in results), 3) for name in results[0]["seconds"]}
        warnings = list(dict.fromkeys(text for result in results for text in result["warnings"]))
        told = {**results[0], "image": str(job.images[0]), "probes": entries, "seconds": seconds, "warnings": warnings}
        told["settings"] = settings_of(job)
        write_json(work / "result.json", told)
    return told


def _moved(entry: dict[str, Any], folder: Path, work: Path, number: int) -> dict[str, Any]:
    """A probe's entry with its files under the number that it has in the whole job."""
    for key, name in entry.items():
        if isinstance(name, str) and (folder / name).is_file():
            entry[key] = name.replace("probe_0", f"probe_{number}", 1)
            os.replace(folder / name, work / entry[key])
    (folder / "result.json").unlink()
    folder.rmdir()
    return entry


def _work(
    jobs: dict[str, dict[str, Any]], last: dict[str, dict[str, Any]], workers: Sequence[Seat], report: Report
) -> None:
    """Do jobs, then those of ``last``; raises what the first that failed said."""

    def tell(batch: Batch) -> None:
        entries = batch.listed.entries.values()
        over = sum(entry.over for entry in entries)
        report.progress(sum(entry.fraction for entry in entries) / len(entries), f"{over} of {len(entries)} parts")

    with tempfile.TemporaryDirectory(prefix="limelight-parts-") as folder:
        listed = JobList.make(Path(folder) / "parts.jobs")
        for id, params in jobs.items():
            listed.add("light", params, id)
        for id, params in last.items():
            listed.add("light", params, id, after=list(jobs))
        Batch(listed, workers, retries=RETRIES).wait(tell)
        for entry in listed.entries.values():
            if entry.state == "failed":
                raise of_code(entry.code, f"{entry.id}: {entry.text}", entry.remedy)
            if entry.state != "done":
                raise Cancelled(remedy="Run it again to go on.")
