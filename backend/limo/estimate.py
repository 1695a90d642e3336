# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job: a picture and probes become HDR environments. One door for the wire, the command line and Python."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ..devices import pick_device
from ..errors import BadInput
from ..models import find_backbone
from ..optics import panorama as pano
from ..optics.photo import is_video
from .backbone.paint import BackbonePainter
from .diffusionlight.model import is_diffusionlight
from .diffusionlight.paint import DiffusionLightPainter
from .embedded.paint import EmbeddedPainter
from .energy import PAINTED
from .estimate_frames import FrameEstimator
from .fit import fit
from .frames import find_frames
from .front import blend_front, front_of
from .intake import place_probe, read_view
from .job import EMBEDDED, LightJob
from .movies import unpack
from .output import describe, staged, write_json, write_preview, write_probe
from .painter import SpherePainter, Spheres
from .report import Report
from .sequence import run_sequence
from .view import Probe, View


@dataclass(frozen=True)
class Effort:
    """What a quality setting costs: Heun steps and takes of the painter, rows of the fitted map."""

    steps: int
    takes: int
    fit_height: int


EFFORTS = {"draft": Effort(1, 2, 64), "normal": Effort(2, 14, 128), "high": Effort(4, 16, 256)}
#: Denoising steps of a large backbone; 20 is the paper's.
BACKBONE_STEPS = {"draft": 8, "normal": 20, "high": 40}
#: Balls whose median DiffusionLight starts again from; 30 are its own, one is painted without.
BALLS = {"draft": 1, "normal": 5, "high": 30}
#: Share of a probe's work that is painting; the rest is the fit.
_PAINTING = 0.4


@dataclass(frozen=True, eq=False)
class Estimate:
    """One probe's answer: environment (N, 2N, 3) in the camera frame and the spheres it was fitted to."""

    probe: Probe
    environment: Tensor
    spheres: Spheres


class Stopwatch:
    """Seconds of each stage by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.monotonic()

    def lap(self, name: str) -> None:
        """Close the stage that has been running."""
        now = time.monotonic()
        self.seconds[name], self._start = round(now - self._start, 3), now


def make_painter(model: str, quality: str, device: str, take: int = 0, memory: str = "auto") -> SpherePainter:
    """The sphere painter that a job's ``model`` names; ``take`` and ``memory`` as in :class:`LightJob`."""
    if model == EMBEDDED:
        return EmbeddedPainter(device, takes=EFFORTS[quality].takes, take=take)
    folder = find_backbone(model)
    if is_diffusionlight(folder):
        return DiffusionLightPainter(folder, device, balls=BALLS[quality])
    return BackbonePainter(folder, device, memory=memory)


def estimate(
    view: View,
    probes: list[Probe],
    *,
    painter: SpherePainter,
    quality: str = "normal",
    steps: int | None = None,
    height: int = 256,
    seed: int = 0,
    front: bool = True,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    on_spheres: Callable[[int, Spheres], None] = lambda index, spheres: None,
) -> list[Estimate]:
    """Paint the spheres at each probe and fit the environments. ``progress`` may raise to cancel.

    ``steps`` are the painter's, by default the embedded one's for this quality.
    """
    effort = EFFORTS[quality]
    found = []
    for index, probe in enumerate(probes):

        def tell(fraction: float, stage: str, start: float = index / len(probes), name: str = probe.name) -> None:
            progress(start + fraction / len(probes), f"{stage} {name}")

        def painting(fraction: float, tell: Callable[[float, str], None] = tell) -> None:
            tell(_PAINTING * fraction, "Painting the spheres of")

        def fitting(fraction: float, tell: Callable[[float, str], None] = tell) -> None:
            tell(_PAINTING + (0.95 - _PAINTING) * fraction, "Fitting the light of")

        painting(0.0)
        (spheres,) = painter.paint(
            view,
            [probe],
            steps=steps or effort.steps,
            seed=seed,
            progress=painting,
        )
        on_spheres(index, spheres)
        rows = min(effort.fit_height, height)
        photo = front_of(view, probe, rows) if front else None
        fitted = fit(spheres, height=rows, error=PAINTED, front=photo, progress=fitting)
        environment = blend_front(fitted, view, probe, height) if front else pano.resize(fitted, height)
        found.append(Estimate(probe, environment, spheres))
        tell(1.0, "Finished")
    return found


def run_light(job: LightJob, report: Report) -> dict[str, Any]:
    """Do a whole job, a picture, a sequence of them or a movie; returns what result.json holds."""
    movie = len(job.images) == 1 and is_video(job.images[0])
    frames = unpack(job.images[0], job.range, job.out, report) if movie else find_frames(job.images, job.range)
    if frames is not None:
        painter = make_painter(job.model, job.quality, pick_device(job.device), job.take, job.memory)
        return run_sequence(job, frames, report, partial(FrameEstimator, painter, *_costs(job)))
    if job.track is not None:
        raise BadInput("A track was given for one picture.", "Give a sequence, or the part of it as a range.")
    return light_picture(job, report)


def _costs(job: LightJob) -> tuple[int, int]:
    """The painter's steps and the rows of the fitted map that a job's quality means."""
    effort = EFFORTS[job.quality]
    steps = effort.steps if job.model == EMBEDDED else BACKBONE_STEPS[job.quality]
    return steps, min(effort.fit_height, job.size // 2)


def light_picture(job: LightJob, report: Report) -> dict[str, Any]:
    """Read the one picture, estimate, write the files into ``job.out``; returns what result.json holds."""
    clock = Stopwatch()
    report.progress(0.0, "Reading the picture")
    view, source = read_view(job)
    probes = [place_probe(view, spec, job.radius) for spec in job.probes]
    report.check()
    painter = make_painter(job.model, job.quality, pick_device(job.device), job.take, job.memory)
    plan = painter.plan_of(view, len(probes), _costs(job)[0]) if isinstance(painter, BackbonePainter) else None
    if plan is not None:
        report.log(plan.told())
    clock.lap("read")
    with staged(job.out) as work:

        def progress(fraction: float, stage: str) -> None:
            report.check()
            report.progress(0.03 + 0.94 * fraction, stage)

        def show(index: int, spheres: Spheres) -> None:
            path = work / f"probe_{index}_preview.png"
            write_preview(path, spheres)
            report.preview(path)

        found = estimate(
            view,
            probes,
            painter=painter,
            quality=job.quality,
            steps=_costs(job)[0],
            height=job.size // 2,
            seed=job.chance,
            front=job.front,
            progress=progress,
            on_spheres=show,
        )
        clock.lap("estimate")
        entries = [
            write_probe(work, job, view, index, answer.probe, answer.environment, answer.spheres)
            for index, answer in enumerate(found)
        ]
        clock.lap("write")
        result = describe(job, view, source, clock.seconds, entries)
        if plan is not None:
            result["memory"] = plan.to_dict()
        write_json(work / "result.json", result)
    report.progress(1.0, "Done")
    return result
