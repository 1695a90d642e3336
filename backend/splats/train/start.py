# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians before anything is learnt."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..inputs import Scene
from . import hull
from .learnt import fresh

_TRIES = 40
#: On a hull: thickness as part of the width, and opacity, since nothing better is known to lie behind.
_THIN, _SOLID = 0.2, 0.5


def first_gaussians(scene: Scene, count: int, seed: int) -> dict[str, Tensor]:
    """Round Gaussians at the scene's points if it has some; flat ones on the masks' hull; else scattered around."""
    g = torch.Generator().manual_seed(seed)
    if scene.points is not None and len(scene.points[0]) >= 100:
        means, colours = scene.points
        if len(means) > count:
            chosen = torch.randperm(len(means), generator=g)[:count]
            means, colours = means[chosen], colours[chosen]
        return fresh(means.float(), colours.float(), _sizes(means))
    found = hull.on_surface(scene, count, g) if scene.masked else None
    if found is None:
        means, colours = _scattered(scene, count, g)
        return fresh(means.float(), colours.float(), _sizes(means))
    means, colours, normals = found
    flat = fresh(means, colours, _sizes(means), _SOLID)
    flat["scales"] = flat["scales"] * torch.tensor([1.0, 1.0, _THIN])
    return {**flat, "quats": hull.facing(normals)}


def _sizes(means: Tensor) -> Tensor:
    """(N,): how far the three nearest are."""
    distance, _ = cKDTree(means.numpy()).query(means.numpy(), 4)
    sizes = torch.from_numpy(np.sqrt((distance[:, 1:] ** 2).mean(-1)).astype(np.float32))
    return sizes.clamp(1e-7, 10 * float(sizes.median()))


def _scattered(scene: Scene, count: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Places (count, 3) in a ball that all views see, and the mean colour (count, 3) they have there."""
    middle, radius = hull.ball(scene)
    found, seen = torch.empty(0, 3), torch.empty(0, 3)
    for _ in range(_TRIES):
        places = torch.nn.functional.normalize(torch.randn(4 * count, 3, generator=g), dim=-1)
        places = middle + radius * places * torch.rand(4 * count, 1, generator=g) ** (1 / 3)
        colours, inside = hull.agreed(scene.train, places)
        found, seen = torch.cat([found, places[inside]]), torch.cat([seen, colours[inside]])
        if len(found) >= count:
            break
    if len(found) < min(count, 50):
        # Masks and cameras that do not fit each other: learn anyway, from everywhere.
        return places[:count], torch.full((count, 3), 0.5)
    return found[:count], seen[:count]
