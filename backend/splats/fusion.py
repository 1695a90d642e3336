# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth maps of many views fused into one volume of signed distances, and the surface where it is zero.

Curless and Levoy, "A Volumetric Method for Building Complex Models from Range Images", 1996: along each ray the
distance to the surface, cut off a few cells from it, averaged over views; a ray that meets nothing empties its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.measure import label, marching_cubes

from ..compiled import njit
from .raster.camera import NEAR, SplatCamera
from .raster.project import JIT

Array = np.ndarray[Any, Any]

#: Cells behind a surface that a view still speaks of.
BAND = 4.0
#: A pixel that is covered less than this is taken for empty.
_COVERED = 0.7
#: Softens steps of cells, in cells; corners of this size are lost.
_SMOOTH = 0.6


@dataclass(frozen=True)
class Surface:
    """``points`` (V, 3) float32, ``normals`` (V, 3) unit length, outwards; ``faces`` (F, 3) int32, counter-clockwise
    seen from outside; in the cloud's frame. ``closed``: it has no rim."""

    points: Array
    normals: Array
    faces: Array
    closed: bool


class Volume:
    """Signed distances in cells of edge ``cell``, positive outside, at ``low`` + index · ``cell``; (X, Y, Z)."""

    def __init__(self, low: Array, high: Array, cells: int) -> None:
        self.cell = float((high - low).max()) / cells
        shape = np.ceil((high - low) / self.cell).astype(int) + 1
        self.low = np.asarray(low, np.float32)
        self.total, self.weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def see(self, camera: SplatCamera, depth: Array, cover: Array, trust: Array) -> None:
        """Add a view: planar ``depth``, ``cover`` 0..1 and ``trust`` ≥ 0 in what the depth says, each (H, W)."""
        lens = camera.lens
        view = np.ascontiguousarray(camera.viewmat[:3].numpy().astype(np.float32))
        intrinsics = np.array([lens.fx, lens.fy, lens.cx, lens.cy], np.float32)
        maps = (np.ascontiguousarray(layer, np.float32) for layer in (depth, cover, trust))
        _fuse(view, intrinsics, *maps, self.low, np.float32(self.cell), self.total, self.weight)

    def surface(self, unseen_is_inside: bool, least_part: float) -> Surface | None:
        """Where the distance is zero; None if nowhere.

        What no view saw is taken for the inside, so that the surface closes, or else left open. Parts with less than
        ``least_part`` of the largest one's cells go.
        """
        seen = self.weight > 0
        distance = np.where(seen, self.total / np.maximum(self.weight, 1e-9), -1.0)
        if not unseen_is_inside and seen.any():
            # What is next to the rim goes on beyond it, so that smoothing makes no surface there.
            distance = distance[tuple(distance_transform_edt(~seen, return_distances=False, return_indices=True))]
        inside = _large_parts(distance < 0, least_part)
        distance = np.where((distance < 0) & ~inside, 1.0, distance)
        if not inside.any():
            return None
        if unseen_is_inside:
            # A shell of emptiness closes what the box cuts.
            distance = np.pad(distance, 1, constant_values=1.0)
        distance = gaussian_filter(distance, _SMOOTH)
        if not float(distance.min()) < 0 < float(distance.max()):
            return None
        mask = None if unseen_is_inside else _whole_cells(seen)
        try:
            points, faces, normals, _ = marching_cubes(distance, 0.0, gradient_direction="descent", mask=mask)
        except RuntimeError:
            # All of it lies at the rim of what is known.
            return None
        shift = 1 if unseen_is_inside else 0
        points = self.low + (points - shift) * self.cell
        # The library's normals point where distances fall.
        return Surface(points.astype(np.float32), -normals.astype(np.float32), faces.astype(np.int32), _closed(faces))


def _closed(faces: Array) -> bool:
    """Whether every edge belongs to two triangles."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1).astype(np.int64)
    _, counts = np.unique(edges[:, 0] * (int(faces.max()) + 1) + edges[:, 1], return_counts=True)
    return bool((counts == 2).all())


def _whole_cells(seen: Array) -> Array:
    """The nodes that are seen, with seen neighbours: at the rim of what is known distances jump."""
    whole = seen.copy()
    for axis in range(3):
        for step in (1, -1):
            whole &= np.roll(seen, step, axis)
    return whole


def _large_parts(inside: Array, least: float) -> Array:
    """Connected parts that have at least ``least`` of the largest one's cells."""
    parts = label(inside, connectivity=1)
    counts = np.bincount(parts.ravel())
    counts[0] = 0
    kept = counts >= max(1.0, least * counts.max())
    kept[0] = False
    return kept[parts]


@njit(**JIT)
def _fuse(
    view: Any, lens: Any, depth: Any, cover: Any, trust: Any, low: Any, cell: Any, total: Any, weight: Any
) -> None:
    height, width = depth.shape
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            for k in range(total.shape[2]):
                x, y, z = low[0] + i * cell, low[1] + j * cell, low[2] + k * cell
                away = view[2, 0] * x + view[2, 1] * y + view[2, 2] * z + view[2, 3]
                if away <= NEAR:
                    continue
                right = view[0, 0] * x + view[0, 1] * y + view[0, 2] * z + view[0, 3]
                down = view[1, 0] * x + view[1, 1] * y + view[1, 2] * z + view[1, 3]
                u, v = lens[0] * right / away + lens[2], lens[1] * down / away + lens[3]
                if not (0 <= u < width and 0 <= v < height):
                    continue
                column, row = int(u), int(v)
                if cover[row, column] < _COVERED:
                    total[i, j, k] += 1
                    weight[i, j, k] += 1
                    continue
                distance = (depth[row, column] - away) / (BAND * cell)
                if distance < -1:
                    continue
                share = trust[row, column]
                total[i, j, k] += share * min(distance, 1)
                weight[i, j, k] += share
