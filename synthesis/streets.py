# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in streets: houses with façades, parked cars, lamp posts. Metres."""

from __future__ import annotations

import math

import numpy as np

from . import surfaces
from .blackbody import blackbody
from .scene import SceneBuilder, Vector
from .solids import Solid, ball, box, drum, post, tilt


def house(
    rng: np.random.Generator,
    builder: SceneBuilder,
    at: Vector,
    half: tuple[float, float, float],
    yaw: float,
    night: bool,
) -> None:
    """A house of half width, half depth and height ``half`` whose front looks to −y before it is turned by ``yaw``."""
    w, d, h = half
    c = surfaces.colour(rng, saturation=0.5, low=0.15, high=0.8)
    dark = np.array([0.025, 0.03, 0.035])
    storey = rng.uniform(2.6, 3.4)
    front = builder.material(c, dark, texture="facade", scale=1 / storey, roughness=0.05, specular=0.08)
    base = builder.material(c * rng.uniform(0.4, 0.9), c * 0.3, texture=str(rng.choice(["bricks", "noise", "paving"])),
                            scale=rng.uniform(1.5, 3))  # fmt: skip
    roof = builder.material(surfaces.colour(rng, saturation=0.7, low=0.05, high=0.35), (0.05, 0.04, 0.04),
                            texture="bricks", scale=3)  # fmt: skip
    iron = surfaces.metal(rng, builder)
    parts: list[Solid] = [
        box((-w, -d, 0.6), (w, d, h), front),
        box((-w - 0.04, -d - 0.04, 0), (w + 0.04, d + 0.04, 0.6), base),
    ]
    parts.append(box((-w - 0.2, -d - 0.2, h), (w + 0.2, d + 0.2, h + 0.25), base))
    if rng.random() < 0.55:
        slope, long = rng.uniform(0.45, 0.8), d * 1.12
        lift = h + 0.25 + 0.5 * d * math.tan(slope)
        for y in (-1, 1):
            half_slope = 0.5 * long / math.cos(slope)
            turn = tilt(0, 0, -y * slope)
            parts.append(box((-w - 0.3, y * 0.5 * d - half_slope, lift - 0.06), (w + 0.3, y * 0.5 * d + half_slope, lift + 0.06),
                             roof, turn))  # fmt: skip
    x = rng.uniform(-0.6, 0.6) * w
    door = surfaces.some_material(rng, builder)
    parts += [
        box((x - 0.55, -d - 0.06, 0), (x + 0.55, -d, 2.3), base),
        box((x - 0.45, -d - 0.08, 0), (x + 0.45, -d, 2.15), door),
    ]
    parts.append(box((x - 0.7, -d - 0.5, 0), (x + 0.7, -d, 0.12), base))
    for z in np.arange(storey + 0.6, h - 1, storey)[:4]:
        parts.append(box((-w - 0.05, -d - 0.08, z - 0.08), (w + 0.05, -d, z + 0.04), base))
        if rng.random() < 0.4:
            a = rng.uniform(-0.8, 0.4) * w
            parts += [
                box((a, -d - 0.9, z - 0.1), (a + 1.6, -d, z), base),
                box((a, -d - 0.9, z + 0.95), (a + 1.6, -d - 0.86, z + 1), iron),
            ]
            parts += [
                box((s, -d - 0.89, z), (s + 0.02, -d - 0.87, z + 0.95), iron) for s in np.arange(a, a + 1.6, 0.18)
            ]
    builder.group(parts, at, yaw)
    if night:
        _lit_windows(rng, builder, at, half, yaw, storey)


def _lit_windows(
    rng: np.random.Generator,
    builder: SceneBuilder,
    at: Vector,
    half: tuple[float, float, float],
    yaw: float,
    storey: float,
) -> None:
    """A few panes of the front shine: glowing boxes, each of its own colour."""
    w, d, h = half
    centre = 0.5 * (0.6 + h)
    lit: list[Solid] = []
    for column in range(-math.floor(w / storey), math.floor(w / storey)):
        for row in range(math.floor((0.6 - centre) / storey), math.ceil((h - centre) / storey)):
            low, high = centre + (row + 0.2) * storey, centre + (row + 0.78) * storey
            if rng.random() > 0.3 or low < 0.7 or high > h:
                continue
            level = rng.uniform(0.03, 0.4)
            m = builder.material((0.1, 0.1, 0.1), glow=blackbody(rng.uniform(2300, 5500)) * level)
            lit.append(box(((column + 0.26) * storey, -d - 0.02, low), ((column + 0.74) * storey, -d + 0.1, high), m))
    if lit:
        builder.group(lit, at, yaw)
    if rng.random() < 0.4:
        # A shop window throws light on the pavement.
        turn = tilt(yaw)
        middle = np.asarray(at, float) + turn @ np.array([rng.uniform(-0.5, 0.5) * w, -d - 0.1, 1.5])
        tint = blackbody(rng.uniform(2500, 6000)) * rng.uniform(0.2, 1.2)
        builder.rect(middle, turn @ np.array([min(1.2, 0.4 * w), 0, 0]), np.array([0, 0, 0.7]), tint)


def car(rng: np.random.Generator, builder: SceneBuilder, at: Vector, yaw: float) -> None:
    """A parked car: body with rounded ends, cabin of glass, wheels, lamps."""
    paint = builder.material(surfaces.colour(rng, saturation=1.0), roughness=0.08, specular=0.06)
    pane = builder.material((0.02, 0.02, 0.025), roughness=0.02, specular=0.08)
    tyre, rim = builder.material((0.02, 0.02, 0.02)), surfaces.metal(rng, builder)
    tall, cabin = rng.uniform(0.45, 0.75), rng.uniform(-0.5, 0.1)
    parts = [
        box((-1.9, -0.85, 0.3), (1.9, 0.85, 0.78), paint), drum((-2.15, -0.85, 0.3), (-1.65, 0.85, 0.8), paint, axis=1),
        drum((1.65, -0.85, 0.3), (2.15, 0.85, 0.8), paint, axis=1),
        ball((0.2, 0, 0.75), (1.95, 0.84, 0.2), paint),
        ball((cabin, 0, 0.8), (1.35, 0.76, tall), pane), ball((cabin, 0, 0.86), (1.05, 0.7, tall - 0.03), paint),
    ]  # fmt: skip
    for x in (-1.3, 1.3):
        for y in (-0.86, 0.72):
            parts.append(drum((x - 0.32, y, 0), (x + 0.32, y + 0.14, 0.64), tyre, axis=1))
            parts.append(drum((x - 0.2, y - 0.01, 0.12), (x + 0.2, y + 0.15, 0.52), rim, axis=1))
    builder.group(parts, at, yaw)


def street_lamp(rng: np.random.Generator, builder: SceneBuilder, at: np.ndarray, tint: np.ndarray) -> None:
    """A globe on a post, or a hooded lamp on an arm that shines downwards."""
    iron, z = builder.material((0.05, 0.05, 0.05), roughness=0.4, specular=0.04), rng.uniform(2.6, 5)
    if rng.random() < 0.5:
        glass = builder.material((0.8, 0.8, 0.8), radiance=tint * rng.uniform(5, 25))
        builder.sphere((*at, z), 0.15, glass)
        builder.group([post(0, 0, 0, z - 0.16, 0.07, iron, 1.0, 0.6), post(0, 0, 0, 0.4, 0.12, iron)], (*at, 0))
        return
    yaw = rng.uniform(0, 6)
    arm = [post(0, 0, 0, z, 0.06, iron, 1.0, 0.7), drum((0, -0.03, z - 0.06), (1.0, 0.03, z), iron, axis=0)]
    builder.group([*arm, post(0.9, 0, z - 0.15, z, 0.22, iron, 1.0, 0.4)], (*at, 0), yaw)
    centre = np.array([at[0], at[1], z - 0.155]) + tilt(yaw) @ np.array([0.9, 0, 0])
    builder.rect(centre, (0.13, 0, 0), (0, -0.13, 0), tint * rng.uniform(15, 80))
