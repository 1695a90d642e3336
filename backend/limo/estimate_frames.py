# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of a sequence's frames: painted by a painter, fitted together over time, written as a picture's is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..optics import panorama as pano
from .energy import PAINTED
from .fit_frames import Carry, fit_frames
from .front import Front, blend_front, front_of
from .job import LightJob
from .output import describe, write_probe
from .painter import SequencePainter, SpherePainter, Spheres
from .sequence import AHEAD, KEEP, chunks
from .shot import Shot
from .start import Found
from .view import Probe, View

#: Spheres are painted so many frames at once, unless the painter knows better: what a killed run loses at most.
_BLOCK = 8


def turned(spheres: Spheres, turn: Tensor | None) -> Spheres:
    """The same spheres with all directions turned by (3, 3)."""
    return spheres if turn is None else dataclasses.replace(spheres, view=spheres.view.turned(turn))


def common_turns(placements: Sequence[Tensor | None]) -> list[Tensor | None]:
    """For cameras (4, 4) of consecutive frames, turns (3, 3) to axes that they share: the world's if they differ."""
    known = [each for each in placements if each is not None]
    if len(known) < len(placements) or all(torch.equal(each, known[0]) for each in known):
        return [None] * len(placements)
    return [pano.world_axes(each[:3, :3]) for each in known]


class FrameEstimator(Shot):
    """A :class:`limelight.backend.limo.sequence.SequenceLight`; ``rows`` are those of the fitted map."""

    def __init__(
        self,
        painter: SpherePainter,
        steps: int,
        rows: int,
        parts: Mapping[int, LightJob],
        placed: Mapping[str, Any] | None,
        first: Mapping[int, LightJob],
    ) -> None:
        super().__init__(parts, painter, steps, placed, first)
        self.rows = rows
        self.block: int = getattr(painter, "block", _BLOCK)
        self._seconds: dict[str, float] = {}
        self._found: dict[int, tuple[int | None, list[Found]]] = {}

    def paint(self, numbers: Sequence[int], progress: Callable[[float], None]) -> dict[int, list[Spheres]]:
        """See :meth:`Shot.paint`."""
        start = time.monotonic()
        painted = super().paint(numbers, progress)
        self._seconds["paint"] = round((time.monotonic() - start) / len(numbers), 3)
        return painted

    def fit(
        self,
        spheres: Mapping[int, Sequence[Spheres]],
        keep: int,
        before: Sequence[Carry] | None,
        progress: Callable[[float], None],
    ) -> tuple[dict[int, list[Tensor]], list[Carry]]:
        """Environments (rows, 2·rows, 3) of the first ``keep`` frames, in the axes of :meth:`turn`, and carries."""
        start = time.monotonic()
        numbers = list(spheres)
        environments: dict[int, list[Tensor]] = {number: [] for number in numbers[:keep]}
        carries: list[Carry] = []
        count = len(spheres[numbers[0]])
        for index in range(count):

            def tell(fraction: float, done: int = index) -> None:
                progress((done + fraction) / count)

            # What the chunk before looked at past its end is known.
            first, known = self._found.get(index, (None, []))
            fronts = [self._front(number, index) for number in numbers[:keep] if self.parts[number].front]
            fitted = fit_frames(
                [turned(each[index], self.turn(number)) for number, each in spheres.items()],
                height=self.rows,
                keep=keep,
                before=None if before is None else before[index],
                found=known if first == numbers[0] else [],
                error=PAINTED,
                fronts=fronts,
                progress=tell,
            )
            for number, environment in zip(numbers, fitted.environments, strict=False):
                environments[number].append(environment)
            carries.append(fitted.carries[-1])
            self._found[index] = (numbers[keep] if keep < len(numbers) else None, fitted.found[keep:])
        self._seconds["fit"] = round((time.monotonic() - start) / keep, 3)
        return environments, carries

    def _front(self, number: int, index: int) -> Front:
        """What a frame's photo shows around one of its probes, to be laid over a fitted map."""
        view, probe = self.view(number)[0], self.probes(number)[index]
        return front_of(view, probe, self.rows, self.turn(number))

    def write(
        self,
        folder: Path,
        number: int,
        environments: Sequence[Tensor],
        spheres: Sequence[Spheres],
        before: Sequence[Sequence[Sequence[float]]],
    ) -> dict[str, Any]:
        """Lay the photo's front over a frame's environments and write its files; returns its result."""
        start = time.monotonic()
        job, (view, source), turn = self.parts[number], self.view(number), self.turn(number)
        folder.mkdir(exist_ok=True)
        height, entries = job.size // 2, []
        for index, (probe, fitted, painted) in enumerate(zip(self.probes(number), environments, spheres, strict=True)):
            whole = blend_front(fitted, view, probe, height, turn) if job.front else pano.resize(fitted, height)
            whole = self.in_frame(whole, number)
            lamps = before[index] if index < len(before) else ()
            entries.append(write_probe(folder, job, view, index, probe, whole, painted, turn is not None, lamps))
        seconds = {**self._seconds, "write": round(time.monotonic() - start, 3)}
        return describe(job, view, source, seconds, entries)


def estimate_frames(
    views: Sequence[View],
    probes: Sequence[Probe],
    *,
    painter: SequencePainter,
    steps: int,
    rows: int,
    height: int,
    seed: int = 0,
    front: bool = True,
) -> list[Tensor]:
    """Environments (height, 2·height, 3), camera frame, of one probe in consecutive frames, all in memory.

    :func:`limelight.backend.limo.estimate.estimate` over time; a long sequence is better a job of files.
    """
    spheres = painter.paint_frames(views, probes, steps=steps, seed=seed, progress=lambda fraction: None)
    turns = common_turns([view.camera_to_world for view in views])
    found: list[Tensor] = []
    before: Carry | None = None
    looked: list[Found] = []
    for start, end in chunks(len(views)):
        window = range(start, min(start + KEEP + AHEAD, len(views)))
        fitted = fit_frames(
            [turned(spheres[t], turns[t]) for t in window],
            height=rows,
            keep=end - start,
            before=before,
            found=looked,
            error=PAINTED,
            fronts=[front_of(views[t], probes[t], rows, turns[t]) for t in range(start, end) if front],
        )
        before, looked = fitted.carries[-1], fitted.found[end - start :]
        for t, environment in zip(range(start, end), fitted.environments, strict=True):
            laid = blend_front(environment, views[t], probes[t], height, turns[t]) if front else environment
            whole = pano.resize(laid, height)
            placement = views[t].camera_to_world
            moved = turns[t] is not None and placement is not None
            found.append(pano.to_camera(whole, placement[:3, :3]) if moved and placement is not None else whole)
    return found
