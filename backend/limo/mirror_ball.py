# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight fit``: photographed (or painted) mirror and grey balls, as files, to an HDR environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput
from ..optics import exr
from ..optics import panorama as pano
from ..optics.exposure import expose, srgb_oetf
from ..optics.photo import read_photo
from ..optics.sphere import FILL, SphereView
from .fit import fit
from .painter import Spheres

#: The balls are worked on at this size; a file's ball fills its square picture from edge to edge.
SIZE = 128
#: Photographs of balls are taken from afar: the ball's radius over its distance.
_FAR = 0.05


class _Report(Protocol):
    def progress(self, fraction: float, stage: str) -> None: ...
    def check(self) -> None: ...


def parse_shot(text: str) -> tuple[Path, float]:
    """``FILE@EV`` as path and exposure in stops; without ``@EV`` the exposure is 0."""
    name, at, ev = text.rpartition("@")
    if not at:
        return Path(text), 0.0
    try:
        return Path(name), float(ev)
    except ValueError as error:
        raise BadInput(f"'{text}' has no exposure after the @.", "Write FILE@EV, e.g. ball.jpg@-3.") from error


def fit_files(
    mirror: Sequence[tuple[Path, float]],
    diffuse: Sequence[tuple[Path, float]],
    out: Path,
    *,
    height: int = 256,
    report: _Report,
) -> dict[str, Any]:
    """Write the environment (height, 2·height) that explains square pictures of balls, camera frame, as EXR.

    Each picture is cropped to its ball. Mirror balls are taken as perfect mirrors, diffuse ones as albedo 1; all
    exposures are relative to the same EV 0.
    """
    if not mirror and not diffuse:
        raise BadInput("No ball was given.", "Name at least one picture with --mirror or --diffuse, as FILE@EV.")
    for name, shots in (("mirror", mirror), ("diffuse", diffuse)):
        exposures = [ev for _, ev in shots]
        if len(set(exposures)) != len(exposures):
            raise BadInput(f"Two {name} pictures have the same exposure.", "Give each its own EV.")
    if out.suffix.lower() != ".exr":
        raise BadInput(f"The environment's file is called {out.name}.", "Give it the extension .exr.")
    report.progress(0.0, "Reading the balls")
    evs = sorted({ev for _, ev in (*mirror, *diffuse)}, reverse=True)
    view = SphereView(torch.tensor([0.0, 0.0, -1.0]), _FAR, SIZE)
    balls = [_bracket(shots, evs, view) for shots in (mirror, diffuse)]
    spheres = Spheres(view, balls[0], balls[1], tuple(evs))  # type: ignore[arg-type]

    def progress(fraction: float) -> None:
        report.check()
        report.progress(0.1 + 0.85 * fraction, "Fitting the environment")

    environment = fit(spheres, height=height, mirror=bool(mirror), diffuse=bool(diffuse), progress=progress)
    exr.write_panorama(out, environment, frame="camera")
    return {"environment": str(out), "evs": evs, "mean_radiance": pano.mean_radiance(environment).tolist()}


def _bracket(shots: Sequence[tuple[Path, float]], evs: Sequence[float], view: SphereView) -> Tensor:
    """Display values (E, S, S, 3); an exposure that was not taken is derived from the nearest one."""
    if not shots:
        return torch.zeros(len(evs), SIZE, SIZE, 3)
    taken = {ev: _read_ball(path, view) for path, ev in shots}
    stack = []
    for ev in evs:
        nearest = min(taken, key=lambda other: abs(other - ev))
        stack.append(srgb_oetf(taken[ev]).clamp(0, 1) if ev in taken else expose(taken[nearest], ev - nearest))
    return torch.stack(stack)


def _read_ball(path: Path, view: SphereView) -> Tensor:
    """The linear picture of a ball that fills a square file, resampled to the view's crop."""
    radiance = read_photo(path).radiance
    height, width = radiance.shape[:2]
    if abs(height - width) > 0.02 * max(height, width):
        raise BadInput(
            f"{path.name} is {width}×{height} pixels.", "Crop the picture to the ball: a square, the ball edge to edge."
        )
    edge = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    y, x = torch.meshgrid(edge / FILL, edge / FILL, indexing="ij")
    size = max(SIZE, 1)
    image = radiance.permute(2, 0, 1)[None]
    if min(height, width) > 2 * size:
        image = F.interpolate(image, (2 * size, 2 * size), mode="area")
    grid = torch.stack([x, y], -1)[None]
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)[0].permute(1, 2, 0)
