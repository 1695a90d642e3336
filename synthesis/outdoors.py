# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural places under the open sky: streets, yards, gardens. World frame, z up, metres."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from . import furniture, sky
from .blackbody import blackbody
from .furniture import colour, some_material
from .scene import SceneBuilder

#: Half size of the square in front of the camera that holds things.
REACH = 14.0


def make_outdoors(rng: np.random.Generator, hdris: list[Path]) -> SceneBuilder:
    """Ground, houses, walls, trees and small things under a sky; a captured one in three of four scenes when given."""
    builder = SceneBuilder()
    night = rng.random() < 0.08
    if hdris and not night and rng.random() < 0.75:
        sky.hdri_sky(rng, builder, hdris[rng.integers(len(hdris))], rng.uniform(1, 6))
    else:
        mood = "dusk" if night else str(rng.choice(["clear", "overcast", "golden", "dusk"], p=[0.42, 0.28, 0.22, 0.08]))
        sky.procedural_sky(rng, builder, mood)
    c = colour(rng, saturation=0.6, low=0.06, high=0.45)
    if rng.random() < 0.3:
        c = np.array([rng.uniform(0.05, 0.15), rng.uniform(0.1, 0.25), rng.uniform(0.02, 0.06)])
    kind = str(rng.choice(["noise", "tiles", "patches", "bricks"], p=[0.5, 0.25, 0.15, 0.1]))
    ground = builder.material(c, c * rng.uniform(0.4, 0.9), texture=kind, scale=rng.uniform(0.5, 3))
    builder.group([((-80, -80, -1), (80, 80, 0), ground)])
    for _ in range(int(rng.choice([0, 1, 2, 3, 5], p=[0.15, 0.25, 0.25, 0.2, 0.15]))):
        _house(rng, builder, lit=night)
    for _ in range(rng.integers(0, 3)):
        _wall(rng, builder)
    for _ in range(rng.integers(0, 4)):
        _tree(rng, builder)
    for _ in range(rng.integers(1, 7)):
        _thing(rng, builder)
    if night:
        _street_lamps(rng, builder)
    return builder


def _spot(
    rng: np.random.Generator, builder: SceneBuilder, radius: float, keep_out: float, reach: float = REACH
) -> np.ndarray | None:
    """A free place (x, y) at least ``keep_out`` from the middle, where the camera stands."""
    for _ in range(15):
        at = rng.uniform(-reach, reach, 2)
        if np.hypot(*at) < radius + keep_out:
            continue
        if all(math.hypot(at[0] - p[0], at[1] - p[1]) > 0.8 * (radius + p[3]) for p in builder.placed):
            builder.placed.append((at[0], at[1], 0.0, radius))
            return at
    return None


def _house(rng: np.random.Generator, builder: SceneBuilder, lit: bool) -> None:
    """A block with a base, a roof slab and rows of dark or lit windows on its four sides."""
    w, d, h = rng.uniform(2, 6), rng.uniform(2, 6), rng.choice([3.0, 6.0, 9.0, 15.0]) * rng.uniform(0.9, 1.2)
    at = _spot(rng, builder, math.hypot(w, d), 3.0, 2 * REACH)
    if at is None:
        return
    c = colour(rng, saturation=0.5, low=0.15, high=0.8)
    kind = str(rng.choice(["plain", "bricks", "noise", "tiles"], p=[0.3, 0.35, 0.25, 0.1]))
    wall = builder.material(c, c * 0.6, texture=kind, scale=rng.uniform(0.5, 2))
    roof = builder.material(colour(rng, low=0.05, high=0.4), roughness=0.5)
    glass = builder.material((0.03, 0.035, 0.04), roughness=0.03, specular=0.08)
    yaw = rng.uniform(0, math.pi) if rng.random() < 0.4 else rng.choice([0, math.pi / 2])
    boxes: list[furniture.Box] = [
        ((-w, -d, 0), (w, d, h), wall),
        ((-w - 0.25, -d - 0.25, h), (w + 0.25, d + 0.25, h + 0.3), roof),
    ]
    for z in np.arange(1.0, h - 1.5, 3.0)[:3]:
        boxes.append(((-w * 0.85, -d - 0.02, z), (w * 0.85, d + 0.02, z + 1.2), glass))
        boxes.append(((-w - 0.02, -d * 0.85, z), (w + 0.02, d * 0.85, z + 1.2), glass))
    builder.group(boxes, (*at, 0), yaw)
    if lit and rng.random() < 0.8:
        cosine, sine = math.cos(yaw), math.sin(yaw)
        out = np.array([cosine, sine, 0]) if rng.random() < 0.5 else -np.array([cosine, sine, 0])
        tangent = np.array([-out[1], out[0], 0])
        centre = np.array([*at, 1.6]) + out * (w + 0.05) + tangent * rng.uniform(-0.5, 0.5) * d
        builder.rect(centre, tangent * 0.5, (0, 0, 0.6), blackbody(rng.uniform(2400, 4000)) * rng.uniform(0.1, 0.5))


def _wall(rng: np.random.Generator, builder: SceneBuilder) -> None:
    """A long low wall or fence."""
    length, h = rng.uniform(1.5, 6), rng.uniform(0.5, 2.6)
    at = _spot(rng, builder, length * 0.6, 1.2)
    if at is None:
        return
    c = colour(rng, saturation=0.5, low=0.1, high=0.75)
    m = builder.material(c, c * 0.5, texture=str(rng.choice(["bricks", "planks", "noise"])), scale=rng.uniform(0.8, 2))
    builder.group([((-length, -0.12, 0), (length, 0.12, h), m)], (*at, 0), rng.uniform(0, math.pi))


def _tree(rng: np.random.Generator, builder: SceneBuilder) -> None:
    """A trunk under a cluster of leafy balls, or a bush without one."""
    size = rng.uniform(0.5, 2.2)
    at = _spot(rng, builder, size, 1.5)
    if at is None:
        return
    green = np.array([rng.uniform(0.03, 0.25), rng.uniform(0.09, 0.3), rng.uniform(0.01, 0.08)])
    leaf = builder.material(
        green, green * 0.25, texture="patches", scale=rng.uniform(4, 12), roughness=0.6, specular=0.02
    )
    bark = builder.material((0.12, 0.08, 0.05), (0.05, 0.03, 0.02), texture="planks", scale=4)
    crown = rng.uniform(1.3, 2.5) * size if rng.random() < 0.75 else 0.4 * size
    if crown > size:
        w = 0.08 * size + 0.04
        builder.group([((-w, -w, 0), (w, w, crown), bark)], (*at, 0), rng.uniform(0, 1.5))
    for _ in range(rng.integers(4, 8)):
        x, y, z = rng.normal(0, 0.38, 3) * size
        builder.sphere((at[0] + x, at[1] + y, crown + 0.7 * z), size * rng.uniform(0.3, 0.6), leaf)


def _thing(rng: np.random.Generator, builder: SceneBuilder) -> None:
    """A bench, a crate stack, a table, a chair, a ball or a parked car, near the camera."""
    kind = rng.choice(["table", "chair", "crate", "ball", "car", "plant"])
    m, other = some_material(rng, builder), some_material(rng, builder)
    at = _spot(rng, builder, {"car": 2.2, "table": 1.0}.get(kind, 0.5), 0.6, 6.0)
    if at is None:
        return
    yaw = rng.uniform(0, 2 * math.pi)
    if kind == "ball":
        r = rng.uniform(0.1, 0.5)
        builder.sphere((*at, r), r, m)
    elif kind == "plant":
        furniture.plant(rng, builder, at[0], at[1], rng.uniform(0.4, 1.2))
    elif kind == "car":
        paint = builder.material(colour(rng, saturation=1.0), roughness=0.08, specular=0.06)
        glass = builder.material((0.02, 0.02, 0.025), roughness=0.02, specular=0.08)
        tyre = builder.material((0.02, 0.02, 0.02))
        builder.group([
            ((-2.1, -0.85, 0.3), (2.1, 0.85, 0.85), paint), ((-1.3, -0.75, 0.85), (0.9, 0.75, 1.35), glass),
            ((-1.25, -0.72, 1.35), (0.85, 0.72, 1.42), paint), ((-1.7, -0.87, 0), (-1.1, 0.87, 0.6), tyre),
            ((1.1, -0.87, 0), (1.7, 0.87, 0.6), tyre),
        ], (*at, 0), yaw)  # fmt: skip
    elif kind == "crate":
        w = rng.uniform(0.2, 0.5)
        builder.group(
            [((-w, -w, 0), (w, w, 2 * w), m), ((-0.6 * w, -0.6 * w, 2 * w), (0.6 * w, 0.6 * w, 3 * w), other)],
            (*at, 0),
            yaw,
        )
    else:
        boxes = furniture.table(rng, m, other)[0] if kind == "table" else furniture.chair(rng, m, other)
        builder.group(boxes, (*at, 0), yaw)


def _street_lamps(rng: np.random.Generator, builder: SceneBuilder) -> None:
    """One to three glowing globes on poles."""
    tint = blackbody(rng.uniform(2000, 4500))
    glass = builder.material((0.8, 0.8, 0.8), radiance=tint * rng.uniform(5, 25))
    pole = builder.material((0.05, 0.05, 0.05))
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(-7, 7, 2)
        z = rng.uniform(2.5, 4.5)
        builder.sphere((x, y, z), 0.15, glass)
        builder.group([((-0.05, -0.05, 0), (0.05, 0.05, z - 0.16), pole)], (x, y, 0))
