# SPDX-License-Identifier: GPL-3.0-or-later
"""Closed-form merge of a sphere's exposure bracket, and its unwrapping into a panorama."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics import panorama as pano
from ..optics.exposure import unexpose
from ..optics.sphere import SphereView, mirror_point

#: Display values above this count as clipped.
CLIPPED = 0.985


def merge_bracket(bracket: Tensor, evs: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Display values (E, ..., 3) at exposures ``evs`` to radiance (..., 3), and where even the darkest is clipped.

    Each exposure is weighted by the inverse variance of its quantisation, 4^ev; clipped values have no weight but in
    the darkest picture, where they are a lower bound.
    """
    order = sorted(range(len(evs)), key=lambda i: evs[i])
    weights, values = [], []
    for rank, i in enumerate(order):
        open_ = (bracket[i] < CLIPPED).float()
        weights.append(4.0 ** evs[i] * (open_ if rank else torch.full_like(open_, 1.0) * (0.0 + open_ + 1e-6)))
        values.append(unexpose(bracket[i], evs[i]))
    weight = torch.stack(weights)
    radiance = (weight * torch.stack(values)).sum(0) / weight.sum(0)
    return radiance, bracket[order[0]] >= CLIPPED


def unwrap(values: Tensor, view: SphereView, height: int) -> Tensor:
    """A mirror sphere's picture (S, S, C) as a panorama (height, 2·height, C), camera frame.

    True perspective, not an orthographic ball. The cone hidden behind the sphere takes the values at its outline.
    """
    normal = mirror_point(view, pano.directions(height))
    point = view.center + view.radius * normal
    local = point @ view.axes.T
    plane = local[..., :2] / -local[..., 2:] / view.half_width
    # Stay half a pixel inside the outline, where pixels are surely on the sphere.
    length = plane.norm(dim=-1, keepdim=True)
    limit = 0.95 - 1.2 / view.size
    plane = torch.where(length > limit, plane / length.clamp(min=1e-9) * limit, plane)
    grid = torch.stack([plane[..., 0], -plane[..., 1]], -1)[None]
    mask = view.mask.float()[..., None]
    stack = torch.cat([values * mask, mask], -1).permute(2, 0, 1)[None]
    found = F.grid_sample(stack, grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
    return (found[:-1] / found[-1:].clamp(min=1e-3)).permute(1, 2, 0)
