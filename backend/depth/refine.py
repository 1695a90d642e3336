# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry a coarse map to the picture's size along the picture's own edges.

The guided filter (He, Sun and Tang, TPAMI 2013): in every window the map is an affine function of the colour. Its
coefficients are found on a small picture and applied to the large one (He and Sun 2015). Pixels of weight 0, the sky
for depth, take no part, so nothing of them bleeds over an edge.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: Longer side in pixels at which the coefficients are found; radius of the window there, as a share of that side.
WORK_SIDE, RADIUS = 320, 0.02
#: Variance of display values within a window that counts as flat.
FLAT = 4e-3


def carry(coarse: Tensor, picture: Tensor, weight: Tensor | None = None) -> Tensor:
    """``coarse`` (h, w) at the size of ``picture`` (H, W, 3), display values; ``weight`` (h, w) in [0, 1]."""
    height, width = picture.shape[:2]
    share = min(1.0, WORK_SIDE / max(height, width))
    size = max(1, round(height * share)), max(1, round(width * share))
    guide = F.interpolate(picture.movedim(-1, 0)[None], size, mode="area")[0]
    share_of = torch.ones_like(coarse) if weight is None else weight.clamp(min=1e-4)
    weights = _resized(share_of, size)
    smooth = _resized(coarse * share_of, size) / weights
    radius = max(1, round(RADIUS * max(size)))
    slope, offset = _coefficients(guide, smooth, weights, radius)
    slope, offset = (F.interpolate(m[None], (height, width), mode="bilinear", align_corners=False)[0]
                     for m in (slope, offset))  # fmt: skip
    found = (slope * picture.movedim(-1, 0)).sum(0) + offset[0]
    return found.clamp(float(coarse.min()), float(coarse.max()))


def _resized(map_: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(map_[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def _box(maps: Tensor, radius: int) -> Tensor:
    """Mean over windows of (C, H, W), fewer pixels at the border."""
    size = 2 * radius + 1
    return F.avg_pool2d(maps[None], size, stride=1, padding=radius, count_include_pad=False)[0]


def _coefficients(guide: Tensor, values: Tensor, weights: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Slope (3, h, w) and offset (1, h, w) of ``values`` (h, w) over colour (3, h, w), averaged over the windows."""
    total = _box(weights[None], radius)

    def mean(maps: Tensor) -> Tensor:
        return _box(maps * weights, radius) / total

    colour, level = mean(guide), mean(values[None])
    rows = torch.stack([mean(guide[i : i + 1] * guide) for i in range(3)])
    covariance = rows - colour[:, None] * colour[None]
    system = covariance.permute(2, 3, 0, 1) + FLAT * torch.eye(3)
    joint = (mean(guide * values) - colour * level).permute(1, 2, 0)
    slope = torch.linalg.solve(system, joint[..., None])[..., 0].permute(2, 0, 1)
    offset = level - (slope * colour).sum(0, keepdim=True)
    return mean(slope), mean(offset)
