# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural places under the open sky: streets, courtyards, gardens, squares, arcades. World frame, z up, metres."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from . import furniture, sky, surfaces
from .blackbody import blackbody
from .greenery import hedge, tree
from .scene import SceneBuilder
from .solids import ball, box, post
from .streets import car, house, street_lamp
from .surfaces import colour, some_material

#: Half size of the square in front of the camera that holds things.
REACH = 14.0


def make_outdoors(rng: np.random.Generator, hdris: list[Path]) -> SceneBuilder:
    """A place under a sky by day, dusk or night; a captured sky in most of the scenes by day when given."""
    builder = SceneBuilder()
    night = rng.random() < 0.16
    if hdris and not night and rng.random() < 0.65:
        sky.hdri_sky(rng, builder, hdris[rng.integers(len(hdris))], rng.uniform(1, 6))
    elif night:
        sky.procedural_sky(rng, builder, "dusk" if rng.random() < 0.4 else "night")
    else:
        mood = str(rng.choice(["clear", "overcast", "golden", "dusk"], p=[0.4, 0.25, 0.26, 0.09]))
        sky.procedural_sky(rng, builder, mood)
    place = rng.choice(["street", "court", "garden", "square", "arcade"], p=[0.3, 0.18, 0.24, 0.16, 0.12])
    {"street": _street, "court": _court, "garden": _garden, "square": _square, "arcade": _arcade}[place](
        rng, builder, night
    )
    for _ in range(rng.integers(1, 7)):
        _thing(rng, builder)
    if night:
        tint = blackbody(rng.uniform(1900, 5000))
        for _ in range(rng.integers(1, 4)):
            at = _spot(rng, builder, 0.3, 1.0, 9.0)
            if at is not None:
                mixed = tint if rng.random() < 0.7 else blackbody(rng.uniform(1900, 7000))
                street_lamp(rng, builder, at, mixed)
    return builder


def _ground(rng: np.random.Generator, builder: SceneBuilder, *kinds: str) -> None:
    """A plane of paving, gravel, grass, earth or asphalt."""
    kind = str(rng.choice(kinds))
    c = colour(rng, saturation=0.35, low=0.07, high=0.45)
    if kind == "grass":
        c = np.array([rng.uniform(0.06, 0.16), rng.uniform(0.12, 0.25), rng.uniform(0.02, 0.06)])
    scale = {"grass": 2.0, "noise": rng.uniform(8, 30), "bricks": rng.uniform(2, 4)}.get(kind, rng.uniform(0.8, 2.5))
    wet = 0.04 if kind in ("paving", "tiles") and rng.random() < 0.3 else 0.0
    m = builder.material(c, c * rng.uniform(0.35, 0.75), texture=kind, scale=scale, roughness=0.3, specular=wet)
    builder.group([box((-80, -80, -1), (80, 80, 0), m)])


def _street(rng: np.random.Generator, builder: SceneBuilder, night: bool) -> None:
    """Two rows of houses along x, pavements with kerbs, parked cars, trees."""
    _ground(rng, builder, "noise", "noise", "bricks")
    wide, side = rng.uniform(3.5, 6), rng.uniform(1.2, 2.5)
    stone = builder.material((0.35, 0.34, 0.33), (0.2, 0.2, 0.2), texture="paving", scale=rng.uniform(0.8, 2))
    for y in (-1, 1):
        near, far = y * wide, y * (wide + side)
        builder.group([box((-60, min(near, far), -0.1), (60, max(near, far), 0.13), stone)])
        x = -30.0 + rng.uniform(0, 4)
        while x < 30 and rng.random() < 0.95:
            w, h = rng.uniform(3, 6), rng.choice([4.0, 7.0, 10.0, 16.0]) * rng.uniform(0.9, 1.15)
            depth = rng.uniform(3, 5)
            house(rng, builder, (x + w, far + y * depth, 0), (w, depth, h), 0.0 if y > 0 else math.pi, night)
            x += 2 * w + (0.0 if rng.random() < 0.7 else rng.uniform(1, 5))
        for x in np.arange(-16, 17, rng.uniform(5.5, 9)):
            kind = rng.random()
            if kind < 0.45:
                car(rng, builder, (x, y * (wide - 1.0), 0), 0.0 if rng.random() < 0.5 else math.pi)
                builder.placed.append((x, y * (wide - 1.0), 0, 2.2))
            elif kind < 0.65:
                tree(rng, builder, np.array([x, y * (wide + 0.6)]), rng.uniform(0.9, 1.8))


def _court(rng: np.random.Generator, builder: SceneBuilder, night: bool) -> None:
    """Houses on three or four sides of a yard."""
    _ground(rng, builder, "paving", "bricks", "noise", "grass")
    reach = rng.uniform(4.5, 9)
    for quarter in range(4 if rng.random() < 0.5 else 3):
        yaw = quarter * math.pi / 2
        depth, h = rng.uniform(2, 4), rng.choice([3.5, 6.5, 10.0]) * rng.uniform(0.9, 1.2)
        at = (reach + depth) * np.array([-math.sin(yaw), math.cos(yaw)])
        house(rng, builder, (*at, 0), (reach * rng.uniform(0.8, 1.1), depth, h), yaw, night)
    for _ in range(rng.integers(0, 3)):
        _tree_somewhere(rng, builder)


def _garden(rng: np.random.Generator, builder: SceneBuilder, night: bool) -> None:
    """Lawn, trees, bushes, hedges, a wall or a house."""
    _ground(rng, builder, "grass", "grass", "noise")
    if rng.random() < 0.5:
        path = builder.material((0.4, 0.37, 0.32), (0.22, 0.2, 0.18), texture="paving", scale=rng.uniform(1, 3))
        builder.group([box((-30, -0.9, -0.1), (30, 0.9, 0.02), path)], (0, rng.uniform(-3, 3), 0), rng.uniform(0, 3))
    for _ in range(rng.integers(2, 6)):
        _tree_somewhere(rng, builder)
    for _ in range(rng.integers(0, 3)):
        at = _spot(rng, builder, 2.0, 1.5)
        if at is not None:
            hedge(rng, builder, at)
    for _ in range(rng.integers(0, 3)):
        _wall(rng, builder)
    if rng.random() < 0.5:
        at = _spot(rng, builder, 6.0, 4.0, 1.5 * REACH)
        if at is not None:
            house(rng, builder, (*at, 0), (rng.uniform(3, 5), 3.0, rng.uniform(3, 7)), rng.uniform(0, 6), night)


def _square(rng: np.random.Generator, builder: SceneBuilder, night: bool) -> None:
    """Houses here and there around paving, a few trees and a monument."""
    _ground(rng, builder, "paving", "tiles", "noise", "bricks")
    for _ in range(int(rng.integers(2, 7))):
        w, d = rng.uniform(2.5, 6, 2)
        at = _spot(rng, builder, math.hypot(w, d), 3.5, 2 * REACH)
        if at is not None:
            yaw = math.atan2(at[0], -at[1]) + math.pi if rng.random() < 0.5 else 0.0
            house(rng, builder, (*at, 0), (w, d, rng.choice([3.5, 7.0, 12.0])), yaw, night)
    if rng.random() < 0.4:
        at, m = _spot(rng, builder, 0.8, 1.5), some_material(rng, builder)
        if at is not None:
            h = rng.uniform(1, 3)
            builder.group([box((-0.6, -0.6, 0), (0.6, 0.6, 0.5), m), post(0, 0, 0.5, h, 0.3, m, 1.0, 0.7),
                           ball((0, 0, h + 0.4), (0.35, 0.3, 0.5), m)], (*at, 0))  # fmt: skip
    for _ in range(rng.integers(0, 4)):
        _tree_somewhere(rng, builder)


def _arcade(rng: np.random.Generator, builder: SceneBuilder, night: bool) -> None:
    """Shade under a bridge or a colonnade, the light beyond."""
    _ground(rng, builder, "paving", "bricks", "noise")
    c = colour(rng, saturation=0.35, low=0.2, high=0.7)
    m = builder.material(c, c * 0.6, texture=str(rng.choice(["bricks", "noise", "paving"])), scale=rng.uniform(1, 3))
    depth, h, r = rng.uniform(1.8, 3.5), rng.uniform(2.6, 4.5), rng.uniform(0.15, 0.4)
    parts = [box((-20, -depth, h), (20, depth, h + rng.uniform(0.3, 4)), m)]
    if rng.random() < 0.6:
        parts.append(box((-20, depth - 0.2, 0), (20, depth, h), m))
    for x in np.arange(-15, 15.1, rng.uniform(2.2, 5)):
        parts += [post(x, -depth + r, 0, h, r, m, 1.0, 0.85), box((x - r, -depth, 0), (x + r, -depth + 2 * r, 0.2), m)]
    builder.group(parts)
    for y in (-1, 1):
        far = y * rng.uniform(9, 15)
        house(
            rng, builder, (0, far, 0), (rng.uniform(6, 14), 2.5, rng.uniform(4, 12)), 0.0 if y > 0 else math.pi, night
        )
    for _ in range(rng.integers(0, 3)):
        _tree_somewhere(rng, builder)
    if night or rng.random() < 0.2:
        tint = blackbody(rng.uniform(2200, 5000)) * rng.uniform(3, 20)
        for x in (-4.0, 0.0, 4.0):
            builder.rect((x, 0, h - 0.01), (0.15, 0, 0), (0, -0.15, 0), tint)


def _tree_somewhere(rng: np.random.Generator, builder: SceneBuilder) -> None:
    size = rng.uniform(0.6, 2.2)
    at = _spot(rng, builder, size, 1.5)
    if at is not None:
        tree(rng, builder, at, size)


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


def _wall(rng: np.random.Generator, builder: SceneBuilder) -> None:
    """A long low wall or fence."""
    length, h = rng.uniform(1.5, 6), rng.uniform(0.5, 2.6)
    at = _spot(rng, builder, length * 0.6, 1.2)
    if at is None:
        return
    c = colour(rng, saturation=0.5, low=0.1, high=0.75)
    m = builder.material(c, c * 0.5, texture=str(rng.choice(["bricks", "planks", "noise"])), scale=rng.uniform(0.8, 2))
    builder.group([box((-length, -0.12, 0), (length, 0.12, h), m)], (*at, 0), rng.uniform(0, math.pi))


def _thing(rng: np.random.Generator, builder: SceneBuilder) -> None:
    """A bench, a crate stack, a table, a chair, a ball, a bin or a parked car, near the camera."""
    kind = rng.choice(["table", "chair", "crate", "ball", "car", "plant", "bench", "bin"])
    m, other = some_material(rng, builder), some_material(rng, builder)
    at = _spot(rng, builder, {"car": 2.2, "table": 1.0, "bench": 0.9}.get(kind, 0.5), 0.6, 6.0)
    if at is None:
        return
    yaw = rng.uniform(0, 2 * math.pi)
    if kind == "ball":
        r = rng.uniform(0.1, 0.5)
        parts = [ball((0, 0, r), r, m)]
    elif kind == "plant":
        furniture.plant(rng, builder, at[0], at[1], rng.uniform(0.4, 1.2))
        return
    elif kind == "car":
        car(rng, builder, (*at, 0), yaw)
        return
    elif kind == "crate":
        w = rng.uniform(0.2, 0.5)
        parts = [box((-w, -w, 0), (w, w, 2 * w), m), box((-0.6 * w, -0.6 * w, 2 * w), (0.6 * w, 0.6 * w, 3 * w), other)]
    elif kind == "bench":
        plank = surfaces.wood(rng, builder)
        parts = [box((-0.8, y, 0.42), (0.8, y + 0.1, 0.46), plank) for y in (-0.25, -0.12, 0.01)]
        parts += [box((-0.8, 0.16, z), (0.8, 0.19, z + 0.1), plank) for z in (0.55, 0.72)]
        parts += [box((x - 0.04, -0.22, 0), (x + 0.04, 0.16, 0.42), other) for x in (-0.65, 0.65)]
    elif kind == "bin":
        h = rng.uniform(0.6, 1.1)
        parts = [post(0, 0, 0, h, 0.25, m, 0.8, 1.0), post(0, 0, h, h + 0.05, 0.28, other)]
    else:
        parts = furniture.table(rng, builder, m, other)[0] if kind == "table" else furniture.chair(rng, m, other)
    builder.group(parts, (*at, 0), yaw)
