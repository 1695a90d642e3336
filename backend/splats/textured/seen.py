# SPDX-License-Identifier: GPL-3.0-or-later
"""Which point of a mesh every pixel of a view sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...compiled import njit
from ..inputs import View
from ..raster.camera import NEAR, SplatCamera
from ..raster.project import JIT
from ..train import evidence
from .geometry import Array, Mesh


@dataclass(frozen=True)
class Seen:
    """P pixels that see the mesh: ``pixels`` (P,) numbers row by row; ``uv`` (P, 2), ``points``, unit ``normals``
    turned to the eye, and unit ``view`` from the eye, (P, 3); ``size`` (H, W)."""

    pixels: Tensor
    uv: Tensor
    points: Tensor
    normals: Tensor
    view: Tensor
    size: tuple[int, int]

    def to(self, device: str) -> Seen:
        """The same on another device."""
        pixels, uv, points = (part.to(device) for part in (self.pixels, self.uv, self.points))
        return Seen(pixels, uv, points, self.normals.to(device), self.view.to(device), self.size)

    def spread(self, values: Tensor, empty: Tensor) -> Tensor:
        """(H, W, C): values (P, C) at their pixels in a picture ``empty`` (H, W, C)."""
        flat = empty.reshape(-1, empty.shape[-1])
        return flat.index_put((self.pixels,), values).reshape(empty.shape)


def look(mesh: Mesh, camera: SplatCamera) -> Seen:
    """What a camera sees of a mesh."""
    lens = camera.lens
    view = np.ascontiguousarray(camera.viewmat[:3].numpy().astype(np.float64))
    intrinsics = np.array([lens.fx, lens.fy, lens.cx, lens.cy])
    face = np.full((lens.height, lens.width), -1, np.int32)
    share = np.zeros((lens.height, lens.width, 3))
    nearness = np.zeros((lens.height, lens.width))
    _draw(mesh.corners().astype(np.float64), view, intrinsics, face, share, nearness)
    pixels = np.flatnonzero(face.reshape(-1) >= 0)
    faces, shares = face.reshape(-1)[pixels], share.reshape(-1, 3)[pixels]

    def mixed(values: Array) -> Tensor:
        return torch.from_numpy(np.einsum("pk,pkc->pc", shares, values[faces]).astype(np.float32))

    rays = camera.rays.reshape(-1, 3).float()[torch.from_numpy(pixels)]
    corners = mesh.corners()[faces]
    flat = torch.from_numpy(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    normals = F.normalize(mixed(mesh.normals), dim=-1)
    normals = torch.where((flat * rays).sum(-1, keepdim=True) > 0, -normals, normals)
    # Near the rim a smooth normal may look away although its triangle does not: it turns no further than across.
    normals = F.normalize(normals - rays * (normals * rays).sum(-1, keepdim=True).clamp(min=0), dim=-1)
    return Seen(
        torch.from_numpy(pixels), mixed(mesh.uv), mixed(mesh.corners()), normals, rays, (lens.height, lens.width)
    )


def told(view: View, seen: Seen, points: Tensor, normals: Tensor, extent: float) -> evidence.Evidence:
    """What a photo, which sees ``seen`` of a mesh, says of places (N, 3) on it with unit normals (N, 3)."""
    camera = view.camera.world_to_camera.to(seen.points)
    depth = -(seen.points @ camera[2, :3] + camera[2, 3])[:, None]
    return evidence.look(view, points, normals, seen.spread(depth, depth.new_zeros(*seen.size, 1)), extent)


@njit(**JIT)
def _draw(corners: Any, view: Any, lens: Any, face: Any, share: Any, nearness: Any) -> None:
    """Nearest triangle of every pixel, and the shares of its corners, true to perspective."""
    height, width = face.shape
    x, y, z = np.empty(3), np.empty(3), np.empty(3)
    for n in range(len(corners)):
        hidden = False
        for k in range(3):
            p = corners[n, k]
            z[k] = view[2, 0] * p[0] + view[2, 1] * p[1] + view[2, 2] * p[2] + view[2, 3]
            if z[k] <= NEAR:
                hidden = True
                break
            across = view[0, 0] * p[0] + view[0, 1] * p[1] + view[0, 2] * p[2] + view[0, 3]
            down = view[1, 0] * p[0] + view[1, 1] * p[1] + view[1, 2] * p[2] + view[1, 3]
            x[k], y[k] = lens[0] * across / z[k] + lens[2] - 0.5, lens[1] * down / z[k] + lens[3] - 0.5
        area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
        if hidden or area == 0:
            continue
        left, right = max(0, int(np.ceil(x.min()))), min(width - 1, int(np.floor(x.max())))
        top, bottom = max(0, int(np.ceil(y.min()))), min(height - 1, int(np.floor(y.max())))
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                a = ((x[1] - column) * (y[2] - row) - (x[2] - column) * (y[1] - row)) / area
                b = ((x[2] - column) * (y[0] - row) - (x[0] - column) * (y[2] - row)) / area
                c = 1 - a - b
                if a < 0 or b < 0 or c < 0:
                    continue
                near = a / z[0] + b / z[1] + c / z[2]
                if near > nearness[row, column]:
                    nearness[row, column], face[row, column] = near, n
                    share[row, column, 0] = a / z[0] / near
                    share[row, column, 1] = b / z[1] / near
                    share[row, column, 2] = c / z[2] / near
