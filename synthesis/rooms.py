# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural rooms: walls, openings, furniture and lamps from one random generator. World frame, z up, metres."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from . import furniture, openings, sky, surfaces
from .blackbody import blackbody
from .lamps import fireplace, light_room
from .layout import WALLS, YAWS, free_spot, on_wall
from .scene import SceneBuilder
from .solids import box
from .surfaces import some_material


def make_room(rng: np.random.Generator, hdris: list[Path]) -> SceneBuilder:
    """A furnished, lit room with its floor at z = 0, centred on the z axis; often another space opens off it."""
    builder = SceneBuilder()
    half = np.array([rng.uniform(1.4, 4.2), rng.uniform(1.4, 4.2)])
    height = rng.uniform(2.3, 3.0) if rng.random() < 0.75 else rng.uniform(3.0, 4.5)
    moods, shares = ["clear", "overcast", "golden", "dusk", "night"], [0.28, 0.22, 0.18, 0.1, 0.22]
    mood = str(rng.choice(moods, p=shares))
    if hdris and mood != "night" and rng.random() < 0.6:
        sky.hdri_sky(rng, builder, hdris[rng.integers(len(hdris))], rng.uniform(0.8, 5))
    else:
        sky.procedural_sky(rng, builder, mood)
    daylight = mood in ("clear", "overcast", "golden")
    closed = _enclose(rng, builder, half, height, daylight)
    count = openings.windows(rng, builder, half, height, daylight, closed)
    _trim(rng, builder, half, height)
    _wall_things(rng, builder, half, height)
    furnish(rng, builder, half)
    if rng.random() < 0.1:
        fireplace(rng, builder, half, height)
    light_room(rng, builder, half, height, dark=not daylight or count == 0)
    return builder


def _enclose(
    rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, daylight: bool
) -> set[tuple[int, int]]:
    """Walls, floor and ceiling, and in two of five rooms a passage; returns the walls that are taken."""
    wall = surfaces.wall(rng, builder)
    walls = [wall if rng.random() < 0.75 else surfaces.wall(rng, builder) for _ in range(4)]
    ceiling = builder.material(surfaces.colour(rng, saturation=0.12, low=0.6, high=0.88))
    order = [walls[0], walls[1], surfaces.floor(rng, builder), walls[2], walls[3], ceiling]
    low, high = np.array([-half[0], -half[1], 0]), np.array([half[0], half[1], height])
    if rng.random() > 0.4:
        builder.set_room(low, high, order)
        return set()
    axis, side = WALLS[rng.integers(4)]
    depth = rng.uniform(0.5, 1.0) if rng.random() < 0.35 else rng.uniform(1.5, 3.5)
    if side < 0:
        low[axis] -= depth
    else:
        high[axis] += depth
    builder.set_room(low, high, order)
    middle, wide = openings.passage(rng, builder, half, height, (axis, side), depth, walls[0])
    _behind(rng, builder, half, height, (axis, side), depth, middle, wide, daylight)
    return {(axis, side)}


def _behind(
    rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, wall: tuple[int, int],
    depth: float, middle: np.ndarray, wide: float, daylight: bool,
) -> None:  # fmt: skip
    """Light and things in the space behind a passage: its own window by day, or its own lamp."""
    far = half.copy()
    far[wall[0]] += depth
    frame, curtain = some_material(rng, builder), surfaces.cloth(rng, builder, sheet=0.4)
    along = float(middle[1 - wall[0]])
    if daylight and rng.random() < 0.7:
        room = min(wide, far[1 - wall[0]] - 0.3 - abs(along))
        if room > 0.2:
            openings.window(
                rng, builder, far, wall, along, room, (rng.uniform(0.3, 0.9), height - 0.3), (frame, curtain)
            )
    if depth > 1.2 and (not daylight or rng.random() < 0.5):
        tint = blackbody(rng.uniform(2500, 6500)) * rng.uniform(2, 10)
        builder.rect((*middle[:2], height - 0.01), (0.2, 0, 0), (0, -0.2, 0), tint)
    if rng.random() < 0.6:
        furniture.plant(rng, builder, middle[0], middle[1], rng.uniform(0.5, 1.2))


def _trim(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float) -> None:
    """Skirting boards, beams or columns."""
    m = surfaces.wood(rng, builder) if rng.random() < 0.5 else builder.material((0.75, 0.74, 0.7), roughness=0.4)
    if rng.random() < 0.6 and builder.room[3] == half[0] and builder.room[4] == half[1] and len(builder.solids) < 400:
        x, y, h = half[0], half[1], rng.uniform(0.06, 0.14)
        if builder.room[0] == -x and builder.room[1] == -y:
            builder.group([
                box((-x - 1, y - 0.015, 0), (x + 1, y + 1, h), m), box((-x - 1, -y - 1, 0), (x + 1, -y + 0.015, h), m),
                box((x - 0.015, -y, 0), (x + 1, y, h), m), box((-x - 1, -y, 0), (-x + 0.015, y, h), m),
            ])  # fmt: skip
    if rng.random() < 0.14:
        w = rng.uniform(0.05, 0.12)
        beams = np.arange(-half[0] + 0.4, half[0], rng.uniform(0.6, 1.2))
        builder.group([box((x - w, -half[1], height - 2.4 * w), (x + w, half[1], height + 0.1), m) for x in beams])


def _wall_things(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float) -> None:
    """Framed pictures, mirrors, doors and shelf boards."""
    for _ in range(rng.integers(2, 6)):
        axis, side = WALLS[rng.integers(4)]
        m, rim = some_material(rng, builder), some_material(rng, builder)
        kind = rng.choice(["door", "mirror", "board", "picture"], p=[0.22, 0.16, 0.15, 0.47])
        w, h = rng.uniform(0.15, 0.6, 2)
        along = rng.uniform(-1, 1) * max(0.1, half[1 - axis] - w - 0.1)
        point, _, _ = on_wall(half, axis, side, along, 0.0, 0.0)
        yaw = YAWS[(axis, side)]
        if kind == "door":
            builder.group(openings.door(rng, m, rim), point, yaw)
            continue
        z = rng.uniform(1.2, max(1.3, min(1.8, height - h)))
        if kind == "board":
            covers = [some_material(rng, builder) for _ in range(3)]
            goods = furniture.books(rng, covers, -w + 0.03, 0.5 * w, z, 0.28)
            goods = [s._replace(low=(s.low[0], s.low[1] - 0.13, s.low[2]), high=(s.high[0], s.high[1] - 0.13, s.high[2]))
                     for s in goods]  # fmt: skip
            builder.group([box((-w, -0.25, z - 0.025), (w, 0, z), m), *goods], point, yaw)
            continue
        front = builder.material(np.full(3, 0.88), roughness=0.0, metal=True)
        if kind == "picture":
            kinds = ["patches", "marble", "carpet", "stripes", "noise"]
            front = builder.material(surfaces.colour(rng, saturation=1.0), surfaces.colour(rng, saturation=1.0),
                                     texture=str(rng.choice(kinds)), scale=rng.uniform(2, 8))  # fmt: skip
        parts = [box((-w - 0.03, -0.02, z - h - 0.03), (w + 0.03, 0, z + h + 0.03), rim)]
        builder.group([*parts, box((-w, -0.025, z - h), (w, -0.01, z + h), front)], point, yaw)


def furnish(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray) -> None:
    """Fill the room in proportion to its floor."""
    count = int(np.clip(rng.poisson(2.0 + 0.2 * 4 * half[0] * half[1]), 2, 11))
    kinds = ["table", "chair", "sofa", "shelf", "cabinet", "bed", "plant", "crate", "rug", "column"]
    for kind in rng.choice(kinds, count, p=[0.21, 0.18, 0.12, 0.13, 0.1, 0.05, 0.08, 0.03, 0.07, 0.03]):
        m, other = some_material(rng, builder), some_material(rng, builder)
        top = None
        if kind == "table":
            parts, top, radius = furniture.table(rng, builder, m, other)
        elif kind == "chair":
            parts, radius = furniture.chair(rng, m, other), 0.32
        elif kind == "sofa":
            parts, radius = furniture.sofa(rng, surfaces.cloth(rng, builder), surfaces.cloth(rng, builder)), 1.0
        elif kind == "shelf":
            parts, radius = furniture.shelf(rng, builder, m), 0.6
        elif kind == "cabinet":
            parts, radius = furniture.cabinet(rng, m, other), 0.6
        elif kind == "bed":
            parts, radius = furniture.bed(rng, m, surfaces.cloth(rng, builder)), 1.1
        elif kind == "rug":
            x, y = rng.uniform(-0.3, 0.3, 2) * half
            w, d = rng.uniform(0.3, 0.7, 2) * np.minimum(half, 2.4)
            builder.group([box((-w, -d, 0), (w, d, 0.012), surfaces.cloth(rng, builder))], (x, y, 0))
            continue
        elif kind == "column":
            parts, radius = [furniture.post(0, 0, 0, builder.room[5], 0.14, m)], 0.2
        else:
            w = rng.uniform(0.15, 0.45)
            parts, radius = [box((-w, -w, 0), (w, w, 2 * w), m)], 1.42 * w
        backed = {"sofa": 0.48, "shelf": 0.17, "cabinet": 0.34, "bed": 1.08}
        spot = free_spot(rng, builder, half, radius, wall=backed.get(str(kind)))
        if spot is None:
            continue
        if kind == "plant":
            furniture.plant(rng, builder, spot[0], spot[1], rng.uniform(0.5, 1.3))
            continue
        builder.group(parts, (spot[0], spot[1], 0), spot[2])
        if top is not None and rng.random() < 0.85:
            furniture.decoration(rng, builder, np.array([spot[0], spot[1], top]), 0.22)
        if kind == "table" and rng.random() < 0.5:
            _chairs(rng, builder, spot, radius, m, other)


def _chairs(
    rng: np.random.Generator, builder: SceneBuilder, spot: tuple[float, float, float], radius: float, m: int, leg: int
) -> None:
    """One or two chairs drawn up to a table, where there is room."""
    x0, y0, x1, y1 = builder.room[0], builder.room[1], builder.room[3], builder.room[4]
    for turn in rng.permutation([0.5, 1.5])[: rng.integers(1, 3)] * math.pi:
        yaw = spot[2] + float(turn)
        x, y = spot[0] - (radius + 0.1) * math.sin(yaw), spot[1] + (radius + 0.1) * math.cos(yaw)
        if x0 + 0.35 < x < x1 - 0.35 and y0 + 0.35 < y < y1 - 0.35:
            builder.group(furniture.chair(rng, m, leg), (x, y, 0), yaw)
