# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of a photo without a depth map: a guess from perspective alone, and it says so.

A level camera at standing height sees the floor recede below the horizon as d = h / tan(angle below it) and the ceiling
above it likewise; whatever is farther is taken for a wall, and a bright region along the upper border for the sky.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..optics.camera import Camera
from ..optics.exposure import luminance


@dataclass(frozen=True)
class Perspective:
    """The guess's constants, fitted to ray-traced scenes by benchmarks/depth_guess.py.

    In metres: the camera is ``floor`` over the floor, or the furniture on it, ``ceiling`` under the ceiling, ``wall``
    from the wall. Sky is brighter than ``sky_luminance`` (display white 1), more than ``sky_blue`` times as blue as
    red, fills more than the share ``sky_share`` of the picture, and reaches no lower than ``sky_lowest``, the tangent
    of the angle over the horizon.
    """

    floor: float = 0.9
    ceiling: float = 1.6
    wall: float = 4.25
    sky_luminance: float = 0.25
    sky_blue: float = 0.8
    sky_share: float = 0.04
    sky_lowest: float = -0.15


GUESS = Perspective()
WARNING = "The depth is a guess from perspective (a room's shell), not an estimate: give a depth map if you have one."


def guess_depth(radiance: Tensor, camera: Camera, guess: Perspective = GUESS) -> tuple[Tensor, list[str]]:
    """Planar depth (H, W) in metres, +inf = sky, of a photo (H, W, 3) linear; and warnings for the artist."""
    height = camera.unit_depth_points()[..., 1]
    floor = guess.floor / (-height).clamp(min=1e-4)
    ceiling = guess.ceiling / height.clamp(min=1e-4)
    depth = torch.minimum(floor, ceiling).clamp(max=guess.wall)
    return torch.where(_sky(radiance, height, guess), torch.inf, depth), [WARNING]


def _sky(radiance: Tensor, height: Tensor, guess: Perspective) -> Tensor:
    """Bright pixels that reach the upper border without a break in their column and are not warmer than white.

    ``height`` (H, W): of the pixels' rays over the horizon at depth 1.
    """
    plain = (luminance(radiance) > guess.sky_luminance) & (radiance[..., 2] > guess.sky_blue * radiance[..., 0])
    unbroken = plain.float().cumprod(0) > 0
    # A lamp or a window cut by the border is not the sky, and a white wall goes on below the horizon.
    small = float(unbroken.float().mean()) <= guess.sky_share
    if small or float(height[unbroken].min()) < guess.sky_lowest:
        return torch.zeros_like(unbroken)
    return unbroken
