# SPDX-License-Identifier: GPL-3.0-or-later
"""A Laplacian pyramid on the panorama: wraps in azimuth, clamps at the poles."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def grow(level: Tensor) -> Tensor:
    """Double the size of (1, C, h, w) smoothly: bilinear, without a seam where the azimuth wraps."""
    around = F.pad(F.pad(level, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1), mode="replicate")
    return F.interpolate(around, scale_factor=2, mode="bilinear", align_corners=False)[..., 2:-2, 2:-2]


def decompose(panorama: Tensor, coarsest: int = 4) -> list[Tensor]:
    """(N, 2N, C) to levels (1, C, h, 2h), finest first; all but the last hold what :func:`grow` of the next misses."""
    level = panorama.permute(2, 0, 1)[None]
    levels = []
    while level.shape[-2] > coarsest and level.shape[-2] % 2 == 0:
        smaller = F.avg_pool2d(level, 2)
        levels.append(level - grow(smaller))
        level = smaller
    return [*levels, level]


def compose(levels: list[Tensor]) -> Tensor:
    """The panorama (N, 2N, C) of a pyramid; the inverse of :func:`decompose`."""
    total = levels[-1]
    for detail in reversed(levels[:-1]):
        total = grow(total) + detail
    return total[0].permute(1, 2, 0)
