# SPDX-License-Identifier: GPL-3.0-or-later
"""Cubes of texels around a scene, (6, R, R, C): directions, solid angles, averaging, lookups without seams.

Faces are +x, −x, +y, −y, +z, −z in the Gaussians' frame. On the face of axis a, a texel's row goes with axis a + 2
and its column with axis a + 1 (modulo 3), both from −1 to 1. No file holds such a cube; files hold panoramas.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

_AXES = torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]])


def _towards(face: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Directions (…, 3), not of unit length, of places −1..1 on faces; a little beyond the edge is allowed."""
    axes = _AXES[face // 2]
    parts = torch.stack([1.0 - 2.0 * (face % 2), column, row], -1)
    return torch.zeros_like(parts).scatter(-1, axes, parts)


def _grid(size: int, border: int) -> Tensor:
    place = (torch.arange(-border, size + border) + 0.5) * 2 / size - 1
    face, row, column = torch.meshgrid(torch.arange(6.0), place, place, indexing="ij")
    return _towards(face.long(), column, row)


@lru_cache(maxsize=32)
def directions(size: int) -> Tensor:
    """(6, R, R, 3): unit directions of the texels' centres."""
    return F.normalize(_grid(size, 0), dim=-1)


@lru_cache(maxsize=32)
def solid_angles(size: int) -> Tensor:
    """(6, R, R): steradians, 4π together."""
    edge = torch.linspace(-1, 1, size + 1, dtype=torch.float64)
    x, y = torch.meshgrid(edge, edge, indexing="ij")
    corner = torch.atan2(x * y, (x * x + y * y + 1).sqrt())
    area = corner[1:, 1:] - corner[1:, :-1] - corner[:-1, 1:] + corner[:-1, :-1]
    return area.float().expand(6, -1, -1).contiguous()


def place(d: Tensor) -> tuple[Tensor, Tensor]:
    """Faces (…) and places (…, 2), column and row in −1..1, of directions (…, 3) of any length."""
    axis = d.detach().abs().argmax(-1)
    parts = d.gather(-1, _AXES.to(d.device)[axis])
    major = parts[..., 0]
    return 2 * axis + (major.detach() < 0).long(), parts[..., 1:] / major.abs().clamp(min=1e-12)[..., None]


@lru_cache(maxsize=32)
def bordered_texels(size: int) -> Tensor:
    """(6, R + 2, R + 2): numbers of the texels (flat, of 6·R·R) of a cube whose faces got their neighbours' edges."""
    face, where = place(_grid(size, 1))
    column, row = ((where + 1) / 2 * size).floor().long().clamp(0, size - 1).unbind(-1)
    return (face * size + row) * size + column


def bordered(cube: Tensor) -> Tensor:
    """(6, R + 2, R + 2, C): every face with a border of its neighbours' texels."""
    texels = bordered_texels(cube.shape[1]).to(cube.device)
    return F.embedding(texels, cube.reshape(-1, cube.shape[-1]))


def halved(cube: Tensor) -> Tensor:
    """(6, R/2, R/2, C): means by solid angle of two by two texels."""
    size = cube.shape[1]
    weight = solid_angles(size).to(cube)[..., None]
    blocks = (6, size // 2, 2, size // 2, 2, -1)
    total = (cube * weight).reshape(blocks).sum((2, 4))
    return total / weight.reshape(blocks).sum((2, 4))


def resized(cube: Tensor, size: int) -> Tensor:
    """Averaged down to ``size``, by halves."""
    while cube.shape[1] > size:
        cube = halved(cube)
    return cube


class Atlas:
    """Several cubes in one picture, so that one call looks up any of them."""

    def __init__(self, cubes: list[Tensor]) -> None:
        sizes = [cube.shape[1] for cube in cubes]
        self.width = max(sizes) + 2
        strips = [
            F.pad(bordered(cube).reshape(6 * (size + 2), size + 2, -1), (0, 0, 0, self.width - size - 2))
            for cube, size in zip(cubes, sizes, strict=True)
        ]
        self.picture = torch.cat(strips).permute(2, 0, 1)[None]
        counts = torch.tensor([0, *(6 * (size + 2) for size in sizes[:-1])])
        self.sizes, self.tops = torch.tensor(sizes).to(cubes[0].device), counts.cumsum(0).to(cubes[0].device)

    def sample(self, d: Tensor, level: Tensor) -> Tensor:
        """Bilinear lookup along directions (P, 3) in the cubes numbered ``level`` (P,): (P, C)."""
        face, where = place(d)
        size, top = self.sizes[level], self.tops[level]
        pixel = (where + 1) / 2 * size[:, None] + 1
        pixel = pixel + torch.stack([torch.zeros_like(top), top + face * (size + 2)], -1)
        extent = pixel.new_tensor([self.width, self.picture.shape[2]])
        found = F.grid_sample(self.picture, (2 * pixel / extent - 1)[None, None], align_corners=False)
        return found[0, :, 0].T


def sample(cube: Tensor, d: Tensor) -> Tensor:
    """Bilinear lookup of a cube along directions (…, 3): (…, C)."""
    flat = d.reshape(-1, 3)
    found = Atlas([cube]).sample(flat, torch.zeros(len(flat), dtype=torch.long, device=d.device))
    return found.reshape(*d.shape[:-1], -1)
