# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments that need no model: what every estimate has to beat."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.optics import exr
from ...backend.optics import panorama as pano
from .probe_set import Case

MEAN = Path(__file__).resolve().parents[2] / "backend" / "limo" / "weights" / "mean_environment.exr"
HEIGHT = 64


def baselines(case: Case) -> dict[str, Tensor]:
    """By name, (64, 128, 3) each: grey (of the truth's own mean: it knows the energy), wrapped photo, partial, mean."""
    found = {
        "grey": pano.mean_radiance(case.truth).mean().expand(HEIGHT, 2 * HEIGHT, 3),
        "wrapped": wrapped(case.view.radiance),
        "partial": partial(case),
    }
    if MEAN.is_file():
        found["training mean"] = pano.resize(exr.read_panorama(MEAN)[0], HEIGHT)
    return found


def wrapped(photo: Tensor) -> Tensor:
    """The photo stretched over the front half of the sphere, its mirror image over the back."""
    front = F.interpolate(photo.permute(2, 0, 1)[None], (HEIGHT, HEIGHT), mode="area")[0].permute(1, 2, 0)
    back = front.flip(1)
    half = HEIGHT // 2
    return torch.cat([back[:, half:], front, back[:, :half]], 1)


def partial(case: Case) -> Tensor:
    """What the photo shows, reprojected around the probe, and its mean where nothing was seen."""
    seen = pano.reproject(case.view.radiance, case.view.depth, case.view.camera, case.probe.position, HEIGHT)
    mean = (seen.radiance * seen.valid[..., None]).sum((0, 1)) / seen.valid.sum().clamp(min=1)
    return torch.where(seen.valid[..., None] > 0, seen.radiance, mean.expand_as(seen.radiance))
