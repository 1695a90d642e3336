# SPDX-License-Identifier: GPL-3.0-or-later
"""A Laplacian pyramid on the panorama: wraps in azimuth, clamps at the poles."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def grow(level: Tensor) -> Tensor:
    """Double the size of (B, C, h, w) smoothly: bilinear, without a seam where the azimuth wraps."""
    around = F.pad(F.pad(level, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1), mode="replicate")
    return F.interpolate(around, scale_factor=2, mode="bilinear", align_corners=False)[..., 2:-2, 2:-2]


def split(stack: Tensor, coarsest: int = 4) -> list[Tensor]:
    """(B, C, N, 2N) to levels (B, C, h, 2h), finest first; but for the last what :func:`grow` of the next misses."""
    level = stack
    levels = []
    while level.shape[-2] > coarsest and level.shape[-2] % 2 == 0:
        smaller = F.avg_pool2d(level, 2)
        levels.append(level - grow(smaller))
        level = smaller
    return [*levels, level]


def join(levels: list[Tensor]) -> Tensor:
    """The stack (B, C, N, 2N) of its levels; the inverse of :func:`split`."""
    total = levels[-1]
    for detail in reversed(levels[:-1]):
        total = grow(total) + detail
    return total


def decompose(panorama: Tensor, coarsest: int = 4) -> list[Tensor]:
    """:func:`split` of one panorama (N, 2N, C): levels (1, C, h, 2h)."""
    return split(panorama.permute(2, 0, 1)[None], coarsest)


def compose(levels: list[Tensor]) -> Tensor:
    """The panorama (N, 2N, C) of a pyramid; the inverse of :func:`decompose`."""
    return join(levels)[0].permute(1, 2, 0)
