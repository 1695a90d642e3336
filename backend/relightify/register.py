# SPDX-License-Identifier: GPL-3.0-or-later
"""Give another head's mesh the UV and the landmarks of our own: bend it onto ours, then look up what lies nearest.

Landmarks that both have bend it first (thin-plate spline), then some hundred points that are drawn to the nearest skin.
Left and right are kept apart, as our map has its seam down the back of the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree
from torch import Tensor

from .head import MATERIALS, HeadModel

#: Rounds of drawing points to the nearest skin, how many, and no farther than this (metres).
ROUNDS, DRAWN, REACH = 3, 500, 0.03
#: Samples a triangle, for looking up what is nearest.
SAMPLES = 24
SKIN, NECK = MATERIALS.index("skin"), MATERIALS.index("neck")


@dataclass(frozen=True)
class Surface:
    """A mesh: ``points`` (V, 3) metres in the head frame, ``quads`` (F, 4) points."""

    points: Tensor
    quads: Tensor


@dataclass(frozen=True)
class Worn:
    """What a :class:`~.head.HeadModel` has beside its shapes."""

    corner_point: Tensor
    uv: Tensor
    faces: Tensor
    material: Tensor
    landmark_corners: Tensor
    landmark_weights: Tensor


def register(own: HeadModel, other: Surface, marks: Tensor, places: Tensor) -> Worn:
    """UV, material, landmarks for ``other``, whose points ``marks`` (N,) are at ``places`` (N, 3) of our mean head."""
    bent = _bent(own, other, marks, places)
    left = other.points[other.quads, 0].mean(1) > 0
    corner_point: list[Tensor] = []
    uv, necks, faces = [], [], torch.zeros_like(other.quads)
    for side in (False, True):
        points, local = torch.unique(other.quads[left == side], return_inverse=True)
        faces[left == side] = local + sum(len(points) for points in corner_point)
        at, neck = _look_up(own, bent[points], side)
        corner_point.append(points)
        uv.append(at)
        necks.append(neck)
    on_neck = torch.cat(necks)[faces].float().mean(1) > 0.5
    material = torch.where(on_neck, NECK, SKIN)
    corners, weights = _landmarks(own, bent, torch.cat(corner_point), faces)
    return Worn(torch.cat(corner_point), torch.cat(uv), faces, material, corners, weights)


def _bent(own: HeadModel, other: Surface, marks: Tensor, places: Tensor) -> Tensor:
    """(V, 3): the points of ``other`` bent onto our mean head."""
    start = other.points.numpy().astype(np.float64)
    fixed, held = start[marks.numpy()], places.numpy()
    bent = RBFInterpolator(fixed, held, smoothing=1e-6)(start)
    solid, _, _ = _samples(own.mean[own.corner_point], own.triangles("skin", "neck"))
    tree = cKDTree(solid)
    used = np.unique(other.quads.numpy())
    drawn = used[:: max(1, len(used) // DRAWN)]
    for _ in range(ROUNDS):
        away, nearest = tree.query(bent[drawn])
        near = away < REACH
        target = (bent[drawn] + solid[nearest])[near] / 2
        source, wanted = np.concatenate([fixed, start[drawn[near]]]), np.concatenate([held, target])
        source, first = np.unique(source, axis=0, return_index=True)
        bent = RBFInterpolator(source, wanted[first], smoothing=1e-5)(start)
    return torch.from_numpy(bent).float()


def _look_up(own: HeadModel, points: Tensor, left: bool) -> tuple[Tensor, Tensor]:
    """UV (N, 2) of our skin or neck nearest to points (N, 3), of one side alone, and whether (N,) it is the neck."""
    triangles = own.triangles("skin", "neck")
    there = own.uv[triangles][..., 0].mean(1) > 0.5
    neck_from = torch.isin(triangles, own.triangles("neck")).all(1)
    triangles, neck_from = triangles[there == left], neck_from[there == left]
    solid, triangle, weights = _samples(own.mean[own.corner_point], triangles)
    nearest = cKDTree(solid).query(points.numpy())[1]
    uv = (own.uv[triangles[triangle[nearest]]] * weights[nearest][..., None]).sum(1)
    return uv, neck_from[triangle[nearest]]


def _landmarks(own: HeadModel, bent: Tensor, corner_point: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Corners and weights (468, 3) of the bent mesh nearest to our mean head's landmarks."""
    triangles = torch.cat([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
    solid, triangle, weights = _samples(bent[corner_point], triangles)
    nearest = cKDTree(solid).query(own.landmarks(own.mean).numpy())[1]
    return triangles[triangle[nearest]], weights[nearest]


def _samples(points: Tensor, triangles: Tensor) -> tuple[np.ndarray, Tensor, Tensor]:
    """Places (T·SAMPLES, 3) spread over triangles (T, 3), the triangle of each, and its weights (…, 3)."""
    draw = torch.Generator().manual_seed(0)
    two = torch.rand(len(triangles), SAMPLES, 2, generator=draw)
    two = torch.where(two.sum(-1, keepdim=True) > 1, 1 - two, two)
    weights = torch.cat([1 - two.sum(-1, keepdim=True), two], -1)
    weights[:, :3] = torch.eye(3)
    places = torch.einsum("tsk,tkc->tsc", weights, points[triangles])
    triangle = torch.arange(len(triangles)).repeat_interleave(SAMPLES)
    return places.reshape(-1, 3).numpy(), triangle, weights.reshape(-1, 3)
