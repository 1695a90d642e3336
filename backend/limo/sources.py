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
    """K discs, camera frame: unit ``towards`` (K, 3), angular ``radius`` (K,) in radian, ``flux`` (K, 3) = ∫ L dω.

    spread: (K,) standard deviation of the direction in radian, zero where it is known.
    """

    towards: Tensor
    radius: Tensor
    flux: Tensor
    spread: Tensor

    @classmethod
    def none(cls) -> Sources:
        """No source at all."""
        return cls(torch.zeros(0, 3), torch.zeros(0), torch.zeros(0, 3), torch.zeros(0))

    def __len__(self) -> int:
        return self.radius.shape[0]

    def __getitem__(self, chosen: Tensor) -> Sources:
        return Sources(self.towards[chosen], self.radius[chosen], self.flux[chosen], self.spread[chosen])

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
        A disc small beside a texel seldom touches a border: within its spread it stands where it touches none.
        """
        total = torch.zeros(height, 2 * height, 3)
        area = pano.solid_angles(height)
        for towards, radius, flux, spread in zip(self.towards, self.radius, self.flux, self.spread, strict=True):
            total += (_split(towards, radius, spread, height) / area)[..., None] * flux
        return total


def _split(towards: Tensor, radius: Tensor, spread: Tensor, height: int) -> Tensor:
    """Unit flux as the texels (height, 2·height) share it, centred as far as :meth:`Sources.laid` allows."""
    rows = height * math.ceil(_FINE_ROWS / height)
    shape = profile(pano.directions(rows), _settled(towards, radius, spread, height), radius)
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


def _settled(towards: Tensor, radius: Tensor, spread: Tensor, height: int) -> Tensor:
    """Unit direction (3,) within ``spread`` of ``towards``, where a disc touches the fewest borders of its texel."""
    size = torch.tensor([2 * height, height])
    # Texels are narrower towards the poles.
    texel = math.pi / height * torch.stack([(1 - towards[1] ** 2).sqrt().clamp(min=1e-3), torch.ones(())])
    at = pano.uv_from_direction(towards) * size
    corner, margin = at.floor(), (radius / texel).clamp(max=0.5)
    inside = torch.maximum(torch.minimum(at, corner + 1 - margin), corner + margin)
    reach = spread / texel
    return pano.direction_from_uv((at + (inside - at).clamp(-reach, reach)) / size)


def profile(directions: Tensor, towards: Tensor, radius: Tensor) -> Tensor:
    """Radiance along unit ``directions`` (..., 3) of a disc of unit flux: (...), flat inside and soft at its edge.

    exp(−(t/r)⁴) with the chord t, over its integral: everywhere it has a gradient in direction and radius.
    """
    square = (directions - towards).square().sum(-1) / radius**2
    return torch.exp(-(square**2)) / _solid_angle(radius)


def profile_slopes(directions: Tensor, towards: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """How :func:`profile` grows with ``towards``, (..., 3), and with the logarithm of ``radius``, (...)."""
    chord = directions - towards
    square = chord.square().sum(-1) / radius**2
    light = torch.exp(-(square**2)) / _solid_angle(radius)
    return (4 * light * square / radius**2)[..., None] * chord, light * (4 * square**2 - 2)


def _solid_angle(radius: Tensor) -> Tensor:
    """∫ exp(−(t/r)⁴) 2πt dt = r² π^1.5 / 2, a little less than the disc's πr²."""
    return radius**2 * (math.pi**1.5 / 2)
