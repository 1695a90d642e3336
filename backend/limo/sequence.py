# SPDX-License-Identifier: GPL-3.0-or-later
"""Light of an image sequence: painted with one noise, fitted together over time, into numbered files.

Frames are done in chunks, so that memory stays flat with length. A chunk's fit looks at some frames past its end, and
starts from the last frame of the chunk before, which stays as it is. A run that was broken off goes on: frames that are
done are kept, and so are spheres that are painted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ..errors import BadInput, Cancelled
from .fit_frames import Carry
from .frames import Frames, check_sizes, list_frames
from .job import LightJob
from .output import staged, write_json
from .painter import Spheres
from .report import Report
from .sequence_files import SequenceFolder
from .view import Probe, View

#: Frames of a chunk, and how many past its end its fit looks at: 21 in all.
KEEP, AHEAD = 16, 5
#: Share of the work that is painting; the rest is the fit.
_PAINTING = 0.6


class SequenceLight(Protocol):
    """What estimates the light of frames in a row; spheres are best painted ``block`` frames at once."""

    block: int

    def view(self, number: int) -> tuple[View, str]:
        """A frame's picture, and where its depth came from."""

    def probes(self, number: int) -> list[Probe]:
        """Where the probes are in a frame."""

    def paint(self, numbers: Sequence[int], progress: Callable[[float], None]) -> dict[int, list[Spheres]]:
        """The spheres of frames in a row, one a probe."""

    def fit(
        self,
        spheres: Mapping[int, Sequence[Spheres]],
        keep: int,
        before: Sequence[Carry] | None,
        progress: Callable[[float], None],
    ) -> tuple[dict[int, list[Tensor]], list[Carry]]:
        """Environments of the first ``keep`` of frames in a row, one a probe, and what the last of these hands on."""

    def write(
        self,
        folder: Path,
        number: int,
        environments: Sequence[Tensor],
        spheres: Sequence[Spheres],
        before: Sequence[Sequence[Sequence[float]]],
    ) -> dict[str, Any]:
        """Write a frame's files as a picture's; returns its result. ``before``: each probe's lamps a frame earlier."""


#: Makes what estimates the frames: of the jobs by number, of an earlier run's record, and of the job of the first frame
#: where that is none of them.
MakeLight = Callable[[Mapping[int, LightJob], Mapping[str, Any] | None, Mapping[int, LightJob]], SequenceLight]


def run_sequence(job: LightJob, frames: Frames, report: Report, make: MakeLight) -> dict[str, Any]:
    """Estimate every frame that is not there yet; returns what result.json holds.

    A cancelled or failed run leaves the frames that were finished, and nothing of the one that was not.
    """
    report.progress(0.0, f"Looking at {len(frames.paths)} frames")
    check_sizes(frames)
    depths = _depths(job, frames)
    parts = {number: _part(job, number, path, depths[number]) for number, path in frames.paths.items()}
    folder = SequenceFolder(job, frames)
    records = {n: None if job.overwrite else folder.record(n, part) for n, part in parts.items()}
    todo = [n for n, record in records.items() if record is None]
    with staged(job.out) as work:
        if todo:
            light = make(parts, next((record for record in records.values() if record), None), _first(job, frames))
            _Run(folder, parts, todo, light, work, report, anew=job.overwrite).run()
        folder.finish()
        result = folder.summary(parts, len(todo))
        write_json(work / "result.json", result)
    report.progress(1.0, "Done")
    return result


def _part(job: LightJob, number: int, path: Path, depth: Path | None) -> LightJob:
    """The job of one frame."""
    part = dataclasses.replace(job, images=[path], depth=depth)
    return part if job.track is None else job.track.part(part, number)


def _first(job: LightJob, frames: Frames) -> dict[int, LightJob]:
    """The job of frame ``job.first`` by its number; nothing where that is not said, or a track tells where all is."""
    if job.first is None or job.track is not None:
        return {}
    known = frames if job.first in frames.paths else list_frames(job.images, True)
    if known is None or job.first not in known.paths:
        raise BadInput(f"{frames.pattern} has no frame {job.first}.", "Let 'first' be the number of one of its frames.")
    alone = Frames(frames.pattern, {job.first: known.paths[job.first]})
    return {n: _part(job, n, alone.paths[n], depth) for n, depth in _depths(job, alone).items()}


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


class _Run:
    """One run over the frames that are to do."""

    def __init__(
        self,
        folder: SequenceFolder,
        parts: Mapping[int, LightJob],
        todo: Sequence[int],
        light: SequenceLight,
        work: Path,
        report: Report,
        anew: bool,
    ) -> None:
        self.folder, self.parts, self.todo, self.light = folder, parts, list(todo), light
        self.work, self.report, self.anew = work, report, anew
        self.numbers = list(parts)
        self.painted: dict[int, list[Spheres]] = {}
        self.done, self.fitted, self.brushed = 0, 0, 0

    def run(self) -> None:
        """Chunk after chunk; raises :class:`Cancelled` that tells how far it came."""
        try:
            before: list[Carry] | None = None
            for start, end in chunks(len(self.numbers)):
                kept = self.numbers[start:end]
                if any(n in self.todo for n in kept):
                    if before is None and start > 0 and not self.anew:
                        before = self.folder.carries(self.numbers[start - 1], len(self.parts[kept[0]].probes))
                    before = self._chunk(kept, self.numbers[start : start + KEEP + AHEAD], before)
                else:
                    before = None
        except (Cancelled, KeyboardInterrupt) as error:
            told = f"{self.done} of {len(self.todo)} frames are done; run it again to go on."
            raise Cancelled(remedy=told) from error

    def _chunk(self, kept: list[int], window: list[int], before: list[Carry] | None) -> list[Carry]:
        """Do the frames ``kept``, by what ``window`` shows; returns what the last of them hands on."""
        self.painted = {n: spheres for n, spheres in self.painted.items() if n in window}
        for start in range(0, len(window), self.light.block):
            self._paint(window[start : start + self.light.block])
        stage = f"Fitting the light of frames {kept[0]} to {kept[-1]}"
        wanted = [n for n in kept if n in self.todo]

        def fitting(fraction: float) -> None:
            self._tell(stage, fraction * len(wanted))

        found, carries = self.light.fit({n: self.painted[n] for n in window}, len(kept), before, fitting)
        self.fitted += len(wanted)
        for number in wanted:
            self.report.check()
            at = self.numbers.index(number)
            lamps = self.folder.lamps(self.numbers[at - 1]) if at else []
            result = self.light.write(self.work / "frame", number, found[number], self.painted[number], lamps)
            self.folder.put_frame(self.work / "frame", number, self.parts[number], result)
            self.done += 1
            self._tell(f"Frame {number} ({self.done} of {len(self.todo)})")
        self.folder.put_carries(kept[-1], carries)
        return carries

    def _paint(self, numbers: list[int]) -> None:
        """Have the spheres of these frames: from before, from disk, or painted now."""
        for number in numbers:
            if number not in self.painted and not self.anew:
                there = self.folder.spheres(number, self.parts[number])
                if there is not None:
                    self.painted[number] = there
        missing = [n for n in numbers if n not in self.painted]
        if not missing:
            return
        stage = f"Painting frames {missing[0]} to {missing[-1]}"

        def painting(fraction: float) -> None:
            self._tell(stage, brushed=fraction * len(missing))

        painting(0.0)
        found = self.light.paint(range_of(self.numbers, missing), painting)
        for number in missing:
            probes = self.light.probes(number)
            preview = self.folder.put_spheres(self.work, number, self.parts[number], probes, found[number])
            self.painted[number] = found[number]
            self.report.preview(preview)
        self.brushed += len(missing)

    def _tell(self, stage: str, fitted: float = 0.0, brushed: float = 0.0) -> None:
        self.report.check()
        whole = len(self.todo)
        fits = 0.9 * (self.fitted + fitted) + 0.1 * self.done
        share = _PAINTING * (self.brushed + brushed) + (1 - _PAINTING) * fits
        self.report.progress(min(0.02 + 0.97 * share / whole, 0.99), stage)


def chunks(count: int) -> list[tuple[int, int]]:
    """First frame and end of each chunk; a rest that the last one's fit looks at anyway is part of it."""
    found: list[tuple[int, int]] = []
    while not found or found[-1][1] < count:
        start = found[-1][1] if found else 0
        found.append((start, start + KEEP if count > start + KEEP + AHEAD else count))
    return found


def range_of(numbers: Sequence[int], some: Sequence[int]) -> list[int]:
    """All numbers from the first to the last of ``some``."""
    return list(numbers[numbers.index(some[0]) : numbers.index(some[-1]) + 1])
