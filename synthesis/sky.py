# SPDX-License-Identifier: GPL-3.0-or-later
"""Skies, suns and the colours of light. World frame, z up; luminance in thousands of cd/m², irradiance in klx."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..backend.errors import BadInput
from ..backend.optics import exr
from .blackbody import blackbody
from .scene import REC709, SceneBuilder

#: Panoramas that training never sees, under all their names, so that pictures of these places can serve as tests.
HELD_OUT = ("hotel_room", "interior", "courtyard", "venice_sunset", "pmndrs_venice", "sunset")


def sky_directions(height: int) -> np.ndarray:
    """Directions (N, 2N, 3) of a world-frame panorama's texels."""
    lat = (0.5 - (np.arange(height) + 0.5) / height)[:, None] * np.pi + np.zeros((1, 2 * height))
    lon = (0.5 - (np.arange(2 * height) + 0.5) / (2 * height))[None] * 2 * np.pi
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)


def _texel_solid_angles(height: int) -> np.ndarray:
    edges = np.cos(np.arange(height + 1) * np.pi / height)
    return ((edges[:-1] - edges[1:]) * np.pi / height)[:, None]


def smooth_noise(rng: np.random.Generator, height: int, octaves: int = 4, base: int = 4) -> np.ndarray:
    """Noise (N, 2N), about zero mean and unit variance, that wraps in azimuth."""
    total = np.zeros((height, 2 * height))
    for octave in range(octaves):
        cells = base * 2**octave
        grid = rng.normal(size=(cells + 1, 2 * cells))
        grid = np.concatenate([grid, grid[:, :1]], 1)
        y, x = np.linspace(0, cells, height), np.linspace(0, 2 * cells, 2 * height)
        rows = np.stack([np.interp(y, np.arange(cells + 1), column) for column in grid.T], 1)
        total += 0.6**octave * np.stack([np.interp(x, np.arange(2 * cells + 1), row) for row in rows])
    return total / total.std()


def procedural_sky(rng: np.random.Generator, builder: SceneBuilder, mood: str, height: int = 96) -> None:
    """Give the builder a sky and perhaps a sun. ``mood``: clear, overcast, golden, dusk or night."""
    d = sky_directions(height)
    elevation = math.radians({"golden": rng.uniform(2, 16), "dusk": -5.0}.get(mood, rng.uniform(18, 70)))
    azimuth = rng.uniform(0, 2 * math.pi)
    sun = np.array([*(math.cos(elevation) * np.array([math.cos(azimuth), math.sin(azimuth)])), math.sin(elevation)])
    up, near_sun = np.clip(d[..., 2:], 0, 1), np.clip(d @ sun, 0, 1)[..., None]
    clouds = 1 / (1 + np.exp(-3 * (smooth_noise(rng, height)[..., None] - rng.uniform(-0.5, 2.0))))
    blue, white = blackbody(rng.uniform(11000, 24000)), blackbody(rng.uniform(5500, 7500))
    warm = blackbody(rng.uniform(2200, 3800))
    if mood == "overcast":
        sky = white * rng.uniform(1.5, 7) * (0.45 + 0.55 * up) * (0.8 + 0.4 * clouds)
    elif mood == "night":
        sky = blue * rng.uniform(0.0002, 0.004) + warm * rng.uniform(0, 0.01) * (1 - up) ** 6
    else:
        level = {"clear": rng.uniform(2, 6), "golden": rng.uniform(1, 3), "dusk": rng.uniform(0.03, 0.4)}[mood]
        tint = 0.25 if mood == "clear" else rng.uniform(0.6, 1.0)
        sky = level * (blue * (0.35 + 0.65 * (1 - up) ** 2) * (1 - 0.5 * tint * (1 - up) ** 4))
        sky = sky + level * tint * warm * (1 - up) ** 5 * (0.4 + 1.6 * near_sun**3)
        sky = sky + level * (warm if mood != "clear" else white) * (1.5 * near_sun**40 + 0.5 * near_sun**6)
        sky = sky * (1 - 0.75 * clouds) + 0.75 * clouds * level * (white + tint * warm * near_sun**2)
    builder.sky = _with_skyline(rng, sky, d).astype(np.float32)
    if mood in ("clear", "golden") and rng.random() < 0.9:
        kelvin = rng.uniform(4600, 6200) if mood == "clear" else rng.uniform(2300, 4000)
        strength = rng.uniform(40, 100) if mood == "clear" else rng.uniform(5, 35)
        veil = 1.0 if rng.random() < 0.75 else rng.uniform(0.1, 0.5)
        radius = 0.0047 if veil == 1 else rng.uniform(0.006, 0.05)
        builder.set_sun(sun, blackbody(kelvin) * strength * veil, radius)


def _with_skyline(rng: np.random.Generator, sky: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Ground below the horizon and, often, a silhouette of trees or houses above it, lit by the mean sky."""
    height = sky.shape[0]
    mean = (sky * np.clip(d[..., 2:], 0, 1)).mean((0, 1)) * 3
    outline = np.zeros(2 * height)
    if rng.random() < 0.7:
        steps = rng.integers(8, 50)
        edges = rng.random(steps) ** 2 * rng.uniform(0.03, 0.3)
        kind = np.floor if rng.random() < 0.5 else (lambda x: x)
        outline = np.interp(
            kind(np.linspace(0, steps, 2 * height, endpoint=False)), np.arange(steps), edges, period=steps
        )
    albedo = rng.uniform(0.05, 0.3) * np.array([1.0, rng.uniform(0.9, 1.15), rng.uniform(0.6, 1.0)])
    texture = np.clip(1 + 0.35 * smooth_noise(rng, height, 4, 12)[..., None], 0.2, 2)
    ground = mean * albedo * texture
    return np.where(d[..., 2:] < outline[None, :, None], ground, sky)


def hdri_sky(rng: np.random.Generator, builder: SceneBuilder, path: Path, level: float) -> None:
    """Use a captured panorama, turned about z, as the sky; its sun, if it has one, becomes a sharp one of equal energy.

    ``level``: mean luminance of the upper half after scaling.
    """
    sky = np.maximum(exr.read_image(path)[..., :3].numpy().astype(np.float64), 0)
    sky = np.roll(sky, rng.integers(sky.shape[1]), 1)
    omega = _texel_solid_angles(sky.shape[0])
    d = sky_directions(sky.shape[0])
    light = sky @ REC709
    peak = np.unravel_index(light.argmax(), light.shape)
    around_peak = d @ d[peak] > math.cos(math.radians(6))
    ceiling = 0.04 * light[peak]
    excess = (
        np.where(around_peak, np.maximum(0, 1 - ceiling / np.maximum(light, 1e-9)), 0)[..., None]
        * sky
        * omega[..., None]
    )
    energy = excess.sum((0, 1))
    upper = (light * omega * (d[..., 2] > 0)).sum() / (2 * math.pi)
    scale = level / max(float(upper), 1e-6)
    if energy @ REC709 > 0.08 * (light * omega).sum() and d[peak][2] > 0.02:
        towards = ((excess @ REC709)[..., None] * d).sum((0, 1))
        sky = sky - excess / omega[..., None]
        upper = ((sky @ REC709) * omega * (d[..., 2] > 0)).sum() / (2 * math.pi)
        scale = level / max(float(upper), 1e-6)
        builder.set_sun(towards, energy * scale, 0.0047)
    builder.sky = (sky * scale).astype(np.float32)


def hdri_files(folder: Path | str | None) -> list[Path]:
    """The panoramas of a folder that may be used for training, sorted; none without a folder, but some of one."""
    if folder is None:
        return []
    found = sorted(path for path in Path(folder).glob("*.exr") if path.stem not in HELD_OUT)
    if not found:
        raise BadInput(
            f"{folder} holds no panoramas to train on.", "Name a folder of EXR files, or leave --hdris out."
        )
    return found
