# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Gaussians are before anything is learnt."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..inputs import Scene, View
from .learnt import fresh

#: Of the places tried, those that the masks of all but this part of the views agree on.
_DISSENT = 0.02
_TRIES = 40


def first_gaussians(scene: Scene, count: int, seed: int) -> dict[str, Tensor]:
    """Round Gaussians at the scene's points if it has some; else scattered where all masks see the object."""
    g = torch.Generator().manual_seed(seed)
    if scene.points is not None and len(scene.points[0]) >= 100:
        means, colours = scene.points
        if len(means) > count:
            chosen = torch.randperm(len(means), generator=g)[:count]
            means, colours = means[chosen], colours[chosen]
    else:
        means, colours = _scattered(scene, count, g)
    distance, _ = cKDTree(means.numpy()).query(means.numpy(), 4)
    sizes = torch.from_numpy(np.sqrt((distance[:, 1:] ** 2).mean(-1)).astype(np.float32))
    return fresh(means.float(), colours.float(), sizes.clamp(1e-7, 10 * float(sizes.median())))


def _scattered(scene: Scene, count: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Places (count, 3) in a ball that all views see, and the mean colour (count, 3) they have there."""
    middle, extent = scene.middle_and_extent()
    eyes = torch.stack([view.camera.position for view in scene.train])
    near = float((eyes - middle).norm(dim=-1).min())
    lens = scene.train[0].camera.lens
    radius = min(0.9 * near, max(near, 0.5 * extent) * 0.5 * max(lens.width / lens.fx, lens.height / lens.fy))
    found, seen = torch.empty(0, 3), torch.empty(0, 3)
    for _ in range(_TRIES):
        places = torch.nn.functional.normalize(torch.randn(4 * count, 3, generator=g), dim=-1)
        places = middle + radius * places * torch.rand(4 * count, 1, generator=g) ** (1 / 3)
        colours, inside = _agreed(scene.train, places)
        found, seen = torch.cat([found, places[inside]]), torch.cat([seen, colours[inside]])
        if len(found) >= count:
            break
    if len(found) < min(count, 50):
        # Masks and cameras that do not fit each other: learn anyway, from everywhere.
        return places[:count], torch.full((count, 3), 0.5)
    return found[:count], seen[:count]


def _agreed(views: list[View], places: Tensor) -> tuple[Tensor, Tensor]:
    """Mean display colours (P, 3) over views, and whether (P,) nearly all of those that see a place see an object."""
    colour, hits, sights = (
        places.new_zeros(len(places), 3),
        places.new_zeros(len(places)),
        places.new_zeros(len(places)),
    )
    for view in views:
        camera = view.camera
        local = places @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
        uv, depth = camera.lens.project(local)
        pixel = (uv * torch.tensor([camera.lens.width, camera.lens.height])).long()
        sees = (depth > 0) & (uv >= 0).all(-1) & (uv < 1).all(-1)
        x, y = pixel[sees].unbind(-1)
        cover = torch.ones(len(x)) if view.cover is None else view.cover[y, x].float() / 255
        colour[sees] += view.colour[y, x].float() / 255
        hits[sees] += cover
        sights += sees
    agreed = (sights > 0.5 * len(views)) & (hits >= (1 - _DISSENT) * sights)
    return colour / hits.clamp(min=1e-3)[:, None], agreed
