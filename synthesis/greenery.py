# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees, bushes and hedges out of many small flat ellipsoids. Metres."""

from __future__ import annotations

import math

import numpy as np

from . import surfaces
from .scene import SceneBuilder
from .solids import Solid, ball, box, drum, post, tilt


def leaves(
    rng: np.random.Generator, centre: np.ndarray, reach: np.ndarray, count: int, size: float, m: int
) -> list[Solid]:
    """``count`` tufts of leaves, mostly near the surface of an ellipsoid of half axes ``reach``."""
    towards = rng.normal(size=(count, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    at = centre + towards * reach * rng.uniform(0.35, 1.0, (count, 1)) ** 0.5
    sizes = size * rng.uniform(0.5, 1.3, count)
    angles = rng.uniform(-math.pi, math.pi, (count, 3)) * (1, 0.3, 0.3)
    return [
        ball(p, (s, 0.7 * s, 0.3 * s), m, tilt(*turn)) for p, s, turn in zip(at, sizes, angles, strict=True)
    ]  # fmt: skip


def tree(rng: np.random.Generator, builder: SceneBuilder, at: np.ndarray, size: float) -> None:
    """A trunk with branches under a crown, a conifer, or a bush without a trunk."""
    leaf = surfaces.leaf(rng, builder, rng.uniform(8, 20))
    bark = builder.material((0.16, 0.11, 0.07), (0.05, 0.03, 0.02), texture="grain", scale=2)
    kind, parts = rng.random(), []
    if kind < 0.18:
        h = 3.2 * size
        parts.append(post(0, 0, 0, h, 0.06 * size + 0.03, bark, 1.0, 0.3))
        for z in np.linspace(0.15, 0.95, 7):
            parts.append(post(0, 0, z * h, z * h + 0.3 * h, (1.05 - z) * 0.75 * size, leaf, 1.0, 0.05))
    elif kind < 0.4:
        parts += leaves(rng, np.array([0, 0, 0.4 * size]), np.array([0.7, 0.7, 0.45]) * size, 60, 0.16 * size, leaf)
    else:
        crown = rng.uniform(1.5, 2.4) * size
        parts.append(post(0, 0, 0, crown, 0.06 * size + 0.04, bark, 1.0, 0.6))
        for _ in range(3):
            turn = tilt(rng.uniform(0, 6), rng.uniform(0.4, 0.8))
            x, y = 0.35 * size * turn[:2, 2]
            r = 0.03 * size
            branch = drum((x - r, y - r, crown - 0.3 * size), (x + r, y + r, crown + 0.5 * size), bark, 1.0, 0.5)
            parts.append(branch._replace(turn=turn))
        for _ in range(int(rng.integers(3, 6))):
            centre = np.array([0, 0, crown + 0.35 * size]) + rng.normal(0, 0.36, 3) * size
            parts += leaves(rng, centre, rng.uniform(0.35, 0.6, 3) * size, 26, 0.17 * size, leaf)
    builder.group(parts, (*at, 0), rng.uniform(0, 6))


def hedge(rng: np.random.Generator, builder: SceneBuilder, at: np.ndarray) -> None:
    """A clipped hedge with a leafy rim."""
    leaf, length, h = surfaces.leaf(rng, builder, 25), rng.uniform(1, 4), rng.uniform(0.5, 1.8)
    reach = np.array([length, 0.3, 0.5 * h])
    core = box((-length, -0.25, 0), (length, 0.25, 0.93 * h), leaf)
    rim = [
        ball(rng.uniform(-1, 1, 3) * reach + (0, 0, 0.5 * h), rng.uniform(0.06, 0.16, 3), leaf, tilt(rng.uniform(0, 3)))
        for _ in range(45)
    ]
    builder.group([core, *rim], (*at, 0), rng.uniform(0, math.pi))
