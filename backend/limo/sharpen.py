# SPDX-License-Identifier: GPL-3.0-or-later
"""Closed-form refinement of an unwrapped mirror sphere: each pixel is an average over the directions it mirrors."""

from __future__ import annotations

import torch
from torch import Tensor

from .renderer import Renderer

#: Coverage (sphere pixels a texel) below which a texel follows its pixels only reluctantly: the ball's far back.
_RELUCTANCE = 0.01
#: A single round changes a texel by at most this factor, and trusts no larger ratio.
_LARGEST_STEP, _LARGEST_RATIO = 5.0, 10.0


def sharpen(panorama: Tensor, renderer: Renderer, seen: Tensor, clipped: Tensor, rounds: int = 14) -> Tensor:
    """Richardson–Lucy deconvolution: x ← x · Aᵀ(y / Ax) / Aᵀ1, positive by construction (Richardson 1972, Lucy 1974).

    panorama: (N, 2N, 3) positive start. seen: (P, 3) merged radiance of the mirror's masked pixels. clipped: (P, 3)
    bool, where ``seen`` is only a lower bound. A lamp smaller than a pixel gets back its place and its height; few
    rounds keep quantisation noise down.
    """
    x = panorama.reshape(-1, 3)
    coverage = renderer.mirror_back(torch.ones_like(seen))
    for _ in range(rounds):
        ratio = seen / renderer.mirror(x).clamp(min=1e-9)
        ratio = torch.where(clipped, ratio.clamp(min=1), ratio).clamp(1 / _LARGEST_RATIO, _LARGEST_RATIO)
        step = (renderer.mirror_back(ratio) + _RELUCTANCE) / (coverage + _RELUCTANCE)
        x = x * step.clamp(1 / _LARGEST_STEP, _LARGEST_STEP)
    return x.reshape(panorama.shape)
