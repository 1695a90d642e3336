# SPDX-License-Identifier: GPL-3.0-or-later
"""Which triangle of a mesh shows in each pixel, and what its corners' values are there.

A plain z-buffer finds the triangles and where in them the pixels lie, without a gradient; that of interpolated values
reaches those of the corners. **Places** are in pixels, x right, y down, origin at the picture's top-left corner: pixel
(i, j) has its centre at (i + 0.5, j + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..compiled import njit
from ..optics.camera import Camera
from .head import HeadModel

#: Metres in front of the camera at which triangles are dropped.
NEAR = 1e-3


@dataclass(frozen=True, eq=False)
class Raster:
    """``triangle`` (H, W) int64, −1 where there is none; ``weights`` (H, W, 3) of its corners, perspective-correct and
    zero where there is none; ``depth`` (H, W) planar, in the unit of the vertices' depth, +inf where there is none."""

    triangle: Tensor
    weights: Tensor
    depth: Tensor

    @property
    def mask(self) -> Tensor:
        """(H, W) bool: where something is."""
        return self.triangle >= 0

    def interpolate(self, triangles: Tensor, values: Tensor) -> Tensor:
        """(H, W, D): ``values`` (C, D) of the corners of ``triangles`` (T, 3) between them, zero where nothing is."""
        rows, columns = torch.nonzero(self.mask, as_tuple=True)
        weights = self.weights[rows, columns]
        inside = (values[triangles[self.triangle[rows, columns]]] * weights[..., None]).sum(-2)
        return values.new_zeros(*self.mask.shape, values.shape[-1]).index_put((rows, columns), inside)


def rasterise(places: Tensor, depth: Tensor | None, triangles: Tensor, size: tuple[int, int]) -> Raster:
    """Z-buffer of ``triangles`` (T, 3) at ``places`` (C, 2) in pixels with planar ``depth`` (C,); size is (W, H).

    Both sides of a triangle show. Without depth the projection is parallel and a later triangle covers an earlier one.
    Triangles that reach the camera's plane are left out.
    """
    width, height = size
    flat = np.ones(len(places), np.float64) if depth is None else depth.detach().double().numpy()
    found = np.full((height, width), -1, np.int64)
    weights = np.zeros((height, width, 3), np.float32)
    inverse = np.zeros((height, width), np.float64)
    _fill(places.detach().double().numpy(), 1 / np.maximum(flat, NEAR), triangles.numpy(), found, weights, inverse)
    with np.errstate(divide="ignore"):
        planar = (1 / inverse).astype(np.float32)
    return Raster(torch.from_numpy(found), torch.from_numpy(weights), torch.from_numpy(planar))


def nearest_parallel(places: Tensor, distance: Tensor, triangles: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W): the least ``distance`` (C,) that a parallel projection finds in each pixel, +inf where there is none."""
    width, height = size
    far = float(distance.max()) + 1
    found = np.full((height, width), -1, np.int64)
    weights, nearness = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float64)
    # Over the picture the distance is as straight as its reciprocal is in perspective; both count from the far end.
    _fill(places.double().numpy(), (far - distance.double()).numpy(), triangles.numpy(), found, weights, nearness)
    return torch.from_numpy(np.where(found >= 0, far - nearness, np.inf).astype(np.float32))


def rasterise_view(points: Tensor, triangles: Tensor, camera: Camera) -> tuple[Raster, Tensor]:
    """The raster that ``camera`` sees of corners (C, 3) in its frame, and their places (C, 2) in pixels."""
    places, depth = project(points, camera)
    return rasterise(places, depth, triangles, (camera.width, camera.height)), places


def project(points: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Places (..., 2) in pixels and planar depth (...) of points (..., 3) in the camera frame."""
    uv, depth = camera.project(points)
    return uv * uv.new_tensor([camera.width, camera.height]), depth


@lru_cache(maxsize=8)
def uv_raster(head: HeadModel, resolution: int, *materials: str) -> tuple[Raster, Tensor]:
    """The raster of a square map of ``resolution`` texels a side, and the triangles (T, 3) of these materials (all, if
    none is named) that it counts by. Row 0 is v = 1. Made once and kept.

    Islands of sockets, mouth, neck and tongue lie over the scalp's: a map of the skin names ``"skin"``.
    """
    triangles = head.triangles(*materials)
    return rasterise(uv_places(head, resolution), None, triangles, (resolution, resolution)), triangles


def uv_places(head: HeadModel, resolution: int) -> Tensor:
    """(C, 2): where the corners lie on a map of ``resolution`` texels a side, in texels, origin top left."""
    return torch.stack([head.uv[:, 0], 1 - head.uv[:, 1]], -1) * resolution


def corner_normals(head: HeadModel, points: Tensor) -> Tensor:
    """Unit outward normals (..., C, 3) of points (..., V, 3), weighted by area; the same on both sides of a UV seam."""
    ring = head.corner_point[head.triangles()]
    a, b, c = (points[..., ring[:, k], :] for k in range(3))
    face = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(points).index_add(-2, ring.T.reshape(-1), torch.cat([face] * 3, -2))
    return torch.nn.functional.normalize(normals, dim=-1, eps=1e-12)[..., head.corner_point, :]


def corner_tangents(head: HeadModel, points: Tensor, normals: Tensor) -> Tensor:
    """Unit tangents (..., C, 3) towards +u, at right angles to ``normals`` (..., C, 3).

    The bitangent, towards +v, is normals × tangents: no triangle of skin is mirrored in the UV layout. So is Blender's
    (MikkTSpace's) within what the interpolation leaves.
    """
    triangles = head.triangles()
    corners = head.corners(points)
    a, b, c = (corners[..., triangles[:, k], :] for k in range(3))
    ua, ub, uc = (head.uv[triangles[:, k]] for k in range(3))
    e1, e2 = ub - ua, uc - ua
    along = ((b - a) * e2[:, 1:] - (c - a) * e1[:, 1:]) * _cross(e1, e2).sign()[:, None]
    # As in MikkTSpace the direction counts, by the triangle's area in space, not the size of the texels.
    area = torch.linalg.cross(b - a, c - a).norm(dim=-1, keepdim=True)
    share = torch.nn.functional.normalize(along, dim=-1, eps=1e-12) * area
    sums = torch.zeros_like(corners).index_add(-2, triangles.T.reshape(-1), torch.cat([share] * 3, -2))
    flat = sums - (sums * normals).sum(-1, keepdim=True) * normals
    return torch.nn.functional.normalize(flat, dim=-1, eps=1e-12)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


@njit(nogil=True)
def _fill(places, nearness, triangles, found, weights, inverse):  # type: ignore[no-untyped-def]
    """Draw every triangle into ``found``, ``weights`` and ``inverse``, the nearest reciprocal depth so far."""
    height, width = found.shape
    near = 0.999 / NEAR
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        wi, wj, wk = nearness[i], nearness[j], nearness[k]
        if max(wi, wj, wk) >= near:
            continue
        xi, yi, xj, yj, xk, yk = places[i, 0], places[i, 1], places[j, 0], places[j, 1], places[k, 0], places[k, 1]
        area = (xj - xi) * (yk - yi) - (yj - yi) * (xk - xi)
        if not abs(area) > 1e-12:
            continue
        left, right = max(int(np.ceil(min(xi, xj, xk) - 0.5)), 0), min(int(max(xi, xj, xk) - 0.5), width - 1)
        top, bottom = max(int(np.ceil(min(yi, yj, yk) - 0.5)), 0), min(int(max(yi, yj, yk) - 0.5), height - 1)
        # Each corner's area at the first pixel's centre, and how it grows to the right and downwards.
        ax, bx, ay, by = (yj - yk) / area, (yk - yi) / area, (xk - xj) / area, (xi - xk) / area
        a0 = (left + 0.5 - xj) * ax + (top + 0.5 - yj) * ay
        b0 = (left + 0.5 - xk) * bx + (top + 0.5 - yk) * by
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                a = a0 + (x - left) * ax + (y - top) * ay
                b = b0 + (x - left) * bx + (y - top) * by
                c = 1.0 - a - b
                if a < -1e-9 or b < -1e-9 or c < -1e-9:  # nothing may fall between neighbours
                    continue
                a, b, c = a * wi, b * wj, c * wk
                w = a + b + c
                if w >= inverse[y, x]:
                    inverse[y, x] = w
                    found[y, x] = t
                    weights[y, x, 0], weights[y, x, 1], weights[y, x, 2] = a / w, b / w, c / w
