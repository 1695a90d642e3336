# SPDX-License-Identifier: GPL-3.0-or-later
"""The light a face is photographed in: surroundings, captured or by rule, and up to three lamps. Head frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backend.optics import panorama as pano
from ..blackbody import blackbody
from ..scene import SceneBuilder
from ..sky import hdri_sky, procedural_sky, smooth_noise
from .layout import step

#: Rows of the surroundings' panorama, and directions into which its light is gathered for shadows.
ROWS, DIRECTIONS = 32, 96
#: How often people are not taken against the light, if they would be.
_FRONTAL = 0.65
MOODS = ("clear", "overcast", "golden", "dusk")


@dataclass(frozen=True, eq=False)
class Lamp:
    """Light from one ``direction`` (3,), a unit vector towards it; ``irradiance`` (3,) linear Rec.709 on a plane that
    faces it; ``radius``: half the angle it fills, in radians."""

    direction: np.ndarray
    irradiance: np.ndarray
    radius: float


@dataclass(frozen=True, eq=False)
class Illumination:
    """``panorama`` (32, 64, 3): radiance around the head, linear Rec.709, the world's picture convention in the head
    frame; ``lamps``: what is too small for it."""

    panorama: Tensor
    lamps: tuple[Lamp, ...]

    @property
    def cells(self) -> np.ndarray:
        """(D, 3): the panorama's irradiance, gathered into the directions of :func:`spread`."""
        weight = (self.panorama * pano.solid_angles(ROWS)[..., None]).reshape(-1, 3).numpy()
        out = np.zeros((DIRECTIONS, 3), np.float32)
        np.add.at(out, _cell(), weight)
        return out


@lru_cache(maxsize=1)
def spread() -> np.ndarray:
    """(D, 3) unit directions spread evenly over the sphere: a Fibonacci spiral."""
    i = np.arange(DIRECTIONS) + 0.5
    z, turn = 1 - 2 * i / DIRECTIONS, np.pi * (1 + 5**0.5) * i
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(turn), r * np.sin(turn), z], -1).astype(np.float32)


@lru_cache(maxsize=1)
def _cell() -> np.ndarray:
    """(32·64,): for each texel the nearest of the spread directions."""
    texels = pano.directions(ROWS, "world").reshape(-1, 3).numpy()
    return np.asarray((texels @ spread().T).argmax(1))


def draw(rng: np.random.Generator, hdris: list[Path]) -> Illumination:
    """Surroundings turned at random about the upright and a little otherwise, for a head is not always upright."""
    if hdris and rng.random() < 0.65:
        sky, lamps = _captured(rng, hdris)
    elif rng.random() < 0.5:
        sky, lamps = _outdoors(rng)
    else:
        sky, lamps = _studio(rng), ()
    turn = _turn(rng)
    if rng.random() < _FRONTAL and (turn @ _strongest(sky, lamps))[1] > 0:
        turn = np.diag([-1.0, -1.0, 1.0]) @ turn
    towards = pano.directions(ROWS, "world") @ torch.from_numpy(turn).float()
    panorama = pano.sample(pano.resize(torch.from_numpy(sky.astype(np.float32)), ROWS), towards, "world")
    level = float(pano.mean_radiance(panorama).mean()) + 1e-6
    lamps = tuple(Lamp(turn @ lamp.direction, lamp.irradiance / level, lamp.radius) for lamp in lamps)
    for _ in range(rng.choice(4, p=(0.45, 0.3, 0.17, 0.08)) if lamps else rng.choice(4, p=(0.3, 0.35, 0.22, 0.13))):
        lamps = (*lamps, _lamp(rng))
    return Illumination(panorama / level, lamps)


def _strongest(sky: np.ndarray, lamps: tuple[Lamp, ...]) -> np.ndarray:
    """(3,): whereto the irradiance is greatest, of a world-frame panorama (N, 2N, 3) and lamps."""
    rows = len(sky)
    weight = sky.sum(-1) * pano.solid_angles(rows).numpy()
    whole = (weight[..., None] * pano.directions(rows, "world").numpy()).sum((0, 1))
    return np.asarray(whole + sum(lamp.irradiance.sum() * lamp.direction for lamp in lamps))


def _captured(rng: np.random.Generator, hdris: list[Path]) -> tuple[np.ndarray, tuple[Lamp, ...]]:
    builder = SceneBuilder()
    hdri_sky(rng, builder, hdris[rng.integers(len(hdris))], 1.0)
    return builder.sky, _sun(builder)


def _outdoors(rng: np.random.Generator) -> tuple[np.ndarray, tuple[Lamp, ...]]:
    builder = SceneBuilder()
    procedural_sky(rng, builder, MOODS[rng.integers(len(MOODS))], 2 * ROWS)
    return builder.sky, _sun(builder)


def _sun(builder: SceneBuilder) -> tuple[Lamp, ...]:
    x, y, z, red, green, blue, cosine, angle = builder.sun
    if angle <= 0 or red + green + blue <= 0:
        return ()
    return (Lamp(np.array([x, y, z]), np.array([red, green, blue]) * angle, max(0.01, math.acos(cosine))),)


def _studio(rng: np.random.Generator) -> np.ndarray:
    """A room in the dark or in some light, with soft boxes, windows and reflectors: (64, 128, 3)."""
    rows = 2 * ROWS
    d = pano.directions(rows, "world").numpy()
    wall = blackbody(rng.uniform(3000, 7500)) * (1 + 0.3 * smooth_noise(rng, rows, 3)[..., None])
    sky = np.clip(wall, 0.1, 3) * rng.uniform(0.05, 0.8) * (0.75 + rng.uniform(-0.3, 0.6) * d[..., 2:])
    for _ in range(rng.integers(1, 5)):
        middle = _direction(rng, -0.2, 0.95)
        right = np.cross(middle, (0, 0, 1.0))
        right /= max(float(np.linalg.norm(right)), 1e-3)
        up = np.cross(right, middle)
        ahead = np.maximum(d @ middle, 1e-3)
        width, height, soft = rng.uniform(0.15, 0.8), rng.uniform(0.15, 0.8), rng.uniform(0.02, 0.15)
        inside = [
            step(np.abs(d @ axis) / ahead, size + soft, size - soft) for size, axis in ((width, right), (height, up))
        ]
        box = inside[0] * inside[1] * (d @ middle > 0.05)
        sky = sky + box[..., None] * blackbody(rng.uniform(2800, 7500)) * rng.uniform(1, 9)
    return np.asarray(sky)


def _lamp(rng: np.random.Generator) -> Lamp:
    """A lamp about as strong as the surroundings, whose mean radiance is 1, that is, whose irradiance is about π."""
    towards = _direction(rng, -0.35, 0.9)
    strength = math.pi * float(np.exp(rng.normal(-0.4, 0.7)))
    return Lamp(towards, blackbody(rng.uniform(2900, 7000)) * strength, float(rng.uniform(0.02, 0.25)))


def _direction(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """A unit vector (3,) with a height between the two, more often before the face than behind."""
    z = rng.uniform(low, high)
    turn = -math.pi / 2 + rng.normal(0, 1.1)
    return np.array([math.cos(turn), math.sin(turn), 0]) * math.sqrt(1 - z * z) + np.array([0, 0, z])


def _turn(rng: np.random.Generator) -> np.ndarray:
    """(3, 3): world to head frame."""
    about = [rng.uniform(0, 2 * np.pi), rng.normal(0, 0.15), rng.normal(0, 0.1)]
    c, s = np.cos(about), np.sin(about)
    upright = np.array([[c[0], -s[0], 0], [s[0], c[0], 0], [0, 0, 1]])
    nod = np.array([[1, 0, 0], [0, c[1], -s[1]], [0, s[1], c[1]]])
    lean = np.array([[c[2], 0, s[2]], [0, 1, 0], [-s[2], 0, c[2]]])
    return np.asarray(lean @ nod @ upright)
