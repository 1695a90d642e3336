# SPDX-License-Identifier: GPL-3.0-or-later
"""Lamps and suns smaller than a mirror's pixel: discs with a direction, a size and a flux."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..optics import panorama as pano

#: Rows at least of the grid on which a disc is laid into a map: a quarter of a degree, finer than the smallest disc.
_FINE_ROWS = 768
#: See :meth:`Sources.laid`.
_GIVEN = 0.15


@dataclass(frozen=True, eq=False)
class Sources:
    """K discs, camera frame: unit ``towards`` (K, 3), angular ``radius`` (K,) in radian, ``flux`` (K, 3) = ∫ L dω."""

    towards: Tensor
    radius: Tensor
    flux: Tensor

    @classmethod
    def none(cls) -> Sources:
        """No source at all."""
        return cls(torch.zeros(0, 3), torch.zeros(0), torch.zeros(0, 3))

    def __len__(self) -> int:
        return self.radius.shape[0]

    def __getitem__(self, chosen: Tensor) -> Sources:
        return Sources(self.towards[chosen], self.radius[chosen], self.flux[chosen])

    @property
    def solid_angle(self) -> Tensor:
        """Flux over the radiance of each disc's middle, in steradian: (K,)."""
        return _solid_angle(self.radius)

    def diffuse(self, normals: Tensor) -> Tensor:
        """What a diffuse sphere of albedo 1 shows under them alone at ``normals`` (P, 3): (P, 3)."""
        return (normals @ self.towards.T).clamp(min=0) @ self.flux / math.pi

    def laid(self, height: int) -> Tensor:
        """Their light in a map (height, 2·height, 3), of each disc the exact flux.

        The mean over a texel and the direction from where it comes cannot both be right for a source off the texel's
        centre. The mean goes first; :data:`_GIVEN` of its height are given to move light to neighbours for the other.
        """
        total = torch.zeros(height, 2 * height, 3)
        area = pano.solid_angles(height)
        for towards, radius, flux in zip(self.towards, self.radius, self.flux, strict=True):
            total += (_split(towards, radius, height) / area)[..., None] * flux
        return total


def _split(towards: Tensor, radius: Tensor, height: int) -> Tensor:
    """Unit flux as the texels (height, 2·height) share it, centred as far as :meth:`Sources.laid` allows."""
    rows = height * math.ceil(_FINE_ROWS / height)
    shape = profile(pano.directions(rows), towards, radius)
    shape = shape / (shape * pano.solid_angles(rows)).sum()
    exact = pano.resize(shape[..., None], height)[..., 0] * pano.solid_angles(height)
    center = pano.uv_from_direction((exact[..., None] * pano.directions(height)).sum((0, 1)))
    off = (pano.uv_from_direction(towards) - center) * torch.tensor([2 * height, height])
    centred = exact
    for axis, way in ((1, off[0]), (0, off[1])):
        share = min(abs(float(way)), 0.5)
        centred = (1 - share) * centred + share * centred.roll(1 if way > 0 else -1, axis)
    lost = 1 - float(centred.flatten()[exact.argmax()] / exact.max())
    share = min(1.0, _GIVEN / max(lost, 1e-6))
    return (1 - share) * exact + share * centred


def profile(directions: Tensor, towards: Tensor, radius: Tensor) -> Tensor:
    """Radiance along unit ``directions`` (..., 3) of a disc of unit flux: (...), flat inside and soft at its edge.

    exp(−(t/r)⁴) with the chord t, over its integral: everywhere it has a gradient in direction and radius.
    """
    square = (directions - towards).square().sum(-1) / radius**2
    return torch.exp(-(square**2)) / _solid_angle(radius)


def _solid_angle(radius: Tensor) -> Tensor:
    """∫ exp(−(t/r)⁴) 2πt dt = r² π^1.5 / 2, a little less than the disc's πr²."""
    return radius**2 * (math.pi**1.5 / 2)
