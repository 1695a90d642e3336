# SPDX-License-Identifier: GPL-3.0-or-later
"""Openings of a room: windows with panes, bars, curtains and blinds; passages to a second space; doors."""

from __future__ import annotations

import itertools

import numpy as np

from . import surfaces
from .layout import WALLS, on_wall
from .scene import SceneBuilder
from .solids import Solid, ball, box, tilt


def windows(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, daylight: bool,
            closed: set[tuple[int, int]]) -> int:  # fmt: skip
    """Cut up to four windows into walls that are not ``closed``; returns how many."""
    shares = [0.06, 0.37, 0.31, 0.18, 0.08] if daylight else [0.25, 0.4, 0.2, 0.1, 0.05]
    frame = builder.material(surfaces.colour(rng, saturation=0.3, low=0.2, high=0.9), roughness=0.4, specular=0.03)
    curtain = surfaces.cloth(rng, builder, sheet=rng.uniform(0.25, 0.6))
    taken = set(closed)
    for _ in range(int(rng.choice(5, p=shares))):
        wall = WALLS[rng.integers(4)]
        if wall in taken:
            continue
        taken.add(wall)
        across = half[1 - wall[0]]
        tall = rng.random() < 0.3
        bottom = rng.uniform(0.02, 0.15) if tall else rng.uniform(0.6, 1.1)
        top = min(height - 0.15, bottom + (rng.uniform(1.8, 2.4) if tall else rng.uniform(0.8, 1.6)))
        width = min(across - 0.25, rng.uniform(0.3, 0.9) if rng.random() < 0.6 else rng.uniform(0.9, 2.4))
        along = rng.uniform(-1, 1) * (across - 0.2 - width)
        window(rng, builder, half, wall, along, width, (bottom, top), (frame, curtain))
    return len(taken) - len(closed)


def window(
    rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, wall: tuple[int, int], along: float, width: float,
    span: tuple[float, float], materials: tuple[int, int],
) -> None:  # fmt: skip
    """One window of half width ``width`` with its pane, frame and bars, and perhaps curtains, a blind or a radiator."""
    (bottom, top), (frame, curtain) = span, materials
    centre, tangent, inward = on_wall(half, *wall, along, (bottom + top) / 2, 0.004)
    rise = np.array([0, 0, (top - bottom) / 2])
    u = tangent * width
    if np.cross(u, rise) @ inward < 0:
        u = -u
    tint = np.full(3, rng.uniform(0.75, 0.95)) if rng.random() < 0.85 else rng.uniform(0.2, 0.7) * np.ones(3)
    builder.rect(centre, u, rise, tint, window=True)
    parts: list[Solid] = []

    def bar(a: float, b: float, low: float, high: float, depth: float, m: int, start: float = 0.006,
            turn: np.ndarray | None = None) -> None:  # fmt: skip
        p, q = centre + tangent * a + inward * start, centre + tangent * b + inward * depth
        low_corner, high_corner = np.minimum(p, q), np.maximum(p, q)
        parts.append(box((*low_corner[:2], low), (*high_corner[:2], high), m, turn))

    if rng.random() < 0.8:
        pane = builder.material((1, 1, 1), roughness=0.0, specular=0.04, clear=True)
        bar(-width, width, bottom, top, 0.0035, pane, 0.002)
    bar(-width - 0.05, width + 0.05, bottom - 0.04, bottom, rng.uniform(0.05, 0.2), frame)
    bar(-width - 0.05, width + 0.05, top, top + 0.05, 0.05, frame)
    bar(-width - 0.05, -width, bottom, top, 0.05, frame)
    bar(width, width + 0.05, bottom, top, 0.05, frame)
    for x in np.linspace(-width, width, int(rng.integers(1, 4)) + 1)[1:-1]:
        bar(x - 0.02, x + 0.02, bottom, top, 0.04, frame)
    for z in np.linspace(bottom, top, int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15])) + 1)[1:-1]:
        bar(-width, width, z - 0.015, z + 0.015, 0.035, frame)
    dress = rng.choice(["bare", "drapes", "sheer", "blind"], p=[0.4, 0.3, 0.16, 0.14])
    if dress in ("drapes", "sheer"):
        cover = rng.uniform(0.05, 0.6) * width if dress == "drapes" else rng.uniform(0.8, 1.0) * width
        foot = max(0.02, bottom - rng.choice([0.1, 0.6, 2.0]))
        for end in (-1, 1):
            edges = np.linspace(end * (width + 0.2), end * (width - cover), int(rng.integers(3, 8)))
            for i, (a, b) in enumerate(itertools.pairwise(edges)):
                # Folds: every other strip of the sheet hangs a little nearer.
                gap = 0.09 + 0.03 * (i & 1)
                bar(a, b, foot, top + 0.08, gap + 0.004, curtain, gap)
        bar(-width - 0.3, width + 0.3, top + 0.08, top + 0.11, 0.13, frame, 0.1)
    if dress == "blind":
        pitch, angle = rng.uniform(0.035, 0.07), rng.uniform(-1.0, 1.0)
        turn = tilt(0, 0, angle) if abs(tangent[0]) > 0.5 else tilt(0, angle)
        for z in np.arange(max(bottom, top - rng.uniform(0.4, 1.0) * (top - bottom)), top, pitch):
            bar(-width, width, z, z + 0.003, 0.075 + 0.4 * pitch, frame, 0.075 - 0.4 * pitch, turn)
    if bottom > 0.55 and rng.random() < 0.4:
        for x in np.linspace(-0.9, 0.9, int(rng.integers(5, 12))) * min(width, 0.7):
            bar(x - 0.03, x + 0.03, 0.12, bottom - 0.12, 0.1, frame, 0.03)
    builder.group(parts)


def passage(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, wall: tuple[int, int],
            depth: float, m: int) -> tuple[np.ndarray, float]:  # fmt: skip
    """A partition with an opening in place of a wall; returns the middle (3,) of the space behind and its half width.

    The room's shell lies ``depth`` metres farther out on that side. A shallow one is a bay or a niche, a deep one
    another room.
    """
    centre, tangent, inward = on_wall(half, *wall, 0.0, 0.0, 0.0)
    across = half[1 - wall[0]]
    wide = rng.uniform(0.4, 0.9 if depth > 1.2 else max(0.95, 0.8 * across))
    wide = min(wide, across - 0.3)
    middle = rng.uniform(-1, 1) * (across - wide - 0.15)
    top = min(height - 0.08, rng.uniform(1.95, 2.5))
    trim = builder.material(surfaces.colour(rng, saturation=0.3, low=0.3, high=0.85), roughness=0.4, specular=0.03)
    parts: list[Solid] = []

    def slab(a: float, b: float, low: float, high: float, near: float, far: float, material: int) -> None:
        p, q = centre + tangent * a + inward * near, centre + tangent * b + inward * far
        parts.append(box((*np.minimum(p, q)[:2], low), (*np.maximum(p, q)[:2], high), material))

    left, right = middle - wide, middle + wide
    slab(-across - 0.05, left, -0.05, height + 0.05, -0.12, 0.0, m)
    slab(right, across + 0.05, -0.05, height + 0.05, -0.12, 0.0, m)
    slab(left, right, top, height + 0.05, -0.12, 0.0, m)
    if rng.random() < 0.7:
        for a, b in ((left - 0.07, left + 0.01), (right - 0.01, right + 0.07)):
            slab(a, b, 0, top + 0.06, -0.13, 0.015, trim)
        slab(left, right, top - 0.01, top + 0.06, -0.13, 0.015, trim)
    builder.group(parts)
    return centre - inward * (0.5 * depth + 0.06) + tangent * middle, wide


def door(rng: np.random.Generator, m: int, handle: int) -> list[Solid]:
    """A panelled door that faces −y, its back at y = 0."""
    w, h = rng.uniform(0.38, 0.5), rng.uniform(1.95, 2.15)
    parts = [box((-w, -0.03, 0), (w, 0, h), m), ball((0.82 * w, -0.06, 1.02), 0.03, handle)]
    for low, high in ((0.12, 0.85), (1.1, h - 0.12)):
        parts += [box((x - 0.3 * w, -0.04, low), (x + 0.3 * w, -0.03, high), m) for x in (-0.45 * w, 0.45 * w)]
    rim = [box((x - 0.05, -0.04, 0), (x + 0.05, 0, h + 0.06), handle) for x in (-w - 0.05, w + 0.05)]
    return [*parts, *rim, box((-w, -0.04, h), (w, 0, h + 0.06), handle)]
