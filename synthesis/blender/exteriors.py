# SPDX-License-Identifier: GPL-3.0-or-later
"""Streets, courtyards and gardens for Cycles, by day, under clouds, at dusk and at night."""

from __future__ import annotations

import math
import random

import bpy

from . import furnishing, lights, materials, surfaces
from .group import Group
from .lights import Lighting

#: Sky, tint of the lamps, whether they are on.
MOODS = (
    ("clear", "warm", False), ("golden", "warm", False), ("overcast", "cold", False), ("night", "warm", True),
    ("clear", "warm", False), ("dusk", "mixed", True), ("golden", "neutral", False), ("night", "mixed", True),
)  # fmt: skip
#: The mood of a clear day.
BY_DAY = 0


def build_exterior(scene: bpy.types.Scene, rng: random.Random, mood: int) -> tuple[Lighting, dict]:
    """Fill a scene; ``mood`` picks from :data:`MOODS`. The place lies along +y, open towards the camera at −y."""
    sky, tint, lamps_on = MOODS[mood % len(MOODS)]
    lighting = lights.add_sky(scene, rng, sky, tint, rng.uniform(0, 2 * math.pi))
    kind = rng.choice(["street", "courtyard", "garden"])
    reach = {"street": (9.0, 30.0), "courtyard": (7.0, 9.0), "garden": (9.0, 12.0)}[kind]
    if kind == "street":
        _street(scene, rng, lighting, lamps_on)
    elif kind == "courtyard":
        _courtyard(scene, rng, lighting, lamps_on)
    else:
        _garden(scene, rng, lighting, lamps_on)
    low, high = (-reach[0] / 2, -reach[1] / 3), (reach[0] / 2, reach[1] / 2)
    return lighting, {"low": low, "high": high, "height": 3.0, "room": kind}


def house(
    scene: bpy.types.Scene, rng: random.Random, lighting: Lighting, place: tuple[float, float], turn: float,
    size: tuple[float, float, float], lit: bool,
) -> None:  # fmt: skip
    """A house whose front (local −y) has rows of windows, some of them lit where ``lit``."""
    width, deep, tall = size
    group = Group(scene, "House", (*place, 0), turn)
    group.box((0, deep / 2, tall / 2), size, rng.choice([surfaces.wall, surfaces.brick, surfaces.concrete])(rng))
    group.box((0, deep / 2, tall + 0.15), (width + 0.5, deep + 0.5, 0.3), surfaces.concrete(rng))
    frames: list = []
    panes: dict[bool, list] = {True: [], False: []}
    count, floors = max(1, int(width / 2.4)), max(1, int(tall / 3.0))
    for level in range(floors):
        for i in range(count):
            x, z = (i + 0.5) * width / count - width / 2, level * 3.0 + 1.7
            frames.append(((x, -0.02, z), (1.3, 0.08, 1.6)))
            panes[lit and rng.random() < 0.35].append(((x, -0.04, z), (1.1, 0.08, 1.4)))
    group.boxes(frames, materials.principled("Frame", rng.choice([(0.7,) * 3, (0.1,) * 3]), roughness=0.5))
    glass = materials.principled("Pane", (0.02, 0.025, 0.03), roughness=0.05)
    if panes[False]:
        group.boxes(panes[False], glass)
    if panes[True]:
        group.boxes(panes[True], lights.glow(lighting, lights.lamp_tint(rng, "mixed"), rng.uniform(0.02, 0.12)))
    group.box((rng.uniform(-0.3, 0.3) * width, -0.05, 1.1), (1.0, 0.1, 2.2), surfaces.paint(rng))


def tree(scene: bpy.types.Scene, rng: random.Random, x: float, y: float) -> None:
    """A trunk and a crown of blobs."""
    group, leaf = Group(scene, "Tree", (x, y, 0)), surfaces.leaves(rng)
    tall = rng.uniform(2.0, 3.2)
    group.round((0, 0, tall / 2), (0.18, 0.1), tall, materials.principled("Bark", (0.09, 0.06, 0.04), roughness=0.95))
    for _ in range(rng.randint(7, 14)):
        spread = rng.uniform(0.5, 1.0)
        place = (rng.uniform(-1.1, 1.1), rng.uniform(-1.1, 1.1), tall + rng.uniform(-0.3, 1.9))
        group.ball(place, spread, leaf, (1, 1, rng.uniform(0.6, 0.9)))


def street_lamp(scene: bpy.types.Scene, rng: random.Random, lighting: Lighting, x: float, y: float, on: bool) -> None:
    """A post with a ball or a head, shining at night."""
    group = Group(scene, "Street lamp", (x, y, 0))
    iron = materials.principled("Iron", (0.05, 0.06, 0.05), roughness=0.4, metallic=0.6)
    tall = rng.uniform(3.0, 4.5)
    group.round((0, 0, tall / 2), (0.06, 0.04), tall, iron)
    colour = lights.lamp_tint(rng, lighting.tint)
    glass = lights.glow(lighting, colour, rng.uniform(5, 20)) if on else materials.principled("Globe", (0.7,) * 3)
    group.ball((0, 0, tall + 0.18), 0.2, glass)


def car(scene: bpy.types.Scene, rng: random.Random, x: float, y: float, turn: float) -> None:
    """A parked car, roughly."""
    group, body = Group(scene, "Car", (x, y, 0), turn), surfaces.paint(rng)
    glass = materials.principled("Glass", (0.02, 0.02, 0.025), roughness=0.04)
    rubber = materials.principled("Rubber", (0.02,) * 3, roughness=0.8)
    group.box((0, 0, 0.58), (1.75, 4.2, 0.62), body, bevel=0.16)
    group.box((0, -0.2, 1.08), (1.5, 2.2, 0.56), glass, bevel=0.2)
    group.box((0, -0.2, 1.34), (1.3, 1.7, 0.08), body, bevel=0.03)
    for dx in (-0.78, 0.78):
        for dy in (-1.3, 1.3):
            group.ball((dx, dy, 0.32), 0.32, rubber, (0.35, 1, 1))


def _street(scene: bpy.types.Scene, rng: random.Random, lighting: Lighting, on: bool) -> None:
    ground, wide = Group(scene, "Street"), rng.uniform(4.5, 7)
    # Below the horizon is ground everywhere: a panorama sees past the houses.
    ground.box((0, 0, -0.55), (500, 500, 1.0), surfaces.grass(rng))
    ground.box((0, 15, -0.5), (wide + 0.1, 120, 1.0), surfaces.asphalt(rng))
    paving = surfaces.concrete(rng)
    for side in (-1, 1):
        ground.box((side * (wide / 2 + 1.5), 15, -0.43), (3.0, 120, 1.1), paving)
        y = -16.0
        while y < 45:
            front, tall = rng.uniform(7, 15), rng.choice([3.6, 6.5, 9.5, 13])
            if rng.random() < 0.85:
                at = (side * (wide / 2 + 3), y + front / 2)
                house(scene, rng, lighting, at, -side * math.pi / 2, (front, 8, tall), on)
            y += front + rng.choice([0.0, 0.0, 3.0])
        for y in range(-8, 34, rng.choice([9, 12])):
            street_lamp(scene, rng, lighting, side * (wide / 2 + 0.4), y + rng.uniform(-2, 2), on)
            if rng.random() < 0.4:
                tree(scene, rng, side * (wide / 2 + 1.4), y + 4.5)
            if rng.random() < 0.5:
                car(scene, rng, side * (wide / 2 - 1), y + rng.uniform(1, 5), rng.choice([0, math.pi]))


def _courtyard(scene: bpy.types.Scene, rng: random.Random, lighting: Lighting, on: bool) -> None:
    wide, deep = rng.uniform(8, 12), rng.uniform(10, 15)
    Group(scene, "Paving").box((0, 0, -0.5), (400, 400, 1.0), rng.choice([surfaces.floor, surfaces.concrete])(rng))
    tall = rng.choice([3.6, 6.5, 9.5])
    house(scene, rng, lighting, (0, deep / 2), 0, (wide + 1, 5, tall), on)
    for side in (-1, 1):
        house(scene, rng, lighting, (side * wide / 2, 0), -side * math.pi / 2, (deep, 5, rng.choice([3.6, tall])), on)
    stone = surfaces.concrete(rng)
    if rng.random() < 0.6:
        # An arcade along one side gives deep shade next to open ground.
        group = Group(scene, "Arcade", (wide / 2 - 1.8, 0, 0))
        group.box((0.9, 0, 3.1), (2.2, deep, 0.35), stone)
        for y in range(-int(deep / 2) + 1, int(deep / 2), 2):
            group.round((0, y, 1.5), (0.2, 0.17), 3.0, stone)
    tree(scene, rng, rng.uniform(-2, 0), rng.uniform(1, 3))
    for _ in range(3):
        piece = rng.choice([furnishing.plant, furnishing.table, furnishing.chair])
        piece(scene, rng, rng.uniform(-0.35, 0.2) * wide, rng.uniform(-0.2, 0.35) * deep, rng.uniform(0, 6))
    street_lamp(scene, rng, lighting, -wide / 2 + 0.7, rng.uniform(0, 3), on)


def _garden(scene: bpy.types.Scene, rng: random.Random, lighting: Lighting, on: bool) -> None:
    Group(scene, "Lawn").box((0, 0, -0.5), (400, 400, 1.0), surfaces.grass(rng))
    Group(scene, "Terrace").box((0, 3, -0.47), (7, 6, 1.0), surfaces.floor(rng))
    house(scene, rng, lighting, (rng.uniform(-2, 2), 6.5), 0, (rng.uniform(8, 14), 8, rng.choice([3.6, 6.5])), on)
    hedge = surfaces.leaves(rng)
    for side in (-1, 1):
        Group(scene, "Hedge", (side * rng.uniform(6, 9), 0, 0)).box((0, 0, 0.8), (0.8, 24, 1.6), hedge, bevel=0.3)
    for _ in range(rng.randint(2, 6)):
        tree(scene, rng, rng.choice([-1, 1]) * rng.uniform(2.5, 8), rng.uniform(-3, 6))
    for _ in range(rng.randint(2, 4)):
        piece = rng.choice([furnishing.table, furnishing.chair, furnishing.plant])
        piece(scene, rng, rng.uniform(-2.5, 2.5), rng.uniform(1, 5), rng.uniform(0, 6))
    for _ in range(2):
        street_lamp(scene, rng, lighting, rng.uniform(-4, 4), rng.uniform(0, 6), on)
