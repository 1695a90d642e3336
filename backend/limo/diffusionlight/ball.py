# SPDX-License-Identifier: GPL-3.0-or-later
"""Where DiffusionLight's chrome ball stands, and the light in its pictures (methods.md §2.1, §2.3, §2.4).

It wants a square picture with the ball in the middle. So the photo is turned towards the probe, and the ball is a real
sphere at the probe's distance: its reflections are unwrapped in true perspective, not as an orthographic ball's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import BadInput
from ...optics.exposure import expose
from ...optics.sphere import SphereView
from ..view import Probe, View

#: The ball's diameter as a share of the picture, and how far the painted region reaches beyond it.
SHARE, MARGIN = 256 / 1024, 20 / 1024
#: DiffusionLight's tone curve, and its luminance weights.
GAMMA = 2.4
_LUMINANCE = (0.212671, 0.715160, 0.072169)
#: Pixels of the ball that is cut out, each the mean of two by two.
BALL = 128


@dataclass(frozen=True, eq=False)
class BallView:
    """A square view of N pixels towards the probe: ``picture`` (3, N, N) display values, black where the photo ends.

    ``nearness``: (N, N) in [0, 1], inverse depth with the ball as the nearest. ``mask``: (N, N), 1 where is painted.
    ``sphere``: the ball, a real sphere; ``extent`` is the square's half width on the plane at distance 1.
    """

    picture: Tensor
    nearness: Tensor
    mask: Tensor
    sphere: SphereView
    extent: float

    def cut(self, painted: Tensor) -> Tensor:
        """The ball in a painted picture (3, N, N): (S, S, 3), 0 off it."""
        size = 2 * self.sphere.size
        place = ((torch.arange(size) + 0.5) / size * 2 - 1) * self.sphere.half_width / self.extent
        grid = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1)[None].to(painted)
        found = F.avg_pool2d(F.grid_sample(painted[None], grid, "bilinear", "border", align_corners=False), 2)
        return found[0].permute(1, 2, 0).clamp(0, 1) * self.sphere.mask[..., None]


def look_at(view: View, probe: Probe, size: int) -> BallView:
    """The square view of ``size`` pixels, as wide as the photo's longer side."""
    camera = view.camera
    extent = max(camera.width / camera.fx, camera.height / camera.fy) / 2
    distance = float(probe.position.norm())
    radius = distance * math.sin(math.atan(SHARE * extent))
    sphere = SphereView(probe.position, radius, BALL)
    place = ((torch.arange(size) + 0.5) / size * 2 - 1) * extent
    x, y = torch.meshgrid(place, -place, indexing="xy")
    uv, ahead = camera.project(torch.stack([x, y, -torch.ones_like(x)], -1) @ sphere.axes)
    inside = (ahead > 0) & (uv >= 0).all(-1) & (uv <= 1).all(-1)
    grid = (uv * 2 - 1)[None]
    shown = F.grid_sample(expose(view.radiance, 0).permute(2, 0, 1)[None], grid, "bilinear", "border", False)[0]
    near = F.grid_sample(1 / view.depth[None, None], grid, "nearest", "border", False)[0, 0] * inside
    from_middle = (x.square() + y.square()).sqrt() / extent
    nearness = torch.where(from_middle <= SHARE, 1.0, near / near.max().clamp(min=1e-9))
    mask = (from_middle <= SHARE + 2 * MARGIN).float()
    return BallView(shown * inside, nearness, mask, sphere, extent)


def merge(balls: Tensor, evs: Sequence[float]) -> Tensor:
    """Display values (E, ..., 3) of the ball at exposures of 0 and less to radiance (..., 3), as DiffusionLight does.

    From the darkest up, each brighter picture takes over below nine tenths of what it can show; colours are EV 0's.
    """
    if 0 not in evs:
        raise BadInput(f"The exposures are {', '.join(f'{ev:g}' for ev in evs)}.", "DiffusionLight needs EV 0 too.")
    order = sorted(range(len(evs)), key=lambda i: evs[i])
    linear = [balls[i] ** GAMMA * 2.0 ** -evs[i] for i in range(len(evs))]
    weights = balls.new_tensor(_LUMINANCE)
    bright = [(each * weights).sum(-1) for each in linear]
    out = bright[order[0]]
    for i in order[1:]:
        largest = 2.0 ** -evs[i]
        over = ((bright[i] - 0.9 * largest) / (0.1 * largest)).clamp(0, 1)
        over = torch.where(out > bright[i], over, torch.zeros_like(over))
        out = (1 - over) * bright[i] + over * out
    zero = list(evs).index(0)
    return linear[zero] * (out / bright[zero].clamp(min=1e-6))[..., None]
