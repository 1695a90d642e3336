# SPDX-License-Identifier: GPL-3.0-or-later
"""Smooth surfaces through scattered pixels: push-pull (Gortler et al. 1996, §3.5), which knows no faces."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: Below this weight a coarse pixel has seen nothing.
_NOTHING = 1e-6


def push_pull(values: Tensor, weight: Tensor) -> Tensor:
    """Values (N, C, S, S), S a power of two; where ``weight`` (N, 1, S, S) in 0..1 is not 1, from their surroundings.

    Down a pyramid, weighted means; up again, each pixel that knows less than one whole takes the rest from the coarser
    level. Where nothing is known at all the result is 0.
    """
    weighted = values * weight
    levels = [(weighted, weight)]
    while levels[-1][0].shape[-1] > 1:
        weighted, weight = (F.avg_pool2d(x, 2) for x in levels[-1])
        # A coarse pixel is known as soon as one of its four is.
        gain = (4 * weight).clamp(max=1) / weight.clamp(min=_NOTHING)
        levels.append((weighted * gain, weight * gain))
    weighted, weight = levels.pop()
    filled = weighted / weight.clamp(min=_NOTHING)
    for weighted, weight in reversed(levels):
        coarse = F.interpolate(filled, scale_factor=2.0, mode="bilinear", align_corners=False)
        filled = weighted + (1 - weight) * coarse
    return filled


def mirrored(x: Tensor) -> Tensor:
    """Maps (..., S, S) that are no normals with left and right exchanged, as a head's UVs allow."""
    return torch.flip(x, (-1,))
