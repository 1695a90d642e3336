# SPDX-License-Identifier: GPL-3.0-or-later
"""By how much the light of a shot swelled or faded between two frames, told by what both photos show."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..conditions import SKY
from ..view import View

#: Pixels a side at which photos are compared; fewer than so many that correspond tell nothing.
_PIXELS, _FEW = 48, 24
#: A pixel shows what another does if its distance differs by at most this share.
_SAME = 0.05
#: Channels outside of these tell nothing: noise, and what a picture clips.
_DARK, _CLIPPED = 0.005, 0.97


def brightened(before: View, now: View) -> Tensor:
    """By how many stops all that both photos show became brighter, (3,) by channel.

    The mean of the middle half of the changes of pixels that correspond: a shadow that wanders over a part of the photo
    is no change of the light. The more they disagree beside that mean, the less of it is common to all and counts.
    """
    stops = _changes(before, now)
    if len(stops) < _FEW:
        return torch.zeros(3)
    cut = len(stops) // 4
    half = stops.sort(0).values[cut : len(stops) - cut]
    change, apart = half.mean(0), (half[-1] - half[0]) / 2
    return change**3 / (change**2 + apart**2).clamp(min=1e-9)


def lit(radiance: Tensor, stops: Tensor) -> Tensor:
    """Spheres' radiance (6, S, S), two by RGB, under light that is brighter by ``stops`` (3,)."""
    return radiance * stops.exp2().repeat(2)[:, None, None]


def _changes(before: View, now: View) -> Tensor:
    """Changes (N, 3) in stops of pixels that show one surface in both photos, neither too dark nor clipped."""
    old, new = before.resized(_PIXELS, _PIXELS), now.resized(_PIXELS, _PIXELS)
    points = new.camera.unproject(new.depth.clamp(max=SKY))
    if before.camera_to_world is not None and now.camera_to_world is not None:
        there = torch.linalg.inv(before.camera_to_world) @ now.camera_to_world
        points = points @ there[:3, :3].T + there[:3, 3]
    uv, far = old.camera.project(points)
    stack = torch.cat([old.radiance, old.depth.clamp(max=SKY)[..., None]], -1).permute(2, 0, 1)[None]
    found = F.grid_sample(stack, uv[None] * 2 - 1, mode="nearest", align_corners=False)[0].permute(1, 2, 0)
    then, depth = found[..., :3], found[..., 3]
    both = torch.cat([then, new.radiance], -1)
    told = ((depth - far).abs() <= _SAME * far) & (both.amin(-1) > _DARK) & (both.amax(-1) < _CLIPPED)
    return (new.radiance[told] / then[told]).log2()
