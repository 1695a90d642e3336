# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments that need no model: what every estimate has to beat. But for grey's mean none of them sees the truth."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.errors import MissingPart
from ...backend.limo.view import Probe, View
from ...backend.optics import exr
from ...backend.optics import panorama as pano

MEAN = Path(__file__).resolve().parents[2] / "backend" / "limo" / "weights" / "mean_environment.exr"


def grey(truth: Tensor) -> Tensor:
    """Constant grey of the truth's own mean over directions and channels: it knows the energy, and nothing else."""
    return pano.mean_radiance(truth).mean().expand_as(truth)


def wrapped(photo: Tensor, height: int) -> Tensor:
    """The photo (H, W, 3) stretched over the front half of the sphere, its mirror image over the back."""
    front = F.interpolate(photo.permute(2, 0, 1)[None], (height, height), mode="area")[0].permute(1, 2, 0)
    back = front.flip(1)
    half = height // 2
    return torch.cat([back[:, half:], front, back[:, :half]], 1)


def partial(view: View, probe: Probe, height: int) -> Tensor:
    """What the photo shows, reprojected around the probe by the view's depth, and its mean where nothing was seen."""
    seen = pano.reproject(view.radiance, view.depth, view.camera, probe.position, height)
    weight = seen.valid * pano.solid_angles(height)
    mean = (seen.radiance * weight[..., None]).sum((0, 1)) / weight.sum().clamp(min=1e-9)
    return torch.where(seen.valid[..., None] > 0, seen.radiance, mean.expand_as(seen.radiance))


def training_mean(height: int) -> Tensor:
    """The mean of the training set's environments, which ships beside the weights."""
    if not MEAN.is_file():
        raise MissingPart(f"{MEAN.name}, the mean of the training set, is missing.", "Install the extension again.")
    return pano.resize(exr.read_panorama(MEAN)[0], height)
