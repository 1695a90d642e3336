# SPDX-License-Identifier: GPL-3.0-or-later
"""The folds of a face, drawn as lines that waver: on forehead, between the brows, about eyes and mouth, on the neck."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .noise import marks
from .person import Person
from .regions import EYE

#: All depths below are multiplied by this.
_DEPTH = 1.6
#: How far a line wavers, as a part of its length and at most as a part of the map's side.
_WAVER, _FARTHEST = 0.022, 0.0022


class Fold(NamedTuple):
    """A line (N, 2) in UV of the right half, v down; ``depth`` millimetres; ``width`` half of it, of the map's side."""

    line: np.ndarray
    depth: float
    width: float


def wrinkles(rng: np.random.Generator, person: Person, size: int) -> np.ndarray:
    """Millimetres (R, R), none above 0: the folds of a person of some age."""
    age = person.wrinkles
    lines = [*_forehead(rng, age), *_eyes(rng, age), *_mouth(rng, age), *_neck(rng, age)]
    out = np.zeros((size, size), np.float32)
    for mirrored in (False, True):
        drawn = [_marks(rng, fold, size, mirrored) for fold in lines]
        places, radii, depths = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        out -= marks((size, size), places, radii, depths, add=True)
    return out * np.float32(_DEPTH)


def _forehead(rng: np.random.Generator, age: float) -> list[Fold]:
    lines, t = [], np.linspace(0, 1, 20)
    for v in np.arange(0.245, 0.355, 0.0215) + rng.normal(0, 0.004):
        u = np.linspace(rng.uniform(0.35, 0.42), 0.5 + rng.uniform(-0.02, 0.06), 28)
        bent = np.stack([u, v + 0.012 * (1 - np.cos((u - 0.5) * 20))], -1)
        lines.append(Fold(bent, age * rng.uniform(0.1, 0.5), 0.0042))
    for near in (0.484, 0.491):
        frown = np.stack([near - 0.004 * (1 - t), 0.352 + 0.05 * t], -1)
        lines.append(Fold(frown, age * rng.uniform(0, 0.5), 0.0036))
    return lines


def _eyes(rng: np.random.Generator, age: float) -> list[Fold]:
    """Crow's feet, the bags' edges, and the fold of the upper lid, which everyone has."""
    u, v, a, b = EYE
    lines = []
    for k in range(4):
        angle = np.radians(-38 + 25 * k + rng.normal(0, 5))
        t = 0.034 * np.linspace(0, 1, 14) * rng.uniform(0.6, 1.2)
        x, y = u - 1.2 * a - t * np.cos(angle), v + 0.004 + 0.33 * b * (k - 1.5) + t * np.sin(angle)
        lines.append(Fold(np.stack([x, y], -1), age * rng.uniform(0.15, 0.45), 0.003))
    t = np.linspace(0, 1, 30)
    arc = np.pi * (0.12 + 0.72 * t)
    for drop, depth in ((1.35, 0.25), (1.8, 0.45), (2.35, 0.3)):
        x, y = u + 0.003 - (1.05 + 0.12 * drop) * a * np.cos(arc), v + drop * b * np.sin(arc)
        lines.append(Fold(np.stack([x, y], -1), (0.04 + age) * depth * rng.uniform(0.4, 1), 0.0035))
    arc = np.pi * (0.08 + 0.86 * t)
    lid = np.stack([u - 1.05 * a * np.cos(arc), v + 0.004 - 1.6 * b * np.sin(arc)], -1)
    return [*lines, Fold(lid, rng.uniform(0.1, 0.35), 0.003)]


def _mouth(rng: np.random.Generator, age: float) -> list[Fold]:
    t = np.linspace(0, 1, 30)
    from_nose = np.stack([0.452 - 0.052 * t**1.3, 0.597 + 0.150 * t], -1)
    from_lips = np.stack([0.430 + 0.008 * t, 0.765 + 0.075 * t], -1)
    return [
        Fold(from_nose, 0.10 + age * rng.uniform(0.4, 0.9), 0.0068),
        Fold(from_lips, age * rng.uniform(0.1, 0.5), 0.0045),
    ]


def _neck(rng: np.random.Generator, age: float) -> list[Fold]:
    t = np.linspace(0, 1, 30)
    rings = [np.stack([0.37 + 0.15 * t, v - 0.03 * (1 - t) ** 2], -1) for v in (0.935, 0.955, 0.972)]
    return [Fold(ring, 0.05 + age * rng.uniform(0, 0.5), 0.005) for ring in rings]


def _marks(rng: np.random.Generator, fold: Fold, size: int, mirrored: bool) -> tuple[np.ndarray, ...]:
    """Places, radii and depths of marks along a fold, which fades out at its ends and wavers on its own."""
    knots = np.linspace(0, 1, 9)
    length = float(np.linalg.norm(np.diff(fold.line, axis=0), axis=-1).sum())
    steps = np.linspace(0, 1, max(int(length * size * 2), 8))
    along = np.linspace(0, 1, len(fold.line))
    waves = [np.interp(steps, knots, rng.normal(0, 1, 9)) for _ in range(3)]
    far = min(_WAVER * length, _FARTHEST)
    x, y = (np.interp(steps, along, fold.line[:, k]) + far * waves[k] for k in (0, 1))
    fade = np.sin(np.pi * np.clip(steps, 0.03, 0.97)) ** 0.7 * (0.75 + 0.25 * waves[2])
    # Marks add up along the line: as many lie on a point as fit into a mark.
    share = min(length / len(steps) / (fold.width * 1.25), 1.0) * rng.uniform(0.75, 1.25)
    places = np.stack([1 - x if mirrored else x, y], -1) * size
    return places, np.full((len(steps), 2), fold.width * size), fold.depth * fade * share
