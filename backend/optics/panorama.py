# SPDX-License-Identifier: GPL-3.0-or-later
"""Equirectangular panoramas (N × 2N) and the directions their pixels stand for.

Two frames, both right-handed (architecture.md §2):

- ``camera``: lon = (u − 0.5)·2π, lat = (0.5 − v)·π, d = (sin lon cos lat, sin lat, −cos lon cos lat);
  the centre looks where the camera looks, left is left.
- ``world``: Blender's, z up; u = 0.5 − atan2(y, x)/2π, v = 0.5 − lat/π; the centre looks along +X.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..compiled import njit
from .camera import Camera

Frame = Literal["camera", "world"]

#: Stands for the sky, in metres.
_FAR = 1e5
#: Pixels belong to one surface while their depths differ by less than this factor, and what is seen in a texel while
#: its distances do.
_JUMP, _SAME = 1.1, 1.05
#: Points of a surface along a texel, and the most along a side of what lies between four pixels.
_DENSITY, _MOST = 1.7, 256


def _from_world_axes(d: Tensor) -> Tensor:
    """Directions whose camera-frame texel is where the world frame puts ``d``: x → −z, y → −x, z → y."""
    return torch.stack([-d[..., 1], d[..., 2], -d[..., 0]], -1)


def _to_world_axes(d: Tensor) -> Tensor:
    return torch.stack([-d[..., 2], -d[..., 0], d[..., 1]], -1)


def directions(height: int, frame: Frame = "camera") -> Tensor:
    """Unit directions of the texel centres: (N, 2N, 3)."""
    u, v = (torch.arange(2 * height) + 0.5) / (2 * height), (torch.arange(height) + 0.5) / height
    v, u = torch.meshgrid(v, u, indexing="ij")
    return direction_from_uv(torch.stack([u, v], -1), frame)


def direction_from_uv(uv: Tensor, frame: Frame = "camera") -> Tensor:
    """Unit directions (..., 3) of texture positions (..., 2); the inverse of :func:`uv_from_direction`."""
    lon, lat = (uv[..., 0] - 0.5) * 2 * math.pi, (0.5 - uv[..., 1]) * math.pi
    d = torch.stack([lon.sin() * lat.cos(), lat.sin(), -lon.cos() * lat.cos()], -1)
    return d if frame == "camera" else _to_world_axes(d)


def uv_from_direction(d: Tensor, frame: Frame = "camera") -> Tensor:
    """Texture position in [0, 1] × [0, 1], origin top left, of directions (..., 3) of any length: (..., 2)."""
    if frame == "world":
        d = _from_world_axes(d)
    x, y, z = d.unbind(-1)
    u = torch.atan2(x, -z) / (2 * math.pi) + 0.5
    v = 0.5 - torch.atan2(y, torch.hypot(x, z)) / math.pi
    return torch.stack([u, v], -1)


def sample(panorama: Tensor, d: Tensor, frame: Frame = "camera") -> Tensor:
    """Bilinear lookup of (N, 2N, C) along directions (..., 3): (..., C). Wraps in azimuth, clamps at the poles."""
    width, channels = panorama.shape[1:]
    uv = uv_from_direction(d, frame).reshape(1, 1, -1, 2)
    padded = torch.cat([panorama[:, -1:], panorama, panorama[:, :1]], 1).permute(2, 0, 1)[None]
    x = (uv[..., 0] * width + 1) / (width + 2)
    grid = torch.stack([x, uv[..., 1]], -1) * 2 - 1
    found = F.grid_sample(padded, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return found[0, :, 0].T.reshape(*d.shape[:-1], channels)


def solid_angles(height: int) -> Tensor:
    """Solid angle of the texels of each row in steradian: (N, 1); 2N of each sum to 4π exactly."""
    edges = torch.cos(torch.arange(height + 1, dtype=torch.float64) * math.pi / height)
    return ((edges[:-1] - edges[1:]) * math.pi / height).float()[:, None]


def mean_radiance(panorama: Tensor) -> Tensor:
    """Average over all directions: (N, 2N, 3) to (3,)."""
    weight = solid_angles(panorama.shape[0])[..., None]
    return (panorama * weight).sum((0, 1)) / (4 * math.pi)


def resize(panorama: Tensor, height: int) -> Tensor:
    """Resample (N, 2N, C) to (height, 2·height, C): energy-preserving area average down, wrapping bilinear up."""
    old = panorama.shape[0]
    if height == old:
        return panorama
    if height > old:
        return sample(panorama, directions(height))
    if old % height == 0:
        factor = old // height
        weight = solid_angles(old)[..., None].expand(-1, 2 * old, -1)
        blocks = (height, factor, 2 * height, factor, -1)
        total = (panorama * weight).reshape(blocks).sum((1, 3))
        return total / weight.reshape(blocks).sum((1, 3))
    return resize(sample(panorama, directions(height * (old // height + 1))), height)


def to_world(panorama: Tensor, rotation: Tensor, height: int | None = None) -> Tensor:
    """Camera-frame panorama to the world frame. ``rotation`` (3, 3): its columns are the camera's axes in the world."""
    height = height or panorama.shape[0]
    return _turn(panorama, directions(height, "world") @ rotation, "camera", height)


def to_camera(panorama: Tensor, rotation: Tensor, height: int | None = None) -> Tensor:
    """World-frame panorama to the camera frame; the inverse of :func:`to_world`."""
    height = height or panorama.shape[0]
    return _turn(panorama, directions(height, "camera") @ rotation.T, "world", height)


def world_axes(rotation: Tensor) -> Tensor:
    """The turn (3, 3) of camera-frame directions under which a camera-frame panorama is a world-frame one.

    ``rotation`` as in :func:`to_world`: what is estimated in turned directions needs no resampling afterwards.
    """
    return _from_world_axes(rotation.T).T


def _turn(panorama: Tensor, lookup: Tensor, frame: Frame, height: int) -> Tensor:
    # A smaller target averages over its footprint first, so that a sun of one texel keeps its energy.
    if height < panorama.shape[0]:
        panorama = resize(panorama, height)
    return sample(panorama, lookup, frame)


@dataclass(frozen=True)
class PartialPanorama:
    """What the camera saw, as seen from the probe: radiance (N, 2N, C), valid (N, 2N) in [0, 1], distance (N, 2N) m."""

    radiance: Tensor
    valid: Tensor
    distance: Tensor


def reproject(
    radiance: Tensor,
    depth: Tensor,
    camera: Camera,
    position: Tensor,
    height: int,
    turn: Tensor | None = None,
) -> PartialPanorama:
    """The visible scene by its direction from ``position`` as a panorama, camera frame or turned by ``turn`` (3, 3).

    ``radiance`` (H, W, C), planar ``depth`` (H, W) in metres with +inf for sky, ``position`` (3,). Neighbouring pixels
    of like depth span a surface, so that what is near has no gaps however large it is seen: the floor below a probe is
    a few pixels of the photo and half of the panorama. Where several points fall into one texel the nearest wins
    (within 5 %, averaged). Texels nobody saw have ``valid`` 0.
    """
    depth = depth.clamp(max=_FAR)
    points = camera.unproject(depth) - position
    points = points if turn is None else points @ turn.T
    sums = np.zeros((height, 2 * height, radiance.shape[-1] + 2), np.float32)
    places, far, told = (np.ascontiguousarray(each.numpy(), np.float32) for each in (points, depth, radiance))
    _lay(places, far, told, sums)
    return _close_pinholes(torch.from_numpy(sums))


@njit(nogil=True)
def _lay(points, depth, told, sums):  # type: ignore[no-untyped-def]
    """Add what pixels show, ``told`` (H, W, C) at ``points`` (H, W, 3) about the origin, and what lies between them, to
    ``sums`` (N, 2N, C + 2) of radiance, distance and one: first for each texel's nearest distance, then for what is
    there. Points of a surface are less than a texel apart."""
    rows, columns, size = told.shape
    height, width = sums.shape[:2]
    nearest = np.full((height, width), np.inf, np.float32)
    for weighing in range(2):
        for i in range(rows):
            for j in range(columns):
                k, m = min(i + 1, rows - 1), min(j + 1, columns - 1)
                down, right = _steps(points, depth, i, j, k, m, math.pi / height)
                for a in range(down):
                    for b in range(right):
                        s, t = np.float32(a / down), np.float32(b / right)
                        w0, w1, w2, w3 = (1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t
                        x = w0 * points[i, j, 0] + w1 * points[i, m, 0] + w2 * points[k, j, 0] + w3 * points[k, m, 0]
                        y = w0 * points[i, j, 1] + w1 * points[i, m, 1] + w2 * points[k, j, 1] + w3 * points[k, m, 1]
                        z = w0 * points[i, j, 2] + w1 * points[i, m, 2] + w2 * points[k, j, 2] + w3 * points[k, m, 2]
                        flat = math.sqrt(x * x + z * z)
                        # As in uv_from_direction.
                        u, v = 0.5 + math.atan2(x, -z) / (2 * math.pi), 0.5 - math.atan2(y, flat) / math.pi
                        row, column = min(max(int(v * height), 0), height - 1), int(u * width) % width
                        distance = math.sqrt(flat * flat + y * y)
                        if weighing == 0:
                            nearest[row, column] = min(nearest[row, column], distance)
                        elif distance <= nearest[row, column] * _SAME:
                            for c in range(size):
                                sums[row, column, c] += (
                                    w0 * told[i, j, c] + w1 * told[i, m, c] + w2 * told[k, j, c] + w3 * told[k, m, c]
                                )
                            sums[row, column, size] += distance
                            sums[row, column, size + 1] += 1


@njit(nogil=True)
def _steps(points, depth, i, j, k, m, texel):  # type: ignore[no-untyped-def]
    """How many points the surface between four pixels needs along each side: 1 where it is small, or is none."""
    near = min(min(depth[i, j], depth[i, m]), min(depth[k, j], depth[k, m]))
    if max(max(depth[i, j], depth[i, m]), max(depth[k, j], depth[k, m])) > near * _JUMP:
        return 1, 1
    least = np.float32(np.inf)
    for p, q in ((i, j), (i, m), (k, j), (k, m)):
        least = min(least, points[p, q, 0] ** 2 + points[p, q, 1] ** 2 + points[p, q, 2] ** 2)
    down, right, middle = np.float32(0), np.float32(0), np.float32(0)
    for c in range(3):
        middle += (points[i, j, c] + points[i, m, c] + points[k, j, c] + points[k, m, c]) ** 2 / 16
        down = max(down, abs(points[k, j, c] - points[i, j, c]), abs(points[k, m, c] - points[i, m, c]))
        right = max(right, abs(points[i, m, c] - points[i, j, c]), abs(points[k, m, c] - points[k, j, c]))
    scale = _DENSITY / (max(math.sqrt(min(least, middle)), 1e-6) * texel)
    return min(max(math.ceil(down * scale), 1), _MOST), min(max(math.ceil(right * scale), 1), _MOST)


def _widen_poles(grid: Tensor) -> Tensor:
    """Sums of a row's neighbours where no splat fell, as far as a texel of the equator reaches: at the poles, where
    texels are slivers, that is all around."""
    height, width = grid.shape[:2]
    wide = grid.clone()
    for row, angle in enumerate((torch.arange(height) + 0.5) * math.pi / height):
        reach = min(int(0.5 / float(angle.sin())), width // 2 - 1)
        if reach:
            around = F.pad(grid[row].T[None], (reach, reach), mode="circular")
            sums = F.avg_pool1d(around, 2 * reach + 1, stride=1)[0].T
            wide[row] = torch.where(grid[row, :, -1:] > 0, grid[row], sums)
    return wide


def _close_pinholes(grid: Tensor) -> PartialPanorama:
    """Fill texels that lie between splats (at least five seen neighbours of eight), twice, and normalise.

    ``grid`` (N, 2N, C + 2): sums of radiance and distance, and how many they are of.
    """
    grid = _widen_poles(grid)
    mean = grid / grid[..., -1:].clamp(min=1e-6)
    seen = (grid[..., -1] > 0).float()
    for _ in range(2):
        padded = torch.cat([mean * seen[..., None], seen[..., None]], -1).permute(2, 0, 1)[None]
        # Beyond a pole are the texels on its other side, alike those at it.
        padded = F.pad(F.pad(padded, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1), mode="replicate")
        around = F.avg_pool2d(padded, 3, stride=1, divisor_override=1)[0].permute(1, 2, 0)
        count = around[..., -1]
        fill = (seen == 0) & (count >= 5)
        mean = torch.where(fill[..., None], around[..., :-1] / count.clamp(min=1)[..., None], mean)
        seen = torch.maximum(seen, fill.float())
    return PartialPanorama(mean[..., :-2] * seen[..., None], seen, mean[..., -2] * seen)
