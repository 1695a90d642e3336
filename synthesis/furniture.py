# SPDX-License-Identifier: GPL-3.0-or-later
"""Furniture out of blocks, balls and drums. Metres, floor at z = 0; what has a back faces −y."""

from __future__ import annotations

import math

import numpy as np

from . import surfaces
from .scene import SceneBuilder
from .solids import Solid, ball, box, drum, post, tilt

Furniture = list[Solid]


def legs(rng: np.random.Generator, w: float, d: float, h: float, m: int) -> Furniture:
    """Four legs at the corners of a rectangle: square, round or tapering."""
    r, start = rng.uniform(0.015, 0.04), rng.choice([0.5, 1.0])
    corners = [(x, y) for x in (-w, w) for y in (-d, d)]
    if rng.random() < 0.4:
        return [box((x - r, y - r, 0), (x + r, y + r, h), m) for x, y in corners]
    return [post(x, y, 0, h, r, m, start) for x, y in corners]


def table(rng: np.random.Generator, builder: SceneBuilder, m: int, leg: int) -> tuple[Furniture, float, float]:
    """A table, the height of its top and its bounding radius; square or round, now and then with a top of glass."""
    w, d, h = rng.uniform(0.35, 1.0), rng.uniform(0.25, 0.55), rng.uniform(0.35, 0.8)
    top = surfaces.glass(rng, builder) if rng.random() < 0.12 else m
    if rng.random() < 0.35:
        foot = [post(0, 0, 0, 0.03, 0.5 * w, leg), post(0, 0, 0.03, h - 0.04, 0.05, leg, 1.0, 0.6)]
        return [post(0, 0, h - 0.04, h, w, top), *foot], h, w
    return [box((-w, -d, h - 0.04), (w, d, h), top), *legs(rng, w - 0.06, d - 0.06, h - 0.04, leg)], h, math.hypot(w, d)


def chair(rng: np.random.Generator, m: int, leg: int) -> Furniture:
    """Seat, leaning back and legs, or a stool."""
    h, top = rng.uniform(0.4, 0.5), rng.uniform(0.8, 1.1)
    if rng.random() < 0.2:
        return [post(0, 0, h, h + 0.05, 0.2, m), *legs(rng, 0.13, 0.13, h, leg)]
    parts = [box((-0.22, -0.22, h - 0.04), (0.22, 0.22, h), m), *legs(rng, 0.19, 0.19, h - 0.04, leg)]
    lean = tilt(0, 0, -rng.uniform(0, 0.2))
    if rng.random() < 0.5:
        return [*parts, box((-0.22, 0.18, h + 0.05), (0.22, 0.21, top), m, lean)]
    slats = [box((x - 0.02, 0.18, h), (x + 0.02, 0.2, top), leg, lean) for x in np.linspace(-0.18, 0.18, 4)]
    return [*parts, *slats, box((-0.21, 0.17, top - 0.05), (0.21, 0.21, top + 0.02), m)]


def sofa(rng: np.random.Generator, m: int, cushion: int) -> Furniture:
    """Seat, back, round arms and cushions."""
    w = rng.uniform(0.45, 1.15)
    parts = [box((-w, -0.42, 0.12), (w, 0.45, 0.32), m), box((-w, 0.22, 0.3), (w, 0.45, 0.72), m)]
    parts.append(drum((-w, 0.2, 0.62), (w, 0.46, 0.86), m, axis=0))
    for x in (-1, 1):
        a, b = x * w - 0.02, x * w + 0.16 * x
        parts.append(box((min(a, b), -0.44, 0.06), (max(a, b), 0.45, 0.52), m))
        parts.append(drum((x * (w + 0.07) - 0.1, -0.46, 0.43), (x * (w + 0.07) + 0.1, 0.45, 0.63), m, axis=1))
    seats = max(1, round(w / 0.4))
    for i in range(seats):
        middle = (2 * i + 1) * w / seats - w
        parts.append(ball((middle, -0.08, 0.38), (0.98 * w / seats, 0.4, 0.12), m))
    for _ in range(rng.integers(0, 4)):
        lean = tilt(rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.2), -0.35)
        parts.append(ball((rng.uniform(-0.7, 0.7) * w, 0.12, 0.58), (0.22, 0.09, 0.19), cushion, lean))
    return parts


def books(rng: np.random.Generator, covers: list[int], low: float, high: float, z: float, room: float) -> Furniture:
    """A row of books between two x on a board at ``z``; the last may lean."""
    parts: Furniture = []
    x = low
    while x < high - 0.05 and len(parts) < 9:
        thick, tall = rng.uniform(0.02, 0.06), room * rng.uniform(0.55, 0.92)
        lean = tilt(0, 0.25) if rng.random() < 0.08 else None
        parts.append(box((x, -0.12, z), (x + thick, 0.06, z + tall), covers[rng.integers(len(covers))], lean))
        x += thick + (0.002 if rng.random() < 0.8 else 0.08)
    return parts


def shelf(rng: np.random.Generator, builder: SceneBuilder, m: int) -> Furniture:
    """Sides, back and boards with books, vases and bowls."""
    w, h, boards = rng.uniform(0.3, 0.7), rng.uniform(0.8, 2.1), int(rng.integers(3, 6))
    covers = [builder.material(surfaces.colour(rng, saturation=0.95), roughness=0.4, specular=0.03) for _ in range(4)]
    parts = [box((-w, 0.13, 0), (w, 0.15, h), m)]
    parts += [box((x - 0.015, -0.15, 0), (x + 0.015, 0.15, h), m) for x in (-w, w)]
    space = h / (boards - 1)
    for i in range(boards):
        z = h * i / (boards - 1)
        parts.append(box((-w, -0.15, z - 0.025), (w, 0.13, z), m))
        if i == boards - 1 or rng.random() < 0.2:
            continue
        split = rng.uniform(-w, w)
        if split > -0.5 * w:
            parts += books(rng, covers, -w + 0.02, split, z, space)
        if split < min(0.5 * w, w - 0.2):
            x, r = rng.uniform(split + 0.1, w - 0.1), rng.uniform(0.04, 0.09)
            parts += vessel(rng, x, 0, z, r, min(space * 0.8, r * rng.uniform(1, 4)), covers[0])
    return parts


def cabinet(rng: np.random.Generator, m: int, handle: int) -> Furniture:
    """A chest of drawers or a cupboard, on a plinth."""
    w, h, d = rng.uniform(0.3, 0.9), rng.uniform(0.5, 2.1), rng.uniform(0.2, 0.32)
    parts = [box((-w, -d, 0.06), (w, d, h), m), box((-w + 0.03, -d + 0.04, 0), (w - 0.03, d, 0.06), handle)]
    rows = int(rng.integers(2, 5)) if h < 1.2 else 1
    for i in range(rows):
        low, high = 0.08 + (h - 0.1) * i / rows, 0.06 + (h - 0.1) * (i + 1) / rows
        for x in (-1, 1):
            parts.append(
                box((min(0.01 * x, x * (w - 0.02)), -d - 0.015, low), (max(0.01 * x, x * (w - 0.02)), -d, high), m)
            )
            knob = (x * (0.5 * w if rows > 1 else 0.06), -d - 0.025, (low + high) / 2)
            parts.append(ball(knob, 0.02, handle))
    return parts


def bed(rng: np.random.Generator, m: int, linen: int) -> Furniture:
    """Frame, mattress, blanket, pillows and head board; its head is at +y."""
    w = rng.uniform(0.45, 0.9)
    parts = [
        box((-w, -1.0, 0.1), (w, 1.0, 0.3), m), box((-w + 0.02, -0.98, 0.3), (w - 0.02, 0.98, 0.48), linen),
        ball((0, -0.25, 0.44), (w + 0.03, 0.78, 0.13), linen), box((-w, 1.0, 0), (w, 1.06, rng.uniform(0.7, 1.1)), m),
    ]  # fmt: skip
    for x in (-1, 1) if w > 0.65 else (0,):
        parts.append(ball((x * 0.45 * w, 0.72, 0.55), (0.4, 0.22, 0.1), linen, tilt(rng.uniform(-0.2, 0.2))))
    return parts


def vessel(rng: np.random.Generator, x: float, y: float, z: float, r: float, h: float, m: int) -> Furniture:
    """A vase, bottle, bowl, jar or figure of radius ``r`` and height ``h``."""
    kind = rng.integers(5)
    if kind == 0:
        neck = post(x, y, z + 0.6 * h, z + h, 0.35 * r, m, 1.0, 0.8)
        return [post(x, y, z, z + 0.5 * h, r, m), post(x, y, z + 0.5 * h, z + 0.62 * h, r, m, 1.0, 0.35), neck]
    if kind == 1:
        return [ball((x, y, z + 0.4 * h), (r, r, 0.4 * h), m), post(x, y, z + 0.7 * h, z + h, 0.5 * r, m, 0.6, 1.0)]
    if kind == 2:
        return [post(x, y, z, z + min(h, r), r * 1.2, m, 0.5, 1.0)]
    if kind == 3:
        return [post(x, y, z, z + h, r, m, 1.0, 0.75)]
    return [ball((x, y, z + r), r, m)]


def decoration(rng: np.random.Generator, builder: SceneBuilder, at: np.ndarray, reach: float) -> None:
    """A few small things around ``at`` on a surface: books, bottles, bowls with fruit, a vase of leaves."""
    parts: Furniture = []
    for _ in range(rng.integers(1, 6)):
        x, y = rng.uniform(-reach, reach, 2)
        m = surfaces.glass(rng, builder) if rng.random() < 0.2 else surfaces.some_material(rng, builder)
        kind = rng.random()
        if kind < 0.55:
            r = rng.uniform(0.025, 0.09)
            parts += vessel(rng, x, y, 0, r, r * rng.uniform(1.2, 4.5), m)
        elif kind < 0.85:
            z = 0.0
            for _ in range(rng.integers(1, 5)):
                w, d, thick = rng.uniform(0.07, 0.14), rng.uniform(0.06, 0.1), rng.uniform(0.012, 0.04)
                turn = tilt(rng.uniform(0, 3))
                parts.append(box((x - w, y - d, z), (x + w, y + d, z + thick), m, turn))
                z += thick
        else:
            parts += sprig(rng, builder, x, y, 0.0, rng.uniform(0.2, 0.45), m)
    builder.group(parts, at, rng.uniform(0, math.pi))


def sprig(
    rng: np.random.Generator, builder: SceneBuilder, x: float, y: float, z: float, size: float, pot: int
) -> Furniture:
    """A pot with stems and thin leaves, ``size`` metres tall."""
    stem, leaf = builder.material((0.15, 0.13, 0.05)), surfaces.leaf(rng, builder, 20)
    h = 0.3 * size
    parts = [
        post(x, y, z, z + h, 0.17 * size, pot, rng.uniform(0.6, 1.0)),
        post(x, y, z + h, z + 0.8 * size, 0.01, stem),
    ]
    long, wide = rng.uniform(0.12, 0.3) * size, rng.uniform(0.25, 0.7)
    for _ in range(int(rng.integers(14, 36))):
        yaw, pitch, up = rng.uniform(0, 2 * math.pi), rng.uniform(-1.2, 0.7), z + rng.uniform(0.4, 0.95) * size
        away = rng.uniform(0.3, 1.3) * long
        centre = (x + away * math.cos(yaw), y + away * math.sin(yaw), up - 0.4 * away * math.sin(pitch))
        parts.append(ball(centre, (long, long * wide, 0.004), leaf, tilt(yaw, pitch, rng.uniform(-0.5, 0.5))))
    return parts


def plant(rng: np.random.Generator, builder: SceneBuilder, x: float, y: float, size: float) -> None:
    """A potted plant on the floor."""
    builder.group(sprig(rng, builder, 0, 0, 0, size * 1.2, surfaces.some_material(rng, builder)), (x, y, 0))
