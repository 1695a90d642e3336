# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural rooms: walls, windows, furniture and lamps from one random generator. World frame, z up, metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import furniture, sky
from .furniture import colour, some_material
from .lamps import light_room
from .layout import WALLS, free_spot, on_wall
from .scene import SceneBuilder


def make_room(rng: np.random.Generator, hdris: list[Path]) -> SceneBuilder:
    """A furnished, lit room with its floor at z = 0, centred on the z axis."""
    builder = SceneBuilder()
    half = np.array([rng.uniform(1.4, 4.2), rng.uniform(1.4, 4.2)])
    height = rng.uniform(2.3, 3.0) if rng.random() < 0.75 else rng.uniform(3.0, 4.5)
    _enclose(rng, builder, half, height)
    mood = str(rng.choice(["clear", "overcast", "golden", "dusk", "night"], p=[0.3, 0.24, 0.14, 0.1, 0.22]))
    if hdris and mood != "night" and rng.random() < 0.6:
        sky.hdri_sky(rng, builder, hdris[rng.integers(len(hdris))], rng.uniform(0.8, 5))
    else:
        sky.procedural_sky(rng, builder, mood)
    daylight = mood in ("clear", "overcast", "golden")
    windows = _windows(rng, builder, half, height, daylight)
    _wall_things(rng, builder, half, height)
    furnish(rng, builder, half)
    light_room(rng, builder, half, height, dark=not daylight or windows == 0)
    return builder


def _enclose(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float) -> None:
    """Walls, floor and ceiling."""

    def paint() -> int:
        c = colour(rng, saturation=0.25, low=0.5, high=0.88) if rng.random() < 0.72 else colour(rng, saturation=0.9)
        kind = rng.choice(["plain", "noise", "bricks", "tiles"], p=[0.62, 0.22, 0.08, 0.08])
        return builder.material(c, c * rng.uniform(0.5, 0.92), texture=kind, scale=rng.uniform(0.6, 4))

    wall = paint()
    walls = [wall if rng.random() < 0.75 else paint() for _ in range(4)]
    kind = rng.choice(["planks", "tiles", "noise", "checker", "patches"], p=[0.45, 0.22, 0.2, 0.07, 0.06])
    c = colour(rng, saturation=0.7, low=0.06, high=0.6)
    glossy = kind in ("planks", "tiles", "checker") and rng.random() < 0.7
    floor = builder.material(
        c, c * rng.uniform(0.3, 0.85), texture=str(kind), scale=rng.uniform(0.7, 3),
        roughness=rng.uniform(0.05, 0.45), specular=0.04 if glossy else 0.0,
    )  # fmt: skip
    ceiling = builder.material(colour(rng, saturation=0.12, low=0.6, high=0.88))
    order = [walls[0], walls[1], floor, walls[2], walls[3], ceiling]
    builder.set_room((-half[0], -half[1], 0), (half[0], half[1], height), order)


def _windows(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float, daylight: bool) -> int:
    """Cut up to four windows; returns how many."""
    wanted = int(
        rng.choice([0, 1, 2, 3, 4], p=[0.08, 0.37, 0.3, 0.17, 0.08] if daylight else [0.3, 0.35, 0.2, 0.1, 0.05])
    )
    frame = builder.material(colour(rng, saturation=0.3, low=0.2, high=0.9), roughness=0.4, specular=0.03)
    cloth = colour(rng, saturation=0.7, low=0.2)
    curtain = builder.material(cloth, cloth * 0.7, texture="planks", scale=3)
    taken: list[tuple[int, int]] = []
    for _ in range(wanted):
        axis, side = WALLS[rng.integers(4)]
        if (axis, side) in taken:
            continue
        taken.append((axis, side))
        tall = rng.random() < 0.3
        bottom = rng.uniform(0.02, 0.15) if tall else rng.uniform(0.6, 1.1)
        top = min(height - 0.15, bottom + (rng.uniform(1.8, 2.4) if tall else rng.uniform(0.8, 1.6)))
        width = min(half[1 - axis] - 0.25, rng.uniform(0.3, 0.9) if rng.random() < 0.6 else rng.uniform(0.9, 2.4))
        along = rng.uniform(-1, 1) * (half[1 - axis] - 0.2 - width)
        _window(rng, builder, half, (axis, side), along, width, (bottom, top), (frame, curtain))
    return len(taken)


def _window(
    rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, wall: tuple[int, int], along: float, width: float,
    span: tuple[float, float], materials: tuple[int, int],
) -> None:  # fmt: skip
    """One window of half width ``width`` with its frame, bars, and perhaps curtains."""
    (bottom, top), (frame, curtain) = span, materials
    centre, tangent, inward = on_wall(half, *wall, along, (bottom + top) / 2, 0.004)
    rise = np.array([0, 0, (top - bottom) / 2])
    u = tangent * width
    if np.cross(u, rise) @ inward < 0:
        u = -u
    tint = np.full(3, rng.uniform(0.75, 0.95)) if rng.random() < 0.8 else rng.uniform(0.2, 0.7) * np.ones(3)
    builder.rect(centre, u, rise, tint, window=True)
    bars: list[furniture.Box] = []

    def bar(a: float, b: float, low: float, high: float, depth: float, m: int) -> None:
        # 5 mm off the glass, so that no bar shares a plane with it.
        p, q = centre + tangent * a + inward * 0.005, centre + tangent * b + inward * depth
        bars.append(((p[0], p[1], low), (q[0], q[1], high), m))

    bar(-width - 0.05, width + 0.05, bottom - 0.04, bottom, rng.uniform(0.05, 0.2), frame)
    bar(-width - 0.05, width + 0.05, top, top + 0.05, 0.05, frame)
    bar(-width - 0.05, -width, bottom, top, 0.05, frame)
    bar(width, width + 0.05, bottom, top, 0.05, frame)
    for x in np.linspace(-width, width, int(rng.integers(1, 4)) + 1)[1:-1]:
        bar(x - 0.02, x + 0.02, bottom, top, 0.04, frame)
    if rng.random() < 0.35:
        z = rng.uniform(bottom + 0.3, top - 0.2)
        bar(-width, width, z - 0.02, z + 0.02, 0.035, frame)
    if rng.random() < 0.35:
        cover = rng.uniform(0.05, 0.5) * width
        for end in (-1, 1):
            bar(end * (width + 0.2), end * (width - cover), max(0.02, bottom - 0.5), top + 0.1, 0.12, curtain)
    if rng.random() < 0.15:
        for z in np.arange(bottom + 0.06, top, 0.16):
            bar(-width, width, z, z + 0.05, 0.06, frame)
    builder.group(bars)


def _wall_things(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, height: float) -> None:
    """Pictures, mirrors and a door."""
    for _ in range(rng.integers(1, 5)):
        axis, side = WALLS[rng.integers(4)]
        door, mirror = rng.random() < 0.25, rng.random() < 0.12
        w, h = (rng.uniform(0.38, 0.5), 1.0) if door else rng.uniform(0.15, 0.6, 2)
        z = h if door else rng.uniform(1.2, max(1.3, min(1.8, height - h)))
        centre, tangent, inward = on_wall(half, axis, side, rng.uniform(-1, 1) * max(0.1, half[1 - axis] - w), z, 0)
        if mirror:
            m = builder.material(np.full(3, 0.88), roughness=0.0, metal=True)
        elif door:
            m = some_material(rng, builder)
        else:
            m = builder.material(
                colour(rng, saturation=1.0), colour(rng, saturation=1.0), texture="patches", scale=rng.uniform(2, 8)
            )
        a, b = centre - tangent * w, centre + tangent * w + inward * 0.03
        builder.group([((a[0], a[1], z - h), (b[0], b[1], z + h), m)])


def furnish(rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray) -> None:
    """Fill the room in proportion to its floor."""
    count = int(np.clip(rng.poisson(1.5 + 0.16 * 4 * half[0] * half[1]), 1, 9))
    kinds = ["table", "chair", "sofa", "shelf", "cabinet", "bed", "plant", "crate"]
    for kind in rng.choice(kinds, count, p=[0.24, 0.2, 0.13, 0.13, 0.1, 0.06, 0.08, 0.06]):
        m, other = some_material(rng, builder), some_material(rng, builder)
        top = None
        if kind == "table":
            boxes, top, radius = furniture.table(rng, m, other)
        elif kind == "chair":
            boxes, radius = furniture.chair(rng, m, other), 0.32
        elif kind == "sofa":
            boxes, radius = furniture.sofa(rng, m, other), 1.0
        elif kind == "shelf":
            boxes, radius = furniture.shelf(rng, builder, m), 0.6
        elif kind == "cabinet":
            boxes, radius = furniture.cabinet(rng, m, other), 0.6
        elif kind == "bed":
            boxes, radius = furniture.bed(rng, m, other), 1.1
        else:
            w = rng.uniform(0.15, 0.45)
            boxes, radius = [((-w, -w, 0), (w, w, 2 * w), m)], 1.42 * w
        backed = {"sofa": 0.48, "shelf": 0.17, "cabinet": 0.34, "bed": 1.08}
        spot = free_spot(rng, builder, half, radius, wall=backed.get(str(kind)))
        if spot is None:
            continue
        if kind == "plant":
            furniture.plant(rng, builder, spot[0], spot[1], rng.uniform(0.5, 1.3))
            continue
        builder.group(boxes, (spot[0], spot[1], 0), spot[2])
        if top is not None:
            furniture.decoration(rng, builder, np.array([spot[0], spot[1], top]), 0.22)
