# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin too fine for the photo: pores and the creases between them, as one number a texel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .head import HeadModel
from .raster import uv_raster

#: Texels a millimetre on the face, in a map of 1024 a side.
_DENSITY = 2.6
#: Millimetres between pores, and half the width of one.
_APART, _HALF = 0.95, 0.16


def pores(resolution: int, seed: int) -> Tensor:
    """(R, R) without unit, mean about zero: negative in pores and creases, as if it were height or log reflectance."""
    make = torch.Generator().manual_seed(seed)
    texel = _DENSITY * resolution / 1024
    count = max(8, round(resolution / (_APART * texel)))
    cells = torch.stack(torch.meshgrid(torch.arange(count), torch.arange(count), indexing="ij"), -1).reshape(-1, 2)
    places = (cells + torch.rand(len(cells), 2, generator=make)) * (resolution / count)
    row, column = places.long().clamp(0, resolution - 1).unbind(-1)
    depth = 0.3 + torch.rand(len(cells), generator=make) ** 2
    # Counted one by one: threads that add to one texel in any order would round it differently each time.
    pits = torch.bincount(row * resolution + column, depth, resolution**2).float().unflatten(0, (resolution, -1))
    pits = _blur(pits, max(0.55, _HALF * texel))
    creases = _blur(torch.randn(resolution, resolution, generator=make), max(0.8, 0.28 * texel))
    valleys = -(1 - (creases / creases.std()).abs()).clamp(min=0)
    grain = _blur(torch.randn(resolution, resolution, generator=make), 0.5)
    mixed = -pits / pits.std() + 0.6 * valleys / valleys.std() + 0.5 * grain / grain.std()
    return mixed - mixed.mean()


def coarseness(head: HeadModel, resolution: int) -> Tensor:
    """(R, R) how strong pores are, about 1 on the cheeks: most on nose, chin and forehead, least on scalp and neck."""
    raster, triangles = uv_raster(head, resolution, "skin")
    points = raster.interpolate(triangles, head.corners(head.mean))
    x, y, z = (points / 0.06).unbind(-1)
    front = torch.sigmoid(-5 * (y - 0.9))
    nose = (-(((x / 0.3) ** 2) + ((z + 0.55) / 0.5) ** 2)).exp()
    brow = (-(((x / 0.8) ** 2) + ((z - 0.75) / 0.35) ** 2)).exp()
    lids = (-((((x.abs() - 0.5) / 0.3) ** 2) + (z / 0.25) ** 2)).exp()
    return 0.45 + front * (0.5 + 0.5 * nose + 0.2 * brow - 0.35 * lids)


def _blur(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (R, R), wrapping round."""
    reach = max(1, int(3 * sigma + 0.5))
    offsets = torch.arange(-reach, reach + 1.0)
    kernel = (-0.5 * (offsets / sigma) ** 2).exp()
    kernel = kernel / kernel.sum()
    wide = F.pad(picture[None, None], (reach,) * 4, mode="circular")
    return F.conv2d(F.conv2d(wide, kernel[None, None, None]), kernel[None, None, :, None])[0, 0]
