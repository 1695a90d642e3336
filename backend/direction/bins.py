# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributions over directions: 642 bins on an icosphere, camera frame, and what follows from them."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

#: Subdivisions of the icosahedron: 12, 42, 162, 642 vertices, the last about 7.5 degrees apart.
_SUBDIVISIONS = 3
BINS = 642
#: Concentration of the soft labels, a half-width of 9.6 degrees (methods.md §6.4).
LABEL_KAPPA = 50.0


@lru_cache(maxsize=1)
def directions() -> Tensor:
    """Unit vectors of the bins (642, 3); the set is its own mirror image in x, y and z."""
    golden = (1 + math.sqrt(5)) / 2
    corners = [(0.0, a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    points = torch.tensor([(x[i % 3], x[(i + 1) % 3], x[(i + 2) % 3]) for i in range(3) for x in corners])
    points = F.normalize(points.double(), dim=-1)
    faces = [
        (i, j, k)
        for i in range(12)
        for j in range(i + 1, 12)
        for k in range(j + 1, 12)
        if min(float(points[a] @ points[b]) for a, b in ((i, j), (j, k), (i, k))) > 0.4
    ]
    for _ in range(_SUBDIVISIONS):
        points, faces = _subdivided(points, faces)
    return points.float()


def _subdivided(points: Tensor, faces: list[tuple[int, int, int]]) -> tuple[Tensor, list[tuple[int, int, int]]]:
    """Four triangles of each, with the new corners pushed out to the sphere."""
    found, middles = list(points), {}

    def middle(a: int, b: int) -> int:
        edge = (min(a, b), max(a, b))
        if edge not in middles:
            middles[edge] = len(found)
            found.append(F.normalize(points[a] + points[b], dim=0))
        return middles[edge]

    smaller = []
    for a, b, c in faces:
        ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
        smaller += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    return torch.stack(found), smaller


@lru_cache(maxsize=1)
def mirrored() -> Tensor:
    """For each bin the index (642) of the bin that is its mirror image, left for right."""
    flipped = directions() * torch.tensor([-1.0, 1.0, 1.0])
    return (flipped @ directions().T).argmax(-1)


def soft_label(towards: Tensor, kappa: float = LABEL_KAPPA) -> Tensor:
    """A von Mises–Fisher distribution over the bins (B, 642) around unit directions (B, 3)."""
    return torch.softmax(kappa * (towards @ directions().to(towards).T), -1)


def angle_deg(a: Tensor, b: Tensor) -> Tensor:
    """Angle between unit vectors (..., 3) in degrees (...), exact for small ones too."""
    sine = torch.linalg.cross(a, b, dim=-1).norm(dim=-1)
    return torch.rad2deg(torch.atan2(sine, (a * b).sum(-1)))


def best_guess(probability: Tensor) -> tuple[Tensor, Tensor]:
    """The direction (B, 3) whose expected angle to the truth is least, and that angle in degrees (B).

    ``probability`` (B, 642) sums to 1. The spherical median, found as the best bin and then moved by Weiszfeld steps,
    rather than the mean: with two candidate lights it is at the likelier one, not between them.
    """
    places = directions().to(probability)
    between = torch.arccos((places @ places.T).clamp(-1, 1))
    guess = places[(probability @ between).argmin(-1)]
    for _ in range(8):
        angle = torch.arccos((guess @ places.T).clamp(-1, 1))
        # Weights 1/θ make the fixed point a median; the floor of half a bin keeps a bin from catching it.
        weight = probability * angle.clamp(max=2.0) / angle.sin().clamp(min=0.07) / angle.clamp(min=0.07)
        guess = F.normalize(weight @ places + 1e-6 * guess, dim=-1)
    return guess, torch.rad2deg((probability * torch.arccos((guess @ places.T).clamp(-1, 1))).sum(-1))
