# SPDX-License-Identifier: GPL-3.0-or-later
"""What "the key light" of an environment is: the label of the training, the truth of the benchmark.

The direction is the mode of the map's luminance after a von Mises–Fisher blur of κ = 40 (half-width 11 degrees): the
direction from which the most light comes through one opening. A smaller blur lets a glint win over a window, a larger
one, or the normal of largest irradiance, finds the middle between sun and sky, from which no shadow falls.
The key is what exceeds its surroundings in a cone around it; all other light of the map is fill.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics import panorama as pano
from ..optics.exposure import luminance
from . import bins

KAPPA = 40.0
#: Rows at which a map is looked at.
_HEIGHT = 64
#: Degrees: the key's cone, and where the ring around it ends that tells how bright the surroundings are.
_CONE, _RING = 20.0, 30.0
#: One light dominates if the key gives at least this many times what all the rest gives on a surface facing it.
DOMINANT = 1.0
#: The smallest disc there is, the sun's, in degrees; and the ratio above which no fill is left to speak of.
SUN_DEG, _LARGEST_RATIO = 0.53, 1e4


@dataclass(frozen=True, eq=False)
class KeyLight:
    """Unit ``direction`` (3,) towards the light in the map's frame; ``irradiance`` (3,) of the key and ``fill`` (3,) of
    the rest on a surface facing it (units of the map's radiance × steradian); diameter of the disc of like spread."""

    direction: Tensor
    irradiance: Tensor
    fill: Tensor
    angular_size_deg: float

    @property
    def key_to_fill(self) -> float:
        """Luminance of the key's irradiance over the fill's."""
        fill = float(luminance(self.fill))
        return min(float(luminance(self.irradiance)) / max(fill, 1e-9), _LARGEST_RATIO)

    @property
    def dominates(self) -> bool:
        """Whether one light makes the shadows."""
        return self.key_to_fill >= DOMINANT


@lru_cache(maxsize=2)
def _geometry(height: int) -> tuple[Tensor, Tensor, Tensor]:
    """Directions (T, 3) and solid angles (T) of a map's texels, and the blur (642, T) at the bins."""
    towards = pano.directions(height).reshape(-1, 3)
    area = pano.solid_angles(height).expand(-1, 2 * height).reshape(-1)
    return towards, area, torch.exp(KAPPA * (bins.directions() @ towards.T - 1)) * area


def along_bins(panorama: Tensor) -> Tensor:
    """The luminance (642,) of a map (N, 2N, 3) after the blur, at the bins; a share of it times steradian."""
    small = pano.resize(panorama, min(_HEIGHT, panorama.shape[0]))
    return _geometry(small.shape[0])[2] @ luminance(small).reshape(-1)


def find_key_light(panorama: Tensor) -> KeyLight:
    """The key light of a camera-frame map (N, 2N, 3)."""
    small = pano.resize(panorama, min(_HEIGHT, panorama.shape[0]))
    towards, area, _ = _geometry(small.shape[0])
    colour = small.reshape(-1, 3)
    light = luminance(colour) * area
    direction = bins.directions()[int(along_bins(small).argmax())]
    for _ in range(20):
        # Mean shift: its fixed point is the blurred map's mode.
        weight = light * torch.exp(KAPPA * (towards @ direction - 1))
        direction = F.normalize((weight[:, None] * towards).sum(0) + 1e-12 * direction, dim=0)
    cosine = towards @ direction
    cone = cosine >= math.cos(math.radians(_CONE))
    ring = ~cone & (cosine >= math.cos(math.radians(_RING)))
    around = (colour[ring] * area[ring][:, None]).sum(0) / area[ring].sum()
    power = torch.zeros_like(colour)
    power[cone] = (colour[cone] - around).clamp(min=0) * area[cone][:, None]
    facing = cosine.clamp(min=0)[:, None]
    key = (power * facing).sum(0)
    fill = ((colour * area[:, None] - power).clamp(min=0) * facing).sum(0)
    return KeyLight(direction, key, fill, _disc(luminance(power), towards, small.shape[0]))


def _disc(power: Tensor, towards: Tensor, height: int) -> float:
    """Diameter in degrees of the uniform disc with the spread of ``power`` (T): radius √2 times the rms angle."""
    total = float(power.sum())
    if total <= 0:
        return 2 * _CONE
    middle = F.normalize((power[:, None] * towards).sum(0), dim=0)
    square = torch.arccos((towards @ middle).clamp(-1, 1)) ** 2
    # What one texel's own size, or light laid over four texels, adds to the spread.
    own = (math.pi / height) ** 2 / 3
    spread = float((power * square).sum()) / total - own
    return max(2 * math.degrees(math.sqrt(2 * max(spread, 0.0))), SUN_DEG)
