# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry a coarse map to the picture's size along the picture's own edges.

The guided filter (He, Sun and Tang, TPAMI 2013): in every window the map is an affine function of the colour. Its
coefficients are found on a small picture and applied to the large one (He and Sun 2015). Pixels of weight 0, the sky
for depth, take no part, so nothing of them bleeds over an edge.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    guide = F.interpolate(picture.movedim(-1, 0)[None], work_size(height, width), mode="area")[0]
    return fit(coarse[None], guide, weight).at(picture, 0, height)[0]


def work_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the small picture at which the coefficients of a large one are found."""
    share = min(1.0, WORK_SIDE / max(height, width))
    return max(1, round(height * share)), max(1, round(width * share))


@dataclass(frozen=True, eq=False)
class Affine:
    """C maps as affine functions of the colour: slope (C, 3, h, w), offset (C, h, w), and what each map stays between,
    low and high (C,)."""

    slope: Tensor
    offset: Tensor
    low: Tensor
    high: Tensor

    def at(self, strip: Tensor, first: int, height: int) -> Tensor:
        """The maps (C, n, W) at ``strip`` (n, W, 3), display values: n rows from ``first`` on of ``height``."""
        count, width = strip.shape[:2]
        maps = torch.cat([self.slope.flatten(0, 1), self.offset])
        # Bilinear between pixel centres as interpolate has it, but only for these rows.
        place = ((torch.arange(first, first + count) + 0.5) * (maps.shape[1] / height) - 0.5).clamp(min=0)
        above = place.long().clamp(max=maps.shape[1] - 1)
        below = (above + 1).clamp(max=maps.shape[1] - 1)
        rows = torch.lerp(maps[:, above], maps[:, below], (place - above)[None, :, None])
        wide = F.interpolate(rows[None], (count, width), mode="bilinear", align_corners=False)[0]
        slope, offset = wide[: -len(self.offset)].unflatten(0, (-1, 3)), wide[-len(self.offset) :]
        found = offset
        for channel in range(3):
            found = torch.addcmul(found, slope[:, channel], strip[..., channel])
        return torch.minimum(torch.maximum(found, self.low[:, None, None]), self.high[:, None, None])


def fit(coarse: Tensor, guide: Tensor, weight: Tensor | None = None) -> Affine:
    """``coarse`` (C, h, w) as affine functions of colour; ``guide`` (3, H, W) is a picture of :func:`work_size`."""
    size = tuple(guide.shape[1:])
    share_of = torch.ones_like(coarse[0]) if weight is None else weight.clamp(min=1e-4)
    weights = _resized(share_of[None], size)
    smooth = _resized(coarse * share_of, size) / weights
    slope, offset = _coefficients(guide, smooth, weights, max(1, round(RADIUS * max(size))))
    return Affine(slope, offset, coarse.amin((1, 2)), coarse.amax((1, 2)))


def _resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]


def _box(maps: Tensor, radius: int) -> Tensor:
    """Mean over windows of (C, H, W), fewer pixels at the border."""
    size = 2 * radius + 1
    return F.avg_pool2d(maps[None], size, stride=1, padding=radius, count_include_pad=False)[0]


def _coefficients(guide: Tensor, values: Tensor, weights: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Slope (C, 3, h, w), offset (C, h, w) of ``values`` (C, h, w) over colour (3, h, w), averaged over the windows."""
    total = _box(weights, radius)

    def mean(maps: Tensor) -> Tensor:
        return _box(maps * weights, radius) / total

    colour, level = mean(guide), mean(values)
    rows = torch.stack([mean(guide[i : i + 1] * guide) for i in range(3)])
    covariance = rows - colour[:, None] * colour[None]
    system = covariance.permute(2, 3, 0, 1) + FLAT * torch.eye(3)
    joint = torch.stack([mean(guide * value) for value in values]) - colour * level[:, None]
    slope = torch.linalg.solve(system, joint.permute(2, 3, 1, 0)).permute(3, 2, 0, 1)
    offset = level - (slope * colour).sum(1)
    return torch.stack([mean(one) for one in slope]), mean(offset)
