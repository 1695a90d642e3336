# SPDX-License-Identifier: GPL-3.0-or-later
"""Closed-form refinement of an unwrapped mirror sphere: each pixel is an average over the directions it mirrors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .renderer import Renderer

#: Coverage (sphere pixels a texel) below which a texel follows its pixels only reluctantly: the ball's far back.
_RELUCTANCE = 0.01
#: A single round changes a texel by at most this factor, and trusts no larger ratio.
_LARGEST_STEP, _LARGEST_RATIO = 5.0, 10.0
#: No texel becomes darker than this share of the darkest in its surroundings.
_DARKEST_SHARE = 0.8


def sharpen(
    panorama: Tensor, renderer: Renderer, seen: Tensor, clipped: Tensor, highest: Tensor, rounds: int = 10
) -> Tensor:
    """Richardson–Lucy deconvolution: x ← x · Aᵀ(y / Ax) / Aᵀ1, positive by construction (Richardson 1972, Lucy 1974).

    panorama: (N, 2N, 3) positive start. seen: (P, 3) merged radiance of the mirror's masked pixels. clipped: (P, 3)
    bool, where ``seen`` is only a lower bound. highest: (N, 2N, 3), above which nothing is raised. Few rounds keep
    quantisation noise down. Corrections are smooth over a sphere pixel (a sieve: Snyder & Miller 1985) and nothing gets
    darker or, but for a little, brighter than its surroundings: edges wear no rings, windows are no suns.
    """
    x, lowest = panorama.reshape(-1, 3), _surroundings(panorama).reshape(-1, 3)
    coverage = renderer.mirror_back(torch.ones_like(seen))
    for _ in range(rounds):
        ratio = seen / renderer.mirror(x).clamp(min=1e-9)
        ratio = torch.where(clipped, ratio.clamp(min=1), ratio).clamp(1 / _LARGEST_RATIO, _LARGEST_RATIO)
        step = (renderer.mirror_back(ratio) + _RELUCTANCE) / (coverage + _RELUCTANCE)
        step = step.clamp(1 / _LARGEST_STEP, _LARGEST_STEP).reshape(panorama.shape)
        x = torch.minimum(torch.maximum(x * _blur(step).reshape(-1, 3), lowest), highest.reshape(-1, 3))
    return x.reshape(panorama.shape)


def _around(panorama: Tensor, width: int) -> Tensor:
    """(N, 2N, C) to (1, C, N + 2·width, 2N + 2·width): wrapped in azimuth, repeated at the poles."""
    wrapped = F.pad(panorama.permute(2, 0, 1)[None], (width, width, 0, 0), mode="circular")
    return F.pad(wrapped, (0, 0, width, width), mode="replicate")


def _blur(panorama: Tensor) -> Tensor:
    """A mean over the texels of some two and a half degrees; maps of 64 rows are as coarse as that already."""
    width = panorama.shape[0] // 128
    if width == 0:
        return panorama
    return F.avg_pool2d(_around(panorama, width), 2 * width + 1, stride=1)[0].permute(1, 2, 0)


def _surroundings(panorama: Tensor) -> Tensor:
    """A part of the darkest radiance within some seven degrees."""
    width = max(1, round(panorama.shape[0] / 25))
    darkest = -F.max_pool2d(-_around(panorama, width), 2 * width + 1, stride=1)
    return _DARKEST_SHARE * darkest[0].permute(1, 2, 0)
