# SPDX-License-Identifier: GPL-3.0-or-later
"""Distant light as a cube of radiance: prefiltered for glossy surfaces, as harmonics for rough ones.

Both are linear in the radiance and differentiable. The lobe of half vectors is that about n = v = r (Karis 2013).
Narrow lobes are sums over a few directions, each from a copy of the cube whose texels are as large as the part of the
lobe that it stands for (Křivánek and Colbert 2008); wide ones are exact sums over a small cube.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...optics import panorama as pano
from . import brdf, expansion
from . import cubemap as cube

#: Roughnesses that are prefiltered; between them one interpolates.
ROUGHNESS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
#: Texels along an edge of cubes that are summed exactly; wide lobes, from this roughness on, want no more than few.
_SMALL, _SMALLEST, _WIDE = 16, 8, 0.5
_DIRECTIONS = 32


class _Weights:
    """A sparse matrix and its transpose, as bags of rows, which every device of torch can sum."""

    def __init__(self, rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> None:
        self.down, self.up = self._bags(rows, columns, values, shape[0]), self._bags(columns, rows, values, shape[1])

    @staticmethod
    def _bags(rows: Tensor, columns: Tensor, values: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        order = torch.argsort(rows, stable=True)
        starts = F.pad(torch.bincount(rows, minlength=count).cumsum(0)[:-1], (1, 0))
        return columns[order], starts, values[order]

    @staticmethod
    def apply(bags: tuple[Tensor, Tensor, Tensor], table: Tensor) -> Tensor:
        """The matrix times ``table`` (columns, C)."""
        columns, starts, values = (part.to(table.device) for part in bags)
        return F.embedding_bag(columns, table, starts, mode="sum", per_sample_weights=values.to(table.dtype))


class _Sparse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, weights: _Weights) -> Tensor:
        ctx.weights = weights
        return _Weights.apply(weights.down, table)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _Weights.apply(ctx.weights.up, grads[0].contiguous()), None


def _sizes(size: int) -> list[int]:
    """Edge in texels of every prefiltered cube."""
    least = [_SMALLEST if roughness > _WIDE else _SMALL for roughness in ROUGHNESS]
    return [size, *(min(size, max(least[k], size >> k)) for k in range(1, len(ROUGHNESS)))]


@lru_cache(maxsize=16)
def _exact(size: int, roughness: float) -> Tensor:
    """(6·S², 6·S²): the whole lobe over a cube of S texels."""
    d = cube.directions(size).reshape(-1, 3)
    cos_l = (d @ d.T).clamp(-1, 1)
    # The cosine of the half vector about r = n is that of half the angle to the light.
    lobe = brdf.density(((1 + cos_l) / 2).sqrt(), roughness**2) * cos_l.clamp(min=0)
    weight = lobe * cube.solid_angles(size).reshape(-1)
    return weight / weight.sum(-1, keepdim=True)


@lru_cache(maxsize=16)
def _sampled(size: int, out: int, roughness: float) -> _Weights:
    """From all halvings of a cube of ``size``, one below the other, to the filtered cube of ``out``."""
    alpha = roughness**2
    h = brdf.half_vectors(torch.tensor(alpha), _DIRECTIONS)
    local = torch.stack([2 * h[:, 2] * h[:, 0], 2 * h[:, 2] * h[:, 1], 2 * h[:, 2] ** 2 - 1], -1)
    share = local[:, 2].clamp(min=0)
    texel = 4 * math.pi / (6 * size * size)
    part = 4 / (_DIRECTIONS * brdf.density(h[:, 2], alpha))
    # One step coarser than the part itself: neighbours overlap, and what is between them is not lost.
    finest = int(math.log2(size)) - 1
    level = (0.5 * torch.log2(part / texel) + 1).round().clamp(0, finest).long()
    n = cube.directions(out).reshape(-1, 3)
    helper = torch.where(n[:, 2:].abs() < 0.9, torch.tensor([0.0, 0, 1]), torch.tensor([1.0, 0, 0]))
    tangent = F.normalize(torch.linalg.cross(helper, n), dim=-1)
    frame = torch.stack([tangent, torch.linalg.cross(n, tangent), n], 1)
    towards = torch.einsum("kj,njc->nkc", local, frame)
    rows, columns, values = [], [], []
    for number in level.unique().tolist():
        chosen = (level == number) & (share > 0)
        start = sum(6 * (size >> k) ** 2 for k in range(number))
        texels, weights = _taps(towards[:, chosen].reshape(-1, 3), size >> number)
        row = torch.arange(len(n))[:, None].expand(-1, int(chosen.sum())).reshape(-1, 1).expand(-1, 4)
        rows.append(row.reshape(-1))
        columns.append((texels + start).reshape(-1))
        values.append((weights * (share[chosen] / share.sum()).repeat(len(n))[:, None]).reshape(-1))
    return _Weights(torch.cat(rows), torch.cat(columns), torch.cat(values), (len(n), _stacked(size)))


def _stacked(size: int) -> int:
    return sum(6 * (size >> k) ** 2 for k in range(int(math.log2(size))))


def _taps(d: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Texels (P, 4) of a cube and their weights that a bilinear lookup along d (P, 3) takes."""
    face, where = cube.place(d)
    pixel = (where + 1) / 2 * size + 0.5
    low = pixel.floor().clamp(0, size)
    column, row = low.long().unbind(-1)
    fx, fy = (pixel - low).unbind(-1)
    corner = (face * (size + 2) + row) * (size + 2) + column
    texels = torch.stack([corner, corner + 1, corner + size + 2, corner + size + 3], -1)
    weights = torch.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], -1)
    return cube.bordered_texels(size).reshape(-1)[texels], weights


class Light:
    """What shading needs of an environment: ``radiance`` (6, R, R, 3), linear; R a power of two."""

    def __init__(self, radiance: Tensor) -> None:
        self.radiance = radiance
        self.atlas = cube.Atlas(self._levels())

    def _levels(self) -> list[Tensor]:
        size = self.radiance.shape[1]
        halves = [self.radiance]
        while halves[-1].shape[1] > 2:
            halves.append(cube.halved(halves[-1]))
        stack = torch.cat([half.reshape(-1, 3) for half in halves])
        found = [self.radiance]
        for out, roughness in zip(_sizes(size)[1:], ROUGHNESS[1:], strict=True):
            if out > _SMALL:
                filtered = _Sparse.apply(stack, _sampled(size, out, roughness))
            else:
                small = cube.resized(self.radiance, out)
                filtered = _exact(out, roughness).to(small) @ small.reshape(-1, 3)
            found.append(filtered.reshape(6, out, out, 3))
        return found

    def specular(self, d: Tensor, roughness: Tensor) -> Tensor:
        """Radiance (P, 3) that a lobe of ``roughness`` (P,) gathers about directions (P, 3)."""
        level = roughness.clamp(0, 1) * (len(ROUGHNESS) - 1)
        low = level.detach().floor().long().clamp(max=len(ROUGHNESS) - 2)
        both = self.atlas.sample(torch.cat([d, d]), torch.cat([low, low + 1]))
        lower, upper = both.chunk(2)
        return torch.lerp(lower, upper, (level - low)[:, None])

    def harmonics(self) -> Tensor:
        """(16, 3): the light up to degree 3."""
        small = cube.resized(self.radiance, _SMALL)
        size = small.shape[1]
        basis = expansion.basis(cube.directions(size)) * cube.solid_angles(size)[..., None]
        return basis.reshape(-1, expansion.COUNT).T.to(small) @ small.reshape(-1, 3)


def from_panorama(panorama: Tensor, size: int) -> Tensor:
    """(6, R, R, 3): a world-frame panorama (N, 2N, 3) as a cube, texels averaged over four by four places."""
    if panorama.shape[0] > 8 * size:
        panorama = pano.resize(panorama, 8 * size)
    found = pano.sample(panorama, cube.directions(4 * size), "world")
    return cube.resized(found, size)


def to_panorama(radiance: Tensor, height: int) -> Tensor:
    """(N, 2N, 3): a cube as a world-frame panorama of ``height`` rows."""
    return cube.sample(radiance, pano.directions(height, "world").to(radiance))
