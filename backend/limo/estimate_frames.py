# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of a sequence's frames: painted by a painter, fitted together over time, written as a picture's is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..optics import panorama as pano
from .fit_frames import Carry, fit_frames
from .front import blend_front
from .job import LightJob
from .output import describe, write_probe
from .painter import SpherePainter, Spheres
from .shot import Shot


class FrameEstimator(Shot):
    """A :class:`limelight.backend.limo.sequence.SequenceLight`; ``rows`` are those of the fitted map."""

    def __init__(
        self,
        painter: SpherePainter,
        steps: int,
        rows: int,
        parts: Mapping[int, LightJob],
        placed: Mapping[str, Any] | None,
    ) -> None:
        super().__init__(parts, painter, steps, placed)
        self.rows = rows
        self._seconds: dict[str, float] = {}

    def paint(self, numbers: Sequence[int], progress: Callable[[float], None]) -> dict[int, list[Spheres]]:
        """See :meth:`Shot.paint`."""
        start = time.monotonic()
        painted = super().paint(numbers, progress)
        self._seconds["paint"] = round((time.monotonic() - start) / len(numbers), 3)
        return painted

    def fit(
        self,
        spheres: Mapping[int, Sequence[Spheres]],
        before: Sequence[Carry] | None,
        progress: Callable[[float], None],
    ) -> tuple[dict[int, list[Tensor]], dict[int, list[Carry]]]:
        """Environments (rows, 2·rows, 3) of frames in a row, in the axes of :meth:`turn`, and what each hands on."""
        start = time.monotonic()
        environments: dict[int, list[Tensor]] = {number: [] for number in spheres}
        carries: dict[int, list[Carry]] = {number: [] for number in spheres}
        count = len(next(iter(spheres.values())))
        for index in range(count):

            def tell(fraction: float, done: int = index) -> None:
                progress((done + fraction) / count)

            series = [self._turned(number, each[index]) for number, each in spheres.items()]
            fitted = fit_frames(
                series, height=self.rows, before=None if before is None else before[index], progress=tell
            )
            for number, environment, carry in zip(spheres, fitted.environments, fitted.carries, strict=True):
                environments[number].append(environment)
                carries[number].append(carry)
        self._seconds["fit"] = round((time.monotonic() - start) / len(spheres), 3)
        return environments, carries

    def _turned(self, number: int, spheres: Spheres) -> Spheres:
        turn = self.turn(number)
        return spheres if turn is None else dataclasses.replace(spheres, view=spheres.view.turned(turn))

    def write(
        self, folder: Path, number: int, environments: Sequence[Tensor], spheres: Sequence[Spheres]
    ) -> dict[str, Any]:
        """Lay the photo's front over a frame's environments and write its files; returns its result."""
        start = time.monotonic()
        job, (view, source), turn = self.parts[number], self.view(number), self.turn(number)
        folder.mkdir(exist_ok=True)
        height, entries = job.size // 2, []
        for index, (probe, fitted, painted) in enumerate(zip(self.probes(number), environments, spheres, strict=True)):
            whole = blend_front(fitted, view, probe, height, turn) if job.front else pano.resize(fitted, height)
            whole = self.in_frame(whole, number)
            entries.append(write_probe(folder, job, view, index, probe, whole, painted, turned=turn is not None))
        seconds = {**self._seconds, "write": round(time.monotonic() - start, 3)}
        return describe(job, view, source, seconds, entries)
