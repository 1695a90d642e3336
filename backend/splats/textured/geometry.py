# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangle meshes with a place in a texture for every corner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Mesh:
    """``points`` (V, 3) float32; ``faces`` (F, 3) int32, counter-clockwise from outside; for every corner ``uv``
    (F, 3, 2), 0..1 from the bottom left, and ``normals`` (F, 3, 3), unit length."""

    points: Array
    faces: Array
    uv: Array
    normals: Array

    def corners(self) -> Array:
        """(F, 3, 3): places of the faces' corners."""
        return self.points[self.faces]

    @property
    def extent(self) -> float:
        """The longest side of the box around it."""
        return float(np.ptp(self.points, axis=0).max())

    def placed(self, matrix: Array) -> Mesh:
        """The mesh under an affine ``matrix`` (4, 4); where that mirrors, its faces are turned over."""
        linear = np.asarray(matrix, np.float64)[:3, :3]
        points, normals = self.points @ linear.T + matrix[:3, 3], unit(self.normals @ np.linalg.inv(linear))
        turn = slice(None, None, -1 if np.linalg.det(linear) < 0 else 1)
        return Mesh(
            points.astype(np.float32), np.ascontiguousarray(self.faces[:, turn]),
            np.ascontiguousarray(self.uv[:, turn]), np.ascontiguousarray(normals[:, turn], np.float32),
        )  # fmt: skip

    def sampled(self, count: int) -> tuple[Array, Array, float]:
        """Places (N, 3) evenly on the surface, their faces' normals (N, 3), and the area that each stands for."""
        corners = self.corners().astype(np.float64)
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(cross, axis=1) / 2
        rng = np.random.default_rng(0)
        face = rng.choice(len(area), count, p=area / area.sum())
        a, b = rng.random((2, count))
        flip = a + b > 1
        a, b = np.where(flip, 1 - a, a), np.where(flip, 1 - b, b)
        found = corners[face]
        points = found[:, 0] + a[:, None] * (found[:, 1] - found[:, 0]) + b[:, None] * (found[:, 2] - found[:, 0])
        return points, cross[face] / (2 * area[face, None]), float(area.sum()) / count


def smooth_normals(points: Array, faces: Array) -> Array:
    """(F, 3, 3): for every corner the mean over the triangles at its place, weighted by their area."""
    corners = points[faces].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    _, place = np.unique(np.round(points, 6), axis=0, return_inverse=True)
    place = place.reshape(-1)
    total = np.zeros((int(place.max()) + 1, 3))
    for corner in range(3):
        np.add.at(total, place[faces[:, corner]], cross)
    return unit(total[place[faces]])


def unit(vectors: Array) -> Array:
    """(…, 3), as long as 1 or nothing."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-20)
