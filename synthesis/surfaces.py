# SPDX-License-Identifier: GPL-3.0-or-later
"""What things are made of: wood, paint, plastic, cloth, metal, stone, glass, leaves. Colours are linear albedos."""

from __future__ import annotations

import colorsys

import numpy as np

from .scene import SceneBuilder


def colour(rng: np.random.Generator, *, saturation: float = 0.5, low: float = 0.05, high: float = 0.8) -> np.ndarray:
    """A random linear albedo (3,); most draws are far less saturated than ``saturation``, as rooms are."""
    hue, value = rng.random(), low + (high - low) * rng.random()
    hue = 0.09 + 0.05 * rng.normal() if rng.random() < 0.55 else hue
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation * rng.random() ** 1.7, value))


def wood(rng: np.random.Generator, builder: SceneBuilder, texture: str = "grain", scale: float = 1.0) -> int:
    """Pale birch to dark walnut, sometimes lacquered."""
    brown = np.array([0.42, 0.24, 0.12]) * rng.uniform(0.2, 1.5)
    brown = np.clip(brown * np.array([1, rng.uniform(0.85, 1.25), rng.uniform(0.7, 1.7)]), 0.02, 0.75)
    dark, roughness = brown * rng.uniform(0.35, 0.75), rng.uniform(0.1, 0.5)
    return builder.material(brown, dark, texture=texture, scale=scale, roughness=roughness, specular=0.04)


def cloth(rng: np.random.Generator, builder: SceneBuilder, *, sheet: float = 0.0) -> int:
    """Woven, striped or patterned cloth; ``sheet``: share of the light that it lets through."""
    c = colour(rng, saturation=0.8, low=0.35 if sheet else 0.05, high=0.85 if sheet else 0.6)
    kind = str(rng.choice(["weave", "noise", "stripes", "carpet"], p=[0.5, 0.25, 0.15, 0.1]))
    scale = {"weave": rng.uniform(40, 160), "noise": rng.uniform(4, 25)}.get(kind, rng.uniform(4, 12))
    other = c * rng.uniform(0.5, 0.9) if kind in ("weave", "noise") else colour(rng, saturation=0.8, low=0.2)
    return builder.material(c, other, texture=kind, scale=scale, sheet=sheet)


def metal(rng: np.random.Generator, builder: SceneBuilder) -> int:
    """Steel, brass, or black iron, polished or brushed."""
    tones = ((0.75, 0.72, 0.68), (0.85, 0.6, 0.3), (0.9, 0.55, 0.4), (0.12, 0.12, 0.13))
    return builder.material(np.array(tones[rng.integers(4)]), roughness=rng.uniform(0.08, 0.5), metal=True)


def glass(rng: np.random.Generator, builder: SceneBuilder) -> int:
    """A clear or tinted thin pane."""
    tint = np.full(3, 0.95) if rng.random() < 0.6 else 0.35 + 0.6 * colour(rng, saturation=1.0, low=0.4, high=1.0)
    return builder.material(tint, roughness=0.0, specular=0.04, clear=True)


def leaf(rng: np.random.Generator, builder: SceneBuilder, scale: float = 12.0) -> int:
    """Foliage, which lets a little light through."""
    green = np.array([rng.uniform(0.03, 0.22), rng.uniform(0.1, 0.33), rng.uniform(0.01, 0.08)])
    if rng.random() < 0.12:
        green = np.array([rng.uniform(0.2, 0.5), rng.uniform(0.08, 0.3), 0.03])
    return builder.material(green, green * 0.3, texture="noise", scale=scale, roughness=0.45, specular=0.03, sheet=0.25)


def some_material(rng: np.random.Generator, builder: SceneBuilder) -> int:
    """Wood, paint, plastic, cloth, stone or metal."""
    kind = rng.choice(["wood", "paint", "plastic", "cloth", "metal", "stone"], p=[0.36, 0.22, 0.13, 0.16, 0.08, 0.05])
    if kind == "wood":
        return wood(rng, builder)
    if kind == "cloth":
        return cloth(rng, builder)
    if kind == "metal":
        return metal(rng, builder)
    if kind == "plastic":
        return builder.material(colour(rng, saturation=0.95), roughness=rng.uniform(0.08, 0.4), specular=0.04)
    if kind == "stone":
        c = colour(rng, saturation=0.3, low=0.1)
        return builder.material(c, c * rng.uniform(0.2, 1.6) ** 0.5, texture="marble", scale=rng.uniform(1, 4),
                                roughness=rng.uniform(0.05, 0.3), specular=0.04)  # fmt: skip
    return builder.material(colour(rng, saturation=0.7, high=0.85), roughness=0.5, specular=0.03)


def floor(rng: np.random.Generator, builder: SceneBuilder) -> int:
    """Boards, parquet, tiles, carpet, marble or lino."""
    kinds = ["planks", "parquet", "tiles", "carpet", "marble", "noise", "checker"]
    kind = str(rng.choice(kinds, p=[0.36, 0.14, 0.17, 0.1, 0.07, 0.12, 0.04]))
    if kind in ("planks", "parquet"):
        return wood(rng, builder, kind, rng.uniform(0.8, 2))
    c = colour(rng, saturation=0.5, low=0.06, high=0.65)
    glossy = kind in ("tiles", "checker", "marble") and rng.random() < 0.75
    return builder.material(
        c, c * rng.uniform(0.3, 0.8), texture=kind, scale=rng.uniform(0.8, 3), roughness=rng.uniform(0.05, 0.4),
        specular=0.04 if glossy else 0.0,
    )  # fmt: skip


def wall(rng: np.random.Generator, builder: SceneBuilder) -> int:
    """Paint, plaster, wallpaper, bricks, tiles or panelling."""
    c = colour(rng, saturation=0.25, low=0.45, high=0.88) if rng.random() < 0.7 else colour(rng, saturation=0.85)
    kinds = ["plain", "noise", "bricks", "tiles", "stripes", "carpet", "planks"]
    kind = str(rng.choice(kinds, p=[0.5, 0.24, 0.08, 0.06, 0.05, 0.04, 0.03]))
    scale = {"bricks": rng.uniform(3, 5), "noise": rng.uniform(0.6, 3), "tiles": rng.uniform(2, 7)}.get(kind, 3.0)
    return builder.material(c, c * rng.uniform(0.6, 0.95), texture=kind, scale=scale)
