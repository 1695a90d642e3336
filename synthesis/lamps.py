# SPDX-License-Identifier: GPL-3.0-or-later
"""Lamps of a room: panels, downlights, pendants, floor lamps, screens and neon, warm and cold mixed.

Luminance in thousands of cd/m², so that a lamp, a sky and a sun keep their true ratios.
"""

from __future__ import annotations

import colorsys
import math

import numpy as np

from . import surfaces
from .blackbody import blackbody
from .layout import WALLS, YAWS, free_spot, on_wall
from .scene import SceneBuilder
from .solids import Solid, ball, box, drum, post, shade


def light_room(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, dark: bool) -> None:
    """Add one to four kinds of lamps; in a dark room at least one that is strong enough to see by."""
    if not dark and rng.random() < 0.4:
        return
    base = rng.choice([2500, 2800, 3200, 4000, 5000, 6500, 8000], p=[0.09, 0.17, 0.2, 0.2, 0.16, 0.13, 0.05])
    makers = [panels, downlights, pendants, floor_lamp, shaded_lamp, sconces, screen, neon, candles]
    weights = np.array([0.13, 0.12, 0.18, 0.08, 0.2, 0.1, 0.09, 0.05, 0.05])
    # One single lamp, a few, or many of all kinds.
    kinds = list(rng.choice(len(makers), int(rng.choice([1, 2, 3, 5], p=[0.35, 0.3, 0.25, 0.1])), False, weights))
    if dark and all(k >= 6 for k in kinds) and rng.random() < 0.7:
        kinds.append(int(rng.integers(0, 6)))
    for k in kinds:
        kelvin = base if rng.random() < 0.6 else rng.uniform(2300, 8500)
        tint = blackbody(float(kelvin))
        if rng.random() < 0.04:
            tint = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.4, 0.9), 1.4))
        makers[k](rng, builder, half, height, tint)


def panels(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray) -> None:
    """A grid of luminous ceiling panels, as in offices."""
    w, d = rng.uniform(0.1, 0.35), rng.uniform(0.15, 0.6)
    level = tint * rng.uniform(1.5, 8)
    for x in np.linspace(-1, 1, int(rng.integers(1, 4)) + 2)[1:-1]:
        for y in np.linspace(-1, 1, int(rng.integers(1, 3)) + 2)[1:-1]:
            centre = (x * half[0], y * half[1], height - 0.01)
            builder.rect(centre, (w, 0, 0), (0, -d, 0), level)


def downlights(
    rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray
) -> None:
    """A row of small bright spots in the ceiling."""
    count, along = int(rng.integers(2, 6)), rng.random() < 0.5
    offset, size = rng.uniform(-0.8, 0.8), rng.uniform(0.03, 0.06)
    level = tint * rng.uniform(40, 200)
    for s in np.linspace(-0.85, 0.85, count):
        x, y = (s, offset) if along else (offset, s)
        builder.rect((x * half[0], y * half[1], height - 0.01), (size, 0, 0), (0, -size, 0), level)


def pendants(
    rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray
) -> None:
    """Glowing globes hanging from the ceiling."""
    radius = rng.uniform(0.05, 0.22)
    # 400 to 3000 lm spread over the globe: L = flux / (4 π² r²).
    level = rng.uniform(0.4, 3.0) / (4 * math.pi**2 * radius**2)
    glass = builder.material((0.8, 0.8, 0.8), radiance=tint * level)
    cord = builder.material((0.05, 0.05, 0.05))
    x0, y0 = rng.uniform(-0.6, 0.6, 2) * half
    z = rng.uniform(max(1.7, height - 1.2), height - radius - 0.05)
    for i in range(int(rng.choice([1, 2, 3], p=[0.6, 0.2, 0.2]))):
        x = float(np.clip(x0 + 0.6 * i, -half[0] + 0.4, half[0] - 0.4))
        builder.sphere((x, y0, z), radius, glass)
        builder.group([((-0.01, -0.01, z + radius + 0.002), (0.01, 0.01, height), cord)], (x, y0, 0))


def floor_lamp(
    rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray
) -> None:
    """A pole with a glowing globe, near a wall or standing low like a table lamp."""
    radius, z = rng.uniform(0.06, 0.2), rng.uniform(0.5, 1.7)
    spot = free_spot(rng, builder, half - 0.1, radius)
    if spot is None:
        return
    x, y, _ = spot
    level = rng.uniform(0.3, 1.6) / (4 * math.pi**2 * radius**2)
    glass = builder.material((0.8, 0.8, 0.8), radiance=tint * level)
    pole = builder.material(np.full(3, rng.uniform(0.03, 0.6)), roughness=0.3, specular=0.04)
    builder.sphere((x, y, z), radius, glass)
    stand = [
        ((-0.015, -0.015, 0), (0.015, 0.015, z - radius - 0.002), pole),
        ((-0.13, -0.13, 0), (0.13, 0.13, 0.03), pole),
    ]
    builder.group(stand, (x, y, 0), rng.uniform(0, 1))


def shaded(rng: np.random.Generator, builder: SceneBuilder, x: float, y: float, z: float, tint: np.ndarray) -> Solid:
    """A bulb at (x, y, z) and the thin shade around it, which glows, and throws light up and down."""
    radius, tall = rng.uniform(0.1, 0.24), rng.uniform(0.12, 0.3)
    bulb = 0.035
    level = rng.uniform(0.4, 1.8) / (4 * math.pi**2 * bulb**2)
    builder.sphere((x, y, z), bulb, builder.material((0.8, 0.8, 0.8), radiance=tint * level))
    cloth = surfaces.colour(rng, saturation=0.5, low=0.55, high=0.9)
    m = builder.material(cloth, cloth * 0.8, texture="weave", scale=90, sheet=rng.uniform(0.3, 0.6))
    if rng.random() < 0.2:
        m = builder.material(surfaces.colour(rng, low=0.05), roughness=0.3, specular=0.04)
    return shade(x, y, z - tall / 2, z + tall / 2, radius, m, rng.uniform(0.4, 1.0))


def shaded_lamp(
    rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray
) -> None:
    """One to three lamps with cloth shades: hanging, standing, or on a small table."""
    m = surfaces.some_material(rng, builder)
    for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))):
        kind, spot = rng.random(), free_spot(rng, builder, half - 0.1, 0.26)
        if spot is None:
            return
        x, y, _ = spot
        if kind < 0.35:
            z = rng.uniform(max(1.7, height - 1.3), height - 0.35)
            parts = [shaded(rng, builder, x, y, z, tint), post(x, y, z + 0.05, height, 0.008, m)]
        elif kind < 0.65:
            z = rng.uniform(1.3, 1.7)
            stand = [post(x, y, 0, 0.03, 0.14, m), post(x, y, 0.03, z - 0.045, 0.014, m)]
            parts = [shaded(rng, builder, x, y, z, tint), *stand]
        else:
            top = rng.uniform(0.4, 0.75)
            z, foot = top + rng.uniform(0.28, 0.42), rng.uniform(0.04, 0.09)
            stand = [box((x - 0.22, y - 0.22, top - 0.03), (x + 0.22, y + 0.22, top), m), post(x, y, 0, top, 0.05, m)]
            stand += [ball((x, y, top + 0.1), (foot, foot, 0.1), m), post(x, y, top + 0.15, z - 0.045, 0.012, m)]
            parts = [shaded(rng, builder, x, y, z, tint), *stand]
        builder.group(parts)


def sconces(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray) -> None:
    """Lamps on a wall that wash it from above and below."""
    axis, side = WALLS[rng.integers(4)]
    m, z = surfaces.some_material(rng, builder), rng.uniform(1.5, 1.9)
    level = rng.uniform(0.2, 0.8) / (4 * math.pi**2 * 0.04**2)
    bulb = builder.material((0.8, 0.8, 0.8), radiance=tint * level)
    screened = rng.random() < 0.6
    for along in np.linspace(-0.7, 0.7, int(rng.integers(1, 4))) * half[1 - axis]:
        point, _, _ = on_wall(half, axis, side, float(along), z, 0.11)
        builder.sphere(point, 0.04, bulb)
        if screened:
            builder.group([shade(0, 0, -0.1, 0.1, 0.08, m, 1.0)], point)
        builder.group([box((-0.03, 0.05, -0.02), (0.03, 0.11, 0.02), m)], point, YAWS[(axis, side)])


def candles(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray) -> None:
    """A few candles on a stool."""
    spot = free_spot(rng, builder, half, 0.3)
    if spot is None:
        return
    flame = builder.material((0.8, 0.8, 0.8), radiance=blackbody(1900) * rng.uniform(10, 60))
    wax, m = builder.material((0.8, 0.76, 0.65), roughness=0.4, specular=0.03), surfaces.some_material(rng, builder)
    top = rng.uniform(0.4, 0.8)
    parts = [post(0, 0, top - 0.03, top, 0.25, m), post(0, 0, 0, top - 0.03, 0.04, m)]
    for _ in range(rng.integers(1, 6)):
        x, y, tall = *rng.uniform(-0.15, 0.15, 2), rng.uniform(0.05, 0.3)
        parts.append(post(x, y, top, top + tall, 0.02, wax))
        builder.sphere((spot[0] + x, spot[1] + y, top + tall + 0.018), 0.012, flame)
    builder.group(parts, (spot[0], spot[1], 0))


def fireplace(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float) -> None:
    """A chimney breast whose hearth glows unevenly."""
    axis, side = WALLS[rng.integers(4)]
    point, tangent, inward = on_wall(half, axis, side, rng.uniform(-0.5, 0.5) * half[1 - axis], 0, 0)
    stone = builder.material(
        surfaces.colour(rng, saturation=0.4, low=0.2), (0.6, 0.58, 0.55), texture="bricks", scale=4
    )
    soot, mantel = builder.material((0.03, 0.03, 0.03)), surfaces.wood(rng, builder)
    builder.group([
        box((-0.75, -0.4, 0), (-0.4, 0, 1.1), stone), box((0.4, -0.4, 0), (0.75, 0, 1.1), stone),
        box((-0.4, -0.4, 0.7), (0.4, 0, 1.1), stone), box((-0.4, -0.06, 0), (0.4, 0, 0.7), soot),
        box((-0.85, -0.48, 1.1), (0.85, 0, 1.17), mantel), box((-0.6, -0.36, 1.17), (0.6, 0, height), stone),
        drum((-0.28, -0.3, 0.02), (0.28, -0.16, 0.14), soot, axis=0),
    ], point, YAWS[(axis, side)])  # fmt: skip
    for x in (-0.15, 0.0, 0.15):
        # Flames as three small panes that look into the room.
        u, tall = tangent * 0.07, np.array([0, 0, rng.uniform(0.06, 0.16)])
        u = u if np.cross(u, tall) @ inward > 0 else -u
        centre = point + tangent * x + inward * 0.14 + np.array([0, 0, 0.14 + tall[2]])
        builder.rect(centre, u, tall, blackbody(rng.uniform(1750, 2200)) * rng.uniform(2, 9))


def screen(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray) -> None:
    """A television on a wall: a picture of six coloured fields."""
    w = rng.uniform(0.25, 0.7)
    body = builder.material((0.02, 0.02, 0.02), roughness=0.2, specular=0.04)
    side = -1 if rng.random() < 0.5 else 1
    z, x, y = rng.uniform(0.9, 1.4), side * (half[0] - 0.06), rng.uniform(-0.6, 0.6) * max(half[1] - w, 0.1)
    builder.group([box((-0.03, -w - 0.02, -w * 0.56 - 0.02), (0.03, w + 0.02, w * 0.56 + 0.02), body)],
                  (x + side * 0.025, y, z))  # fmt: skip
    hue, level = rng.random(), rng.uniform(0.08, 0.6)
    for i in range(3):
        for j in range(2):
            field = np.array(colorsys.hsv_to_rgb((hue + 0.15 * rng.normal()) % 1, rng.uniform(0, 0.8), 1.0))
            centre = (x - side * 0.01, y + w * (i - 1) * 2 / 3, z + w * 0.28 * (2 * j - 1))
            builder.rect(centre, (0, -side * w / 3, 0), (0, 0, w * 0.28), field * level * rng.uniform(0.3, 1.5))


def neon(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray) -> None:
    """A saturated tube along the ceiling's edge."""
    hue = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.5, 0.95), 1.0))
    x = (half[0] - 0.08) * (1 if rng.random() < 0.5 else -1)
    builder.rect(
        (x, 0, height - 0.05), (0.02, 0, 0), (0, -half[1] * rng.uniform(0.3, 0.9), 0), hue * rng.uniform(3, 15)
    )
