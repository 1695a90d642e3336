# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms for Cycles: windows, curtains, lamps and furniture, all drawn from a seed."""

from __future__ import annotations

import math
import random

import bpy
from mathutils import Vector

from . import exteriors, furnishing, lights, materials, surfaces
from .group import Group
from .lights import Lighting

#: How a room is lit: sky outside, tint of the lamps, and whether they are on.
MOODS = (
    ("clear", "warm", False), ("clear", "neutral", False), ("golden", "warm", False), ("overcast", "cold", False),
    ("overcast", "warm", True), ("dusk", "mixed", True), ("dusk", "warm", True), ("night", "warm", True),
    ("night", "cold", True), ("night", "mixed", True), ("overcast", "mixed", True), ("clear", "cold", False),
)  # fmt: skip

Opening = tuple[float, float, float, float]


def build_room(scene: bpy.types.Scene, rng: random.Random, mood: int) -> tuple[Lighting, dict]:
    """Fill a scene; ``mood`` picks from :data:`MOODS`. Returns its light, and its size and name."""
    sky, tint, lamps_on = MOODS[mood % len(MOODS)]
    purpose = rng.choice(list(furnishing.ROOMS))
    width, length = rng.uniform(3.4, 6.5), rng.uniform(4.2, 8.5)
    height = rng.uniform(2.4, 3.4) if purpose != "hall" else rng.uniform(3, 5)
    # Sunlight comes through the windows of the left wall, at some angle to it.
    lighting = lights.add_sky(scene, rng, sky, tint, math.pi + rng.uniform(-0.9, 0.9))
    _shell(scene, rng, width, length, height, lighting)
    _outlook(scene, rng, lighting, width, length)
    _furnish(scene, rng, purpose, width, length, height)
    if lamps_on:
        for _ in range(rng.randint(1, 2)):
            spot = (rng.uniform(-0.2, 0.2) * width, rng.uniform(-0.25, 0.3) * length)
            if rng.random() < 0.65:
                lights.ceiling_lamp(scene, rng, lighting, spot, height)
        for x in (-1, 1):
            if x > 0 or rng.random() < 0.5:
                place = (x * (width / 2 - 0.4), rng.uniform(-0.1, 0.42) * length, 0.0)
                lights.floor_lamp(scene, rng, lighting, place, rng.uniform(1.2, 1.6))
        if rng.random() < 0.3:
            _screen(scene, rng, lighting, width, length)
    inside = {"low": (-width / 2, -length / 2), "high": (width / 2, length / 2), "height": height, "room": purpose}
    return lighting, inside


def _shell(
    scene: bpy.types.Scene, rng: random.Random, width: float, length: float, height: float, lighting: Lighting
) -> None:
    paint, accent = surfaces.wall(rng), surfaces.wall(rng)
    white = materials.principled("Ceiling", surfaces.hsv(0.1, rng.uniform(0, 0.1), 0.8), roughness=0.9)
    group = Group(scene, "Room")
    # Thick and wide: no light may come in where walls meet.
    group.box((0, 0, -0.1), (width + 0.6, length + 0.6, 0.2), surfaces.floor(rng))
    group.box((0, 0, height + 0.1), (width + 0.6, length + 0.6, 0.2), white)
    daylight = lighting.sky not in ("night",)
    openings = _windows(rng, length, height, always=daylight)
    second = _windows(rng, width, height) if rng.random() < 0.4 else []
    _wall(scene, (-width / 2, -length / 2), (-width / 2, length / 2), height, openings, paint, rng)
    _wall(scene, (-width / 2, length / 2), (width / 2, length / 2), height, second, accent, rng)
    _wall(scene, (width / 2, length / 2), (width / 2, -length / 2), height, [], paint, rng)
    _wall(scene, (width / 2, -length / 2), (-width / 2, -length / 2), height, [], paint, rng)
    trim = materials.principled("Skirting", (0.7, 0.69, 0.66), roughness=0.5)
    for side in (-1, 1):
        group.box((0, side * (length / 2 - 0.01), 0.05), (width, 0.02, 0.1), trim)
        group.box((side * (width / 2 - 0.01), 0, 0.05), (0.02, length, 0.1), trim)


def _outlook(scene: bpy.types.Scene, rng: random.Random, lighting: Lighting, width: float, length: float) -> None:
    """What the windows show: ground below, which throws light up, and perhaps a house opposite or a tree."""
    below = rng.choice([-0.3, -0.3, -3.2, -9.0])
    ground = Group(scene, "Outside", (0, 0, below))
    ground.box((0, 0, -0.5), (400, 400, 1.0), rng.choice([surfaces.grass, surfaces.asphalt, surfaces.concrete])(rng))
    if lighting.sky == "golden":
        # A low sun would not get in.
        return
    before = set(scene.objects)
    if rng.random() < 0.6:
        place, tall = (-width / 2 - rng.uniform(9, 18), rng.uniform(-0.3, 0.3) * length), rng.choice([3.6, 6.5, 9.5])
        exteriors.house(
            scene, rng, lighting, place, math.pi / 2, (rng.uniform(8, 16), 8, tall), lighting.sky != "clear"
        )
    for _ in range(rng.randint(0, 2)):
        exteriors.tree(scene, rng, -width / 2 - rng.uniform(4, 8), rng.uniform(-0.8, 0.8) * length)
    for thing in set(scene.objects) - before:
        thing.location.z += below


def _windows(rng: random.Random, length: float, height: float, always: bool = True) -> list[Opening]:
    """Openings (start, end, low, high) along a wall."""
    count = rng.randint(1 if always else 0, max(1, int(length / 2.3)))
    low, high = rng.choice([0.05, 0.8, 0.9]), min(height - 0.2, rng.uniform(2.0, 2.4))
    cell = length / max(count, 1)
    wide = min(cell - 0.4, rng.uniform(0.9, 2.0))
    return [((i + 0.5) * cell - wide / 2, (i + 0.5) * cell + wide / 2, low, high) for i in range(count)]


def _wall(
    scene: bpy.types.Scene, start: tuple[float, float], end: tuple[float, float], height: float,
    openings: list[Opening], material: bpy.types.Material, rng: random.Random,
) -> None:  # fmt: skip
    """A wall outside the line from ``start`` to ``end`` (the room is at its right), with window frames and curtains."""
    way = (end[0] - start[0], end[1] - start[1])
    length, turn = math.hypot(*way), math.atan2(way[1], way[0])
    group, thick = Group(scene, "Wall", (*start, 0), turn), 0.25
    frame = materials.principled("Frame", rng.choice([(0.75,) * 3, (0.08,) * 3, (0.3, 0.18, 0.1)]), roughness=0.4)
    edges = [-0.2, *(x for a, b, _, _ in openings for x in (a, b)), length + 0.2]
    for left, right in zip(edges[::2], edges[1::2], strict=True):
        group.box(((left + right) / 2, thick / 2, height / 2), (right - left, thick, height), material)
    curtain = rng.choice(["none", "open", "drawn"]) if openings else "none"
    cloth = surfaces.translucent("Curtain", surfaces.hsv(rng.random(), rng.uniform(0, 0.5), 0.8), rng.uniform(0.3, 0.7))
    for a, b, low, high in openings:
        mid, wide = (a + b) / 2, b - a
        group.box((mid, thick / 2, low / 2), (wide, thick, low), material)
        group.box((mid, thick / 2, (high + height) / 2), (wide, thick, height - high), material)
        group.box((mid, 0.12, (low + high) / 2), (0.04, 0.05, high - low), frame)
        group.box((mid, 0.12, low + (high - low) * 0.66), (wide, 0.05, 0.035), frame)
        group.box((mid, -0.03, low), (wide + 0.1, 0.3, 0.03), frame)
        center, inward = group.placed @ Vector((mid, 0.2, (low + high) / 2)), group.placed.to_3x3() @ Vector((0, -1, 0))
        lights.portal(scene, tuple(center), tuple(inward), (wide, high - low))
        if curtain != "none":
            span = wide * 0.28 if curtain == "open" else wide * 0.5
            for x in (a - 0.1, b + 0.1 - span):
                group.sheet(
                    (x, -0.12, low - 0.2 if low > 0.3 else 0.03), (span, 0, 0), high - low + 0.3, cloth, span * 9, 0.03
                )


def _furnish(
    scene: bpy.types.Scene, rng: random.Random, purpose: str, width: float, length: float, height: float
) -> None:
    """Pieces along the far and the side walls, one or two in the middle, a rug, pictures."""
    along, middle = furnishing.ROOMS[purpose]
    slots = [
        (rng.uniform(-0.15, 0.15) * width, length / 2 - 0.55, 0.0),
        (width / 2 - 0.5, rng.uniform(0.05, 0.25) * length, -math.pi / 2),
        (width / 2 - 0.5, rng.uniform(-0.25, -0.1) * length, -math.pi / 2),
        (-width / 2 + 0.5, rng.uniform(0.2, 0.3) * length, math.pi / 2),
    ]
    for piece, (x, y, turn) in zip(rng.sample(along, min(len(along), rng.randint(2, 4))), slots, strict=False):
        if piece is furnishing.bed:
            x, y = (x, y - 0.5) if turn == 0 else (x - math.copysign(0.6, x), y)
        piece(scene, rng, x, y, turn)
    for piece in middle:
        x, y = rng.uniform(-0.2, 0.2) * width, rng.uniform(-0.1, 0.22) * length
        piece(scene, rng, x, y, rng.choice([0, math.pi / 2, rng.uniform(0, 6.28)]))
    if rng.random() < 0.6:
        Group(scene, "Rug", (0, 0.05 * length, 0.006), rng.uniform(-0.1, 0.1)).box(
            (0, 0, 0), (min(2.6, width * 0.6), 1.8, 0.012), surfaces.cloth(rng)
        )
    for _ in range(rng.randint(0, 2)):
        place, size = rng.uniform(-0.35, 0.35) * length, rng.uniform(0.4, 1.0)
        group = Group(scene, "Picture", (width / 2 - 0.02, place, rng.uniform(1.5, 1.8)), math.pi / 2)
        group.box((0, 0, 0), (size + 0.06, 0.02, size * 0.7 + 0.06), surfaces.wood(rng))
        group.box((0, 0.012, 0), (size, 0.012, size * 0.7), surfaces.picture(rng))


def _screen(scene: bpy.types.Scene, rng: random.Random, lighting: Lighting, width: float, length: float) -> None:
    """A television: coloured light from a wall."""
    group = Group(scene, "Screen", (rng.uniform(-0.2, 0.2) * width, length / 2 - 0.03, 1.2))
    group.box((0, 0, 0), (1.24, 0.04, 0.72), materials.principled("Black", (0.02,) * 3, roughness=0.3))
    colour = surfaces.hsv(rng.random(), rng.uniform(0.2, 0.8), 1.0)
    group.box((0, -0.025, 0), (1.2, 0.01, 0.68), lights.glow(lighting, colour, rng.uniform(0.2, 0.5)))
