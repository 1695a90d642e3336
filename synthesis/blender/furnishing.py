# SPDX-License-Identifier: GPL-3.0-or-later
"""Furniture of the made rooms, each piece a group at a place on the floor; +y of a piece is its back."""

from __future__ import annotations

import random

import bpy

from . import surfaces
from .group import Group


def sofa(scene: bpy.types.Scene, rng: random.Random, x: float, y: float, turn: float) -> None:
    """Two or three seats, with cushions."""
    piece, cloth = Group(scene, "Sofa", (x, y, 0), turn), surfaces.cloth(rng)
    width = rng.uniform(1.4, 2.2)
    piece.box((0, 0, 0.24), (width, 0.85, 0.36), cloth, bevel=0.04)
    piece.box((0, 0.36, 0.58), (width, 0.2, 0.5), cloth, bevel=0.06)
    for side in (-1, 1):
        piece.box((side * (width / 2 + 0.08), 0, 0.34), (0.18, 0.85, 0.56), cloth, bevel=0.05)
    for _ in range(rng.randint(0, 3)):
        piece.box(
            (rng.uniform(-0.4, 0.4) * width, 0.2, 0.6), (0.42, 0.13, 0.38), surfaces.cloth(rng), bevel=0.06,
            turn=rng.uniform(-0.3, 0.3),
        )  # fmt: skip


def table(scene: bpy.types.Scene, rng: random.Random, x: float, y: float, turn: float) -> None:
    """A table, low or high, with things on it."""
    tall = rng.choice([0.42, 0.74])
    piece, wood = Group(scene, "Table", (x, y, 0), turn), surfaces.wood(rng)
    width, deep = rng.uniform(0.8, 1.5), rng.uniform(0.5, 0.8)
    piece.box((0, 0, tall), (width, deep, 0.035), wood, bevel=0.006)
    for dx in (-1, 1):
        for dy in (-1, 1):
            piece.box(
                (dx * (width / 2 - 0.05), dy * (deep / 2 - 0.05), tall / 2), (0.05, 0.05, tall), wood, bevel=0.004
            )
    clutter(piece, rng, width, deep, tall + 0.018)


def clutter(piece: Group, rng: random.Random, width: float, deep: float, z: float) -> None:
    """Vases, cups, fruit and books on a surface."""
    for _ in range(rng.randint(1, 5)):
        x, y = rng.uniform(-0.4, 0.4) * width, rng.uniform(-0.38, 0.38) * deep
        kind, size = rng.choice(["ball", "vase", "book", "cup"]), rng.uniform(0.04, 0.1)
        if kind == "ball":
            piece.ball((x, y, z + size), size, surfaces.paint(rng))
        elif kind == "vase":
            piece.round(
                (x, y, z + size * 1.5), (size * 0.7, size * rng.uniform(0.4, 0.9)), size * 3, surfaces.paint(rng)
            )
        elif kind == "cup":
            piece.round((x, y, z + 0.045), (0.035, 0.042), 0.09, rng.choice([surfaces.paint, surfaces.metal])(rng))
        else:
            piece.box((x, y, z + 0.015), (0.21, 0.15, 0.03), surfaces.paint(rng), turn=rng.uniform(0, 3))


def chair(scene: bpy.types.Scene, rng: random.Random, x: float, y: float, turn: float) -> None:
    """A plain chair."""
    piece, wood = Group(scene, "Chair", (x, y, 0), turn), rng.choice([surfaces.wood, surfaces.paint])(rng)
    piece.box((0, 0, 0.45), (0.42, 0.42, 0.035), wood, bevel=0.01)
    for dx in (-0.18, 0.18):
        piece.box((dx, -0.18, 0.22), (0.035, 0.035, 0.44), wood)
        piece.box((dx, 0.19, 0.45), (0.035, 0.035, 0.9), wood)
    piece.box((0, 0.19, 0.78), (0.38, 0.02, 0.2), wood, bevel=0.006)


def shelf(scene: bpy.types.Scene, rng: random.Random, x: float, y: float, turn: float) -> None:
    """Boards full of books and gaps."""
    piece, wood = Group(scene, "Shelf", (x, y, 0), turn), surfaces.wood(rng)
    width, levels = rng.uniform(0.8, 1.4), rng.randint(3, 5)
    tall = levels * 0.4 + 0.06
    for side in (-1, 1):
        piece.box((side * width / 2, 0, tall / 2), (0.03, 0.3, tall), wood)
    colours = [surfaces.paint(rng) for _ in range(5)]
    spines: list[list] = [[] for _ in colours]
    for level in range(levels + 1):
        z = 0.05 + level * 0.4
        piece.box((0, 0, z), (width, 0.3, 0.025), wood)
        place = -width / 2 + 0.03
        while level < levels and place < width / 2 - 0.08:
            thick, high = rng.uniform(0.02, 0.06), rng.uniform(0.18, 0.32)
            spines[rng.randrange(5)].append(((place + thick / 2, 0, z + 0.013 + high / 2), (thick, 0.2, high)))
            place += thick + (rng.uniform(0.08, 0.3) if rng.random() < 0.15 else 0.003)
    for paint, books in zip(colours, spines, strict=True):
        piece.boxes(books, paint)


def bed(scene: bpy.types.Scene, rng: random.Random, x: float, y: float, turn: float) -> None:
    """A double bed."""
    piece, wood, linen = Group(scene, "Bed", (x, y, 0), turn), surfaces.wood(rng), surfaces.cloth(rng)
    piece.box((0, 0, 0.18), (1.6, 2.0, 0.26), wood, bevel=0.01)
    piece.box((0, -0.05, 0.42), (1.56, 1.9, 0.24), linen, bevel=0.07)
    piece.box((0, 1.0, 0.6), (1.64, 0.06, 0.9), wood, bevel=0.01)
    for side in (-0.4, 0.4):
        piece.box((side, 0.68, 0.58), (0.6, 0.38, 0.14), surfaces.cloth(rng), bevel=0.06)


def plant(scene: bpy.types.Scene, rng: random.Random, x: float, y: float, turn: float) -> None:
    """A pot with leaves."""
    piece, leaf = Group(scene, "Plant", (x, y, 0), turn), surfaces.leaves(rng)
    piece.round((0, 0, 0.16), (0.13, 0.18), 0.32, surfaces.paint(rng))
    for _ in range(rng.randint(9, 18)):
        size = rng.uniform(0.1, 0.2)
        place = (rng.uniform(-0.22, 0.22), rng.uniform(-0.22, 0.22), rng.uniform(0.42, 1.1))
        piece.ball(place, size, leaf, (rng.uniform(0.3, 1), rng.uniform(0.3, 1), rng.uniform(0.15, 0.6)))


def cabinet(scene: bpy.types.Scene, rng: random.Random, x: float, y: float, turn: float) -> None:
    """A chest or a kitchen unit with a worktop."""
    piece = Group(scene, "Cabinet", (x, y, 0), turn)
    front, top = rng.choice([surfaces.paint, surfaces.wood])(rng), rng.choice([surfaces.wood, surfaces.concrete])(rng)
    width, tall, metal = rng.choice([1.2, 1.8, 2.4]), rng.choice([0.6, 0.9]), surfaces.metal(rng)
    count = round(width / 0.6)
    for i in range(count):
        px = (i + 0.5) * width / count - width / 2
        piece.box((px, 0, tall / 2), (width / count - 0.008, 0.5, tall - 0.06), front, bevel=0.004)
        piece.box((px, -0.27, tall * 0.8), (0.14, 0.02, 0.012), metal)
    piece.box((0, 0, tall), (width + 0.02, 0.54, 0.035), top)
    clutter(piece, rng, width, 0.5, tall + 0.018)


#: What a room of a purpose is furnished with, along its walls and in its middle.
ROOMS = {
    "living": ((sofa, shelf, plant, cabinet, sofa), (table, table)),
    "bedroom": ((bed, shelf, cabinet, plant, chair), (table,)),
    "study": ((shelf, shelf, cabinet, plant), (table, chair)),
    "kitchen": ((cabinet, cabinet, shelf, plant), (table, chair, chair)),
    "hall": ((plant, sofa), (chair,)),
}
