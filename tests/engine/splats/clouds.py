# SPDX-License-Identifier: GPL-3.0-or-later
"""Small clouds and cameras for tests, as tensors."""

from __future__ import annotations

import math

import torch
from limelight.backend.optics.camera import Camera
from limelight.backend.splats.raster import SplatCamera
from torch import Tensor


def cloud(count: int, channels: int, kind: torch.dtype = torch.float64, size: float = 0.15) -> list[Tensor]:
    """Means in a cube of edge 2, quats, scales, opacity and colours (N, D); all leaves that want gradients."""
    g = torch.Generator().manual_seed(count)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=kind)

    quats = torch.randn(count, 4, generator=g, dtype=kind)
    scales = size * torch.exp(0.6 * torch.randn(count, 3, generator=g, dtype=kind))
    parts = [2 * uniform(count, 3) - 1, quats, scales, 0.01 + 0.99 * uniform(count), uniform(count, channels)]
    return [part.requires_grad_() for part in parts]


def camera(width: int, height: int, kind: torch.dtype = torch.float64, distance: float = 2.2) -> SplatCamera:
    """Looks at the cloud a little from the side, through an uneven lens off the middle."""
    pose = torch.eye(4, dtype=kind)
    cosine, sine = math.cos(0.4), math.sin(0.4)
    pose[0, 0], pose[0, 2], pose[2, 0], pose[2, 2] = cosine, sine, -sine, cosine
    pose[0, 3], pose[2, 3] = 0.1, -distance
    return SplatCamera(Camera(width, height, width, 1.1 * width, width / 2 + 1.3, height / 2 - 0.7), pose)
