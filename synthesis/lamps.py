# SPDX-License-Identifier: GPL-3.0-or-later
"""Lamps of a room: panels, downlights, pendants, floor lamps, screens and neon, warm and cold mixed.

Luminance in thousands of cd/m², so that a lamp, a sky and a sun keep their true ratios.
"""

from __future__ import annotations

import colorsys
import math

import numpy as np

from .blackbody import blackbody
from .layout import free_spot
from .scene import SceneBuilder


def light_room(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, dark: bool) -> None:
    """Add one to four kinds of lamps; in a dark room at least one that is strong enough to see by."""
    if not dark and rng.random() < 0.45:
        return
    base = rng.choice([2500, 2800, 3200, 4000, 5000, 6500, 8000], p=[0.12, 0.25, 0.23, 0.15, 0.1, 0.1, 0.05])
    makers = [panels, downlights, pendants, floor_lamp, floor_lamp, screen, neon]
    weights = np.array([0.2, 0.16, 0.22, 0.16, 0.1, 0.1, 0.06])
    kinds = list(rng.choice(len(makers), int(rng.integers(1, 4)), replace=False, p=weights))
    if dark and all(k >= 5 for k in kinds):
        kinds.append(int(rng.integers(0, 4)))
    for k in kinds:
        kelvin = base if rng.random() < 0.65 else rng.uniform(2500, 8000)
        makers[k](rng, builder, half, height, blackbody(float(kelvin)))


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


def screen(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray) -> None:
    """A television on a wall: a large dim coloured rectangle."""
    w = rng.uniform(0.25, 0.7)
    hue = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 0.7), 1.0))
    body = builder.material((0.02, 0.02, 0.02), roughness=0.2, specular=0.04)
    y = rng.uniform(-0.6, 0.6) * half[1]
    side = -1 if rng.random() < 0.5 else 1
    z = rng.uniform(0.9, 1.4)
    x = side * (half[0] - 0.06)
    builder.group(
        [((-0.03, -w - 0.02, -w * 0.56 - 0.02), (0.03, w + 0.02, w * 0.56 + 0.02), body)], (x + side * 0.025, y, z)
    )
    builder.rect((x - side * 0.01, y, z), (0, -side * w, 0), (0, 0, w * 0.56), hue * rng.uniform(0.1, 0.6))


def neon(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, tint: np.ndarray) -> None:
    """A saturated tube along the ceiling's edge."""
    hue = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.5, 0.95), 1.0))
    x = (half[0] - 0.08) * (1 if rng.random() < 0.5 else -1)
    builder.rect(
        (x, 0, height - 0.05), (0.02, 0, 0), (0, -half[1] * rng.uniform(0.3, 0.9), 0), hue * rng.uniform(3, 15)
    )
