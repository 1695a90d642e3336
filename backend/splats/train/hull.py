# SPDX-License-Identifier: GPL-3.0-or-later
"""The visual hull: what all masks agree on, as flat Gaussians that lie on its surface.

A training's budget on a processor is short. Beginning on the hull rather than all through it, facing outwards rather
than round, leaves it less to find: hollows, and what is finer than a cell.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..inputs import Scene, View

#: Cells along an edge of the cube that holds the hull; how often its edge is softened.
_CELLS, _SOFTER = 64, 3
#: Of the views that see a place, those that may see the background there: masks and cameras are never quite exact.
_DISSENT = 0.02


def ball(scene: Scene) -> tuple[Tensor, float]:
    """Middle (3,) and radius of a ball that all views see whole."""
    middle, extent = scene.middle_and_extent()
    eyes = torch.stack([view.camera.position for view in scene.train])
    near = float((eyes - middle).norm(dim=-1).min())
    lens = scene.train[0].camera.lens
    wide = 0.5 * max(lens.width / lens.fx, lens.height / lens.fy)
    return middle, min(0.9 * near, max(near, 0.5 * extent) * wide)


def agreed(views: list[View], places: Tensor) -> tuple[Tensor, Tensor]:
    """Mean display colours (P, 3) over views, and whether (P,) nearly all of those that see a place see an object."""
    colour, hits, sights = torch.zeros_like(places), places.new_zeros(len(places)), places.new_zeros(len(places))
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
    inside = (sights > 0.5 * len(views)) & (hits >= (1 - _DISSENT) * sights)
    return colour / hits.clamp(min=1e-3)[:, None], inside


def on_surface(scene: Scene, count: int, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor] | None:
    """Places, mean display colours there and outward unit normals (count, 3 each); nothing if there is no hull."""
    middle, radius = ball(scene)
    cell = 2 * radius / _CELLS
    axis = (torch.arange(_CELLS) + 0.5) * cell - radius
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    _, inside = agreed(scene.train, torch.stack([x, y, z], -1).reshape(-1, 3) + middle)
    field = inside.reshape(1, 1, _CELLS, _CELLS, _CELLS).float()
    if not 100 < int(inside.sum()) < 0.9 * inside.numel():
        return None
    for _ in range(_SOFTER):
        field = F.avg_pool3d(field, 3, 1, 1)
    slopes = torch.stack(torch.gradient(field[0, 0]), 0)[None].flip(1) / cell
    edge = ((field[0, 0] > 0.2) & (field[0, 0] < 0.8)).nonzero().flip(-1)
    chosen = edge[torch.randint(len(edge), (count,), generator=g)]
    places = (chosen + torch.rand(count, 3, generator=g)) * cell - radius
    for _ in range(3):
        # Newton's steps along the slope, to where the softened hull is half full.
        height, slope = _at(field, places / radius)[:, 0], _at(slopes, places / radius)
        step = (height - 0.5)[:, None] * slope / (slope**2).sum(-1, keepdim=True).clamp(min=1e-6)
        places = places - step.clamp(-cell, cell)
    normals = -F.normalize(_at(slopes, places / radius), dim=-1)
    colour, _ = agreed(scene.train, places + middle)
    return places + middle, colour.clamp(0, 1), normals


def _at(grid: Tensor, places: Tensor) -> Tensor:
    """(P, C): a grid (1, C, Z, Y, X) over −1..1 at places (P, 3), x y z."""
    found = F.grid_sample(grid, places[None, None, None], padding_mode="border", align_corners=False)
    return found[0, :, 0, 0].T


def facing(normals: Tensor) -> Tensor:
    """(N, 4): quaternions w x y z that turn z to unit ``normals`` (N, 3), the short way."""
    x, y, z = normals.unbind(-1)
    quats = torch.stack([1 + z, -y, x, torch.zeros_like(z)], -1)
    upside_down = z < -0.9999
    quats[upside_down] = quats.new_tensor([0.0, 1, 0, 0])
    return F.normalize(quats, dim=-1)
