# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the surroundings each place near a cloud sees, as harmonics on a grid.

The paper splats cubes of opacity at the points of a grid. Here the Gaussians' optical depth is put into a volume once,
and every place looks through it along fixed directions: the same quantity, in seconds on a processor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from . import expansion
from .brdf import scattered

#: Cells along the longest side of the grid, and directions that a place looks along.
CELLS, DIRECTIONS = 48, 96
#: How many cells a look starts above the surface, so that the surface does not hide the sky from itself.
_ABOVE = 1.5
_PIECES = 4


@dataclass(frozen=True)
class Visibility:
    """``grid`` (Z, Y, X, 16): harmonics of the share of light that arrives, 0..1; ``low`` (3,): the first cell's
    corner; ``cell``: its edge. In the Gaussians' frame."""

    grid: Tensor
    low: Tensor
    cell: float

    def at(self, points: Tensor, normals: Tensor) -> Tensor:
        """(P, 16) at surface points (P, 3) with unit normals (P, 3)."""
        lifted = (points + _ABOVE * self.cell * normals - self.low) / self.cell
        extent = lifted.new_tensor(self.grid.shape[2::-1])
        where = (2 * lifted / extent - 1)[None, None, None]
        volume = self.grid.permute(3, 0, 1, 2)[None]
        found = F.grid_sample(volume, where, padding_mode="border", align_corners=False)
        return found[0, :, 0, 0].T

    def state(self) -> dict[str, Tensor]:
        """Tensors of which :meth:`restored` makes it again."""
        return {"grid": self.grid, "low": self.low, "cell": torch.tensor(self.cell, dtype=torch.float64)}

    @classmethod
    def restored(cls, state: Mapping[str, Tensor]) -> Visibility:
        """As it was."""
        return cls(state["grid"], state["low"], float(state["cell"]))

    def to(self, device: str) -> Visibility:
        """The same on another device."""
        return Visibility(self.grid.to(device), self.low.to(device), self.cell)


def directions(count: int) -> Tensor:
    """(count, 3): unit directions all around, each for 4π/count of them."""
    first, second = scattered(count)
    z, angle = 1 - 2 * first, 2 * math.pi * second
    flat = (1 - z * z).sqrt()
    return torch.stack([flat * angle.cos(), flat * angle.sin(), z], -1)


def optical_depth(means: Tensor, axes: Tensor, scales: Tensor, opacity: Tensor, low: Tensor, cell: float,
                  shape: tuple[int, int, int]) -> Tensor:  # fmt: skip
    """(Z, Y, X): optical depth per unit of length in the cells, of Gaussians with ``axes`` (N, 3, 3) as columns.

    Looking through a Gaussian's middle along its shortest axis takes −ln(1 − opacity). Its amount is that over the area
    of the other two, and is put down in pieces where it lies.
    """
    wide = scales.sort(-1).values[:, 1:].prod(-1)
    amount = -torch.log1p(-opacity.clamp(max=0.999)) * 2 * math.pi * wide
    g = torch.Generator().manual_seed(0)
    total = means.new_zeros(shape[0] * shape[1] * shape[2])
    size = torch.tensor(shape[::-1], device=means.device)
    for _ in range(_PIECES**2):
        offset = torch.randn(len(means), 3, generator=g).to(means) * scales
        where = (means + (axes @ offset[..., None])[..., 0] - low) / cell - 0.5
        first = where.floor()
        for corner in range(8):
            step = torch.tensor([corner & 1, corner >> 1 & 1, corner >> 2], device=means.device)
            index = (first + step).long()
            weight = (1 - (where - index).abs()).clamp(min=0).prod(-1)
            inside = ((index >= 0) & (index < size)).all(-1)
            x, y, z = index[inside].unbind(-1)
            total.index_add_(0, (z * shape[1] + y) * shape[2] + x, (amount * weight)[inside])
    return (total / (_PIECES**2 * cell**3)).reshape(shape)


def bake(means: Tensor, axes: Tensor, scales: Tensor, opacity: Tensor, cells: int = CELLS) -> Visibility:
    """Visibility about N Gaussians: ``means`` (N, 3), ``axes`` (N, 3, 3) as columns, ``scales`` (N, 3), ``opacity``."""
    solid = opacity > 0.1
    core = means[solid] if int(solid.sum()) > 3 else means
    low, high = (torch.quantile(core[:: len(core) // 2**18 + 1], share, dim=0) for share in (0.005, 0.995))
    if not bool((high > low).any()):
        # All in one place: as far as they reach.
        low, high = low - 3 * scales.max(), high + 3 * scales.max()
    edge = float((high - low).max()) * 1.1 / (cells - 6)
    low = low - (3 + 0.05 * cells) * edge
    extent = ((high - low) / edge + 3 + 0.05 * cells).ceil().long().clamp(max=2 * cells).tolist()
    shape = (extent[2], extent[1], extent[0])
    thickness = optical_depth(means, axes, scales, opacity, low, edge, shape)
    grid = means.new_zeros(*shape, expansion.COUNT)
    grid[..., 0] = 2 * math.sqrt(math.pi)
    near = F.max_pool3d(thickness[None, None], 7, 1, 3)[0, 0] * edge > 0.05
    places = near.nonzero()
    passed = _look(thickness * edge, (places.flip(-1) + 0.5).to(means))
    d = directions(DIRECTIONS).to(means)
    grid[near] = passed @ expansion.basis(d) * (4 * math.pi / DIRECTIONS)
    return Visibility(grid, low, edge)


def _segments(longest: float) -> list[tuple[int, float]]:
    """Pieces of a look: the level of the volume they are read from, and the distance of their middles in cells.

    The farther, the longer and the coarser, as harmonics of degree 3 tell nothing finer.
    """
    found, start = [], 0.5
    for level, end in enumerate((10.5, 34.5, longest)):
        length = 1 << level
        while start < end:
            found.append((level, start + length / 2))
            start += length
    return found


def _look(thickness: Tensor, places: Tensor) -> Tensor:
    """(P, DIRECTIONS): share of light that comes through to ``places`` (P, 3; x y z in cells)."""
    padded = F.pad(thickness, [side for n in thickness.shape[::-1] for side in (0, -n % 4)])[None, None]
    size = places.new_tensor(padded.shape[:1:-1])
    levels = [padded, F.avg_pool3d(padded, 2), F.avg_pool3d(padded, 4)]
    found = []
    for d in directions(DIRECTIONS).to(places):
        depth = torch.zeros(len(places), device=places.device)
        # Only as far as the volume goes for the place from which it is farthest.
        for level, distance in _segments(float((size / d.abs()).min())):
            where = (2 * (places + d * distance) / size - 1)[None, None, None]
            seen = F.grid_sample(levels[level], where, align_corners=False)
            depth = depth + (1 << level) * seen[0, 0, 0, 0]
        found.append(torch.exp(-depth))
    return torch.stack(found, -1)
