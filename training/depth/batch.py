# SPDX-License-Identifier: GPL-3.0-or-later
"""Training batches: each view seen through another lens, turned a little, half of them mirrored, then photographed.

A camera that only turns sees the same points, so depth, field of view and horizon stay exactly known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.depth.network import MULTIPLE, encode
from ...backend.optics.camera import Camera
from ..augment import photograph
from .examples import Shards, Shot

#: Width and height in pixels at which batches are made, and how often: as :func:`network.input_size` gives them.
SIZES = ((112, 80), (128, 80), (96, 96), (80, 112), (128, 64), (80, 128))
SHARES = (0.34, 0.2, 0.12, 0.16, 0.08, 0.1)
#: So many views of a kind fill its share of the batches.
ENOUGH = 400
assert all(side % MULTIPLE == 0 for size in SIZES for side in size)


@dataclass(frozen=True, eq=False)
class Batch:
    """``channels`` (B, 8, H, W); at half the size ``depth`` (B, H/2, W/2) planar metres, +inf = sky, NaN = unknown;
    ``focal`` (B), log focal length over √area; ``up`` (B, 3); ``known`` (B), 1 where the network was told the lens."""

    channels: Tensor
    depth: Tensor
    focal: Tensor
    up: Tensor
    known: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """On another device."""
        return Batch(*(getattr(self, name).to(device) for name in ("channels", "depth", "focal", "up", "known")))


def turned(shot: Shot, size: tuple[int, int], turn: Tensor, zoom: float) -> Shot:
    """The view as a camera of ``size`` (width, height) at the same place sees it, its axes the columns of ``turn``.

    The new lens is the widest whose corners the old picture still shows, ``zoom`` times as long.
    """
    width, height = size
    old = shot.camera
    focal = max(width / old.width, height / old.height) * old.fx
    for _ in range(40):
        rays = Camera(width, height, focal, focal, width / 2, height / 2).unit_depth_points() @ turn.T
        places = _project(rays, old)
        if bool((rays[..., 2] < -0.05).all()) and float(places.abs().max()) <= 1.0:
            break
        focal *= 1.04
    camera = Camera(width, height, focal * zoom, focal * zoom, width / 2, height / 2)
    rays = camera.unit_depth_points() @ turn.T
    places = _project(rays, old)[None]
    radiance = F.grid_sample(
        shot.radiance.movedim(-1, 0)[None], places, mode="bilinear", padding_mode="border", align_corners=False
    )
    depth = F.grid_sample(shot.depth[None, None], places, mode="nearest", padding_mode="border", align_corners=False)
    return Shot(radiance[0].movedim(0, -1), depth[0, 0] / -rays[..., 2], camera, shot.up @ turn)


def _project(rays: Tensor, camera: Camera) -> Tensor:
    """Where directions (..., 3) meet the picture, as grid_sample counts: (..., 2) in [−1, 1]."""
    x = (rays[..., 0] / -rays[..., 2] * camera.fx + camera.cx) / camera.width
    y = (camera.cy - rays[..., 1] / -rays[..., 2] * camera.fy) / camera.height
    return torch.stack([x, y], -1) * 2 - 1


def mirrored(shot: Shot) -> Shot:
    """Left for right."""
    return Shot(shot.radiance.flip(1), shot.depth.flip(1), shot.camera, shot.up * shot.up.new_tensor([-1.0, 1.0, 1.0]))


def small_turn(rng: np.random.Generator, spread: float = 0.07) -> Tensor:
    """Axes (3, 3) of a camera turned by a few degrees about all three of the old one's."""
    x, y, z = np.clip(rng.normal(0, spread, 3), -2.5 * spread, 2.5 * spread)
    vector = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float32)
    return torch.linalg.matrix_exp(vector)


def collate(shots: list[Shot], values: Tensor, known: Tensor) -> Batch:
    """A batch of views of one size; ``values`` (B, 3, H, W) are the display values that the network sees."""
    camera = [s.camera for s in shots]
    slopes = torch.tensor([[0.5 * c.width / c.fx, 0.5 * c.height / c.fy] for c in camera])
    focal = torch.tensor([math.log(c.fx / math.sqrt(c.width * c.height)) for c in camera])
    depth = torch.stack([s.depth for s in shots])[:, 1::2, 1::2]
    return Batch(encode(values, slopes, known), depth, focal, torch.stack([s.up for s in shots]), known)


def draw(kinds: dict[str, Shards], shares: dict[str, float], count: int, rng: np.random.Generator) -> Batch:
    """``count`` views of one random size, from each kind its share, or less where there are few of the kind."""
    size = SIZES[rng.choice(len(SIZES), p=SHARES)]
    names = list(kinds)
    weights = np.array([shares[name] * min(1.0, len(kinds[name]) / ENOUGH) for name in names])
    shots = []
    for which in rng.choice(len(names), count, p=weights / weights.sum()):
        views = kinds[names[which]]
        shot = views[int(rng.integers(len(views)))]
        zoom = 1.0 if rng.random() < 0.5 else float(rng.uniform(1.0, 1.3 if names[which] == "crops" else 2.0))
        shot = turned(shot, size, small_turn(rng) if rng.random() < 0.7 else torch.eye(3), zoom)
        shots.append(mirrored(shot) if rng.random() < 0.5 else shot)
    radiance = torch.stack([s.radiance for s in shots]).movedim(-1, 1)
    depth = torch.stack([s.depth for s in shots])
    values = photograph(radiance, depth.nan_to_num(nan=0.0, posinf=torch.inf), rng)
    known = torch.from_numpy((rng.random(count) < 0.4).astype(np.float32))
    return collate(shots, values, known)
