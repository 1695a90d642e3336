# SPDX-License-Identifier: GPL-3.0-or-later
"""Furniture silhouettes out of boxes and spheres, and the materials they wear. Metres, floor at z = 0."""

from __future__ import annotations

import colorsys
import math

import numpy as np

from .scene import SceneBuilder

Box = tuple[tuple[float, float, float], tuple[float, float, float], int]


def colour(rng: np.random.Generator, *, saturation: float = 0.5, low: float = 0.05, high: float = 0.8) -> np.ndarray:
    """A random linear albedo (3,); most draws are far less saturated than ``saturation``, as rooms are."""
    hue, value = rng.random(), low + (high - low) * rng.random()
    hue = 0.09 + 0.05 * rng.normal() if rng.random() < 0.55 else hue
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation * rng.random() ** 1.7, value))


def some_material(rng: np.random.Generator, builder: SceneBuilder) -> int:
    """Wood, paint, plastic, cloth, or now and then metal."""
    kind = rng.choice(["wood", "paint", "plastic", "cloth", "metal"], p=[0.34, 0.24, 0.15, 0.19, 0.08])
    if kind == "wood":
        brown = (
            np.array([0.42, 0.24, 0.12])
            * rng.uniform(0.25, 1.5)
            * np.array([1, rng.uniform(0.85, 1.2), rng.uniform(0.7, 1.5)])
        )
        brown = np.clip(brown, 0.02, 0.75)
        dark = brown * rng.uniform(0.5, 0.9)
        return builder.material(brown, dark, texture="planks", scale=rng.uniform(1, 3), roughness=0.35, specular=0.04)
    if kind == "plastic":
        return builder.material(colour(rng, saturation=0.95), roughness=rng.uniform(0.08, 0.4), specular=0.04)
    if kind == "cloth":
        c = colour(rng, saturation=0.8, high=0.6)
        return builder.material(c, c * rng.uniform(0.4, 0.9), texture="noise", scale=rng.uniform(4, 25))
    if kind == "metal":
        c = np.array([0.75, 0.72, 0.68]) if rng.random() < 0.7 else np.array([0.85, 0.6, 0.3])
        return builder.material(c, roughness=rng.uniform(0.1, 0.5), metal=True)
    return builder.material(colour(rng, saturation=0.7, high=0.85), roughness=0.5, specular=0.03)


def table(rng: np.random.Generator, m: int, leg: int) -> tuple[list[Box], float, float]:
    """Boxes, the height of its top and its bounding radius."""
    w, d, h = rng.uniform(0.35, 1.0), rng.uniform(0.25, 0.55), rng.uniform(0.35, 0.8)
    boxes: list[Box] = [((-w, -d, h - 0.04), (w, d, h), m)]
    for x in (-1, 1):
        for y in (-1, 1):
            cx, cy = x * (w - 0.06), y * (d - 0.06)
            boxes.append(((cx - 0.03, cy - 0.03, 0), (cx + 0.03, cy + 0.03, h - 0.04), leg))
    return boxes, h, math.hypot(w, d)


def chair(rng: np.random.Generator, m: int, leg: int) -> list[Box]:
    """Seat, back and four legs."""
    h, top = rng.uniform(0.4, 0.5), rng.uniform(0.8, 1.1)
    boxes: list[Box] = [((-0.22, -0.22, h - 0.05), (0.22, 0.22, h), m), ((-0.22, 0.18, h), (0.22, 0.22, top), m)]
    for x in (-1, 1):
        for y in (-1, 1):
            boxes.append(((x * 0.2 - 0.02, y * 0.2 - 0.02, 0), (x * 0.2 + 0.02, y * 0.2 + 0.02, h - 0.05), leg))
    return boxes


def sofa(rng: np.random.Generator, m: int, cushion: int) -> list[Box]:
    """Seat, back, two arms and a cushion; it faces −y."""
    w = rng.uniform(0.6, 1.15)
    return [
        ((-w, -0.45, 0.08), (w, 0.45, 0.42), m),
        ((-w, 0.25, 0.42), (w, 0.45, 0.85), m),
        ((-w - 0.18, -0.45, 0.0), (-w, 0.45, 0.62), m),
        ((w, -0.45, 0.0), (w + 0.18, 0.45, 0.62), m),
        ((-w * 0.8, 0.1, 0.42), (-w * 0.8 + 0.42, 0.24, 0.78), cushion),
    ]


def shelf(rng: np.random.Generator, builder: SceneBuilder, m: int) -> list[Box]:
    """Sides, back and boards with rows of books; it faces −y."""
    w, h, boards = rng.uniform(0.35, 0.8), rng.uniform(0.9, 2.1), int(rng.integers(3, 6))
    books = [builder.material(colour(rng, saturation=0.9), colour(rng), texture="noise", scale=18) for _ in range(2)]
    boxes: list[Box] = [
        ((-w, 0.13, 0), (w, 0.15, h), m),
        ((-w - 0.03, -0.15, 0), (-w, 0.15, h), m),
        ((w, -0.15, 0), (w + 0.03, 0.15, h), m),
    ]
    for i in range(boards):
        z = h * i / (boards - 1)
        boxes.append(((-w, -0.15, z - 0.03), (w, 0.13, z), m))
        if i < boards - 1 and rng.random() < 0.8:
            a, b = sorted(rng.uniform(-w, w, 2))
            boxes.append(((a, -0.1, z), (max(b, a + 0.1), 0.12, z + h / boards * rng.uniform(0.5, 0.8)), books[i % 2]))
    return boxes


def cabinet(rng: np.random.Generator, m: int, handle: int) -> list[Box]:
    """A block with door handles; it faces −y."""
    w, h, d = rng.uniform(0.3, 0.9), rng.uniform(0.5, 2.1), rng.uniform(0.2, 0.32)
    return [
        ((-w, -d, 0.06), (w, d, h), m),
        ((-w + 0.03, -d + 0.04, 0), (w - 0.03, d, 0.06), handle),
        ((-0.05, -d - 0.03, h * 0.45), (-0.03, -d, h * 0.6), handle),
        ((0.03, -d - 0.03, h * 0.45), (0.05, -d, h * 0.6), handle),
    ]


def bed(rng: np.random.Generator, m: int, linen: int) -> list[Box]:
    """Frame, mattress, pillow and head board; its head is at +y."""
    w = rng.uniform(0.45, 0.9)
    return [
        ((-w, -1.0, 0.1), (w, 1.0, 0.3), m),
        ((-w + 0.02, -0.98, 0.3), (w - 0.02, 0.98, 0.52), linen),
        ((-w * 0.7, 0.55, 0.52), (w * 0.7, 0.92, 0.64), linen),
        ((-w, 1.0, 0), (w, 1.06, rng.uniform(0.7, 1.1)), m),
    ]


def decoration(rng: np.random.Generator, builder: SceneBuilder, at: np.ndarray, reach: float) -> None:
    """A few small things around ``at`` on a surface: balls, books, a vase."""
    for _ in range(rng.integers(1, 4)):
        x, y = at[:2] + rng.uniform(-reach, reach, 2)
        m = some_material(rng, builder)
        if rng.random() < 0.5:
            r = rng.uniform(0.04, 0.13)
            builder.sphere((x, y, at[2] + r), r, m)
        else:
            w, d, h = rng.uniform(0.04, 0.13), rng.uniform(0.04, 0.1), rng.uniform(0.03, 0.32)
            builder.group([((-w, -d, 0), (w, d, h), m)], (x, y, at[2]), rng.uniform(0, math.pi))


def plant(rng: np.random.Generator, builder: SceneBuilder, x: float, y: float, size: float) -> None:
    """A pot, a stem and overlapping balls of leaves."""
    pot, stem = some_material(rng, builder), builder.material((0.15, 0.1, 0.06))
    green = np.array([rng.uniform(0.03, 0.2), rng.uniform(0.12, 0.35), rng.uniform(0.02, 0.1)])
    leaf = builder.material(green, green * 0.35, texture="patches", scale=22 / size, roughness=0.5, specular=0.02)
    w = 0.16 * size
    builder.group(
        [((-w, -w, 0), (w, w, 0.32 * size), pot), ((-0.02, -0.02, 0.3 * size), (0.02, 0.02, size), stem)], (x, y, 0)
    )
    for _ in range(rng.integers(3, 6)):
        offset = rng.normal(0, 0.17 * size, 3)
        builder.sphere((x + offset[0], y + offset[1], size + offset[2]), size * rng.uniform(0.12, 0.28), leaf)
