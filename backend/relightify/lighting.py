# SPDX-License-Identifier: GPL-3.0-or-later
"""Light that a head is drawn in: an environment all about it and lamps far away, all in the camera frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from ..optics import harmonics, shading
from ..optics import panorama as pano
from .solid import Solid, shadow_map
from .surface import CORNEA, SKIN, WET

#: How far light reaches round the terminator of skin, red, green and blue: red travels farthest in it.
WRAP = (0.30, 0.14, 0.08)
#: Rows of the maps that diffuse light is looked up in, and of the blocks that throw shadows.
_SPREAD, _SHADOWING = 32, 8
#: Rows of the maps that are spread over a lobe, and the roughnesses of the lobes; the first shows the environment
#: itself. What lies between is mixed: by that skin's gloss is 1 to 3 % off.
_LOBE, _LEVELS = 48, (CORNEA, 0.2, WET, 0.36, SKIN, 0.6, 0.75)
#: Blocks with less than this part of all light throw no shadow worth a shadow map.
_LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class Lamp:
    """A lamp far away: unit ``direction`` (3,) towards it, ``irradiance`` (3,) on what faces it, linear."""

    direction: Tensor
    irradiance: Tensor


@dataclass(frozen=True, eq=False)
class Lighting:
    """``environment`` (N, 2N, 3), linear radiance, a camera-frame panorama, and ``lamps`` beside it."""

    environment: Tensor
    lamps: tuple[Lamp, ...] = ()

    @classmethod
    def of_harmonics(cls, light: Tensor, rotation: Tensor) -> Lighting:
        """Light (9, 3) of the head frame (:mod:`..optics.harmonics`); ``rotation`` takes that frame to the camera's."""
        return cls(harmonics.radiance(light, pano.directions(_SPREAD) @ rotation).clamp(min=0))

    @cached_property
    def _wrapped(self) -> Tensor:
        """(32, 64, 3): irradiance over π by normal, light reaching round as it does in skin."""
        normals = pano.directions(_SPREAD)
        bands = [
            shading.irradiance(self.environment[..., i : i + 1].expand(-1, -1, 3), normals, wrap=wrap)[..., 0]
            for i, wrap in enumerate(WRAP)
        ]
        return torch.stack(bands, -1) / torch.pi

    @cached_property
    def _glossy(self) -> dict[float, Tensor]:
        return {}

    def diffuse(self, normals: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """(P, 3): what the environment makes of white skin, nothing in its way. A normal (P, 3) for each colour."""
        return torch.stack([pano.sample(self._wrapped[..., i : i + 1], n)[..., 0] for i, n in enumerate(normals)], -1)

    def mirrored(self, directions: Tensor, roughness: Tensor) -> Tensor:
        """(P, 3): what glosses of this ``roughness`` (P, 1) show where a mirror would show ``directions`` (P, 3)."""
        levels = torch.tensor(_LEVELS)
        above = torch.bucketize(roughness, levels).clamp(1, len(levels) - 1)
        low, high = levels[above - 1], levels[above]
        place = above - 1 + ((roughness - low) / (high - low)).clamp(0, 1)
        found = torch.zeros_like(directions)
        for number, level in enumerate(_LEVELS):
            share = (1 - (place - number).abs()).clamp(min=0)
            some = share[:, 0] > 0
            if some.any():
                found[some] += share[some] * pano.sample(self._gloss(level), directions[some])
        return found

    def _gloss(self, level: float) -> Tensor:
        """The environment as a gloss of one of the levels shows it by direction, kept."""
        if level not in self._glossy:
            mirror = level == _LEVELS[0]
            self._glossy[level] = self.environment if mirror else shading.glossy_map(self.environment, level, _LOBE)
        return self._glossy[level]

    def reach(self, body: Solid) -> Tensor:
        """(N, 3): which part of the environment's light on each corner of a ``body`` other parts of it let through."""
        towards, light = shading.blocks(self.environment, _SHADOWING)
        total, free = torch.zeros_like(body.corners), torch.zeros_like(body.corners)
        strong = light.sum(-1) > _LEAST * float(light.sum())
        for direction, strength in zip(towards[strong], light[strong], strict=True):
            direction = torch.nn.functional.normalize(direction, dim=0)
            cosine = body.normals @ direction
            share = torch.stack([shading.wrapped_cosine(cosine, wrap) for wrap in WRAP], -1) * strength
            total += share
            free += share * shadow_map(body, direction).lit(body.corners, body.normals)[:, None]
        return torch.where(total > 1e-9, free / total.clamp(min=1e-9), torch.ones_like(total))


@lru_cache(maxsize=1)
def studio() -> Lighting:
    """A large soft key from the upper left, a weaker fill and a dim room: for previews."""
    directions = pano.directions(_SPREAD)
    key = torch.nn.functional.normalize(torch.tensor([-0.6, 0.55, 0.6]), dim=0)
    fill = torch.nn.functional.normalize(torch.tensor([0.8, 0.1, 0.6]), dim=0)
    room = torch.full((*directions.shape[:2], 1), 0.25)
    for place, width, strength in ((key, 12.0, 5.0), (fill, 6.0, 0.8)):
        room += strength * torch.exp(width * ((directions @ place) - 1))[..., None]
    return Lighting(room.expand(-1, -1, 3).contiguous())
