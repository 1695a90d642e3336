# SPDX-License-Identifier: GPL-3.0-or-later
"""What mesh and pigment leave out: wrinkles and pores as a height, tangent normals of it, and how skin shines."""

from __future__ import annotations

import numpy as np

from . import regions
from .hair import Hair, dots
from .layout import Layout, layout, step
from .noise import marks
from .person import Person
from .pigment import Pigments
from .regions import EYE, noise

#: Reflectance at normal incidence of skin at n = 1.4, and of lips and wet rims.
F0, F0_WET = 0.028, 0.034


def height(
    rng: np.random.Generator, person: Person, under: Pigments, hair: Hair, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Millimetres (R, R) over the mesh, and the openings of the pores (R, R) in 0..1."""
    at = layout(size)
    pore = pores(rng, person, at)
    grain = 0.03 * noise(rng, size, 1.9) - 0.06 * np.exp(-((noise(rng, size, 2.6) / 0.35) ** 2))
    lip = step(regions.lips(size), -0.5, 1.5)
    bumps = 0.09 * noise(rng, size, 6, 2) * (0.4 + person.wrinkles)
    strands = 0.16 * noise(rng, size, 1.3) * hair.cover
    skin = grain * (0.5 + 0.5 * person.pores) * (1 - lip) + bumps - 0.16 * pore
    creased = wrinkles(rng, person, at) * (1 - 0.8 * hair.cover)
    return skin + lip_lines(rng, person, at) * lip + strands + creased + under.raised, pore


def pores(rng: np.random.Generator, person: Person, at: Layout) -> np.ndarray:
    """Openings (R, R) in 0..1: denser and wider where skin is oily."""
    zone = regions.zone(at.size)
    where = (0.12 + zone) * step(at.y, 75, 30) * (regions.lips(at.size) < 0) * (regions.eye(at.size) > 1.5)
    fine = dots(rng, where, 42000, 0.42, 0.5 * person.pores)
    wide = dots(rng, zone * where, 14000, 0.62, 0.75 * person.pores)
    return np.asarray(np.clip(1 - (1 - fine) * (1 - wide), 0, 1))


def wrinkles(rng: np.random.Generator, person: Person, at: Layout) -> np.ndarray:
    """Millimetres (R, R), none above 0: folds drawn as lines that waver."""
    lines: list[tuple[np.ndarray, float, float]] = []
    age = person.wrinkles
    # (points in UV of the right half, depth, half width as a part of the side)
    for v in np.arange(0.245, 0.355, 0.0215) + rng.normal(0, 0.004):
        reach = rng.uniform(0.35, 0.42)
        u = np.linspace(reach, 0.5 + rng.uniform(-0.02, 0.06), 28)
        lines.append((np.stack([u, v - 0.012 * np.cos((u - 0.5) * 20) + 0.012], -1), age * rng.uniform(0.1, 0.5), 0.0042))
    u, v, a, b = EYE
    for k in range(4):
        angle = np.radians(-38 + 25 * k + rng.normal(0, 5))
        t = np.linspace(0, 1, 14) * rng.uniform(0.6, 1.2)
        ends = (u - 1.2 * a - 0.034 * t * np.cos(angle), v + 0.004 + 0.55 * b * (k - 1.5) * 0.6 + 0.034 * t * np.sin(angle))
        lines.append((np.stack(ends, -1), age * rng.uniform(0.15, 0.45), 0.0026))
    t = np.linspace(0, 1, 30)
    fold = np.stack([0.452 - 0.052 * t**1.3, 0.597 + 0.150 * t], -1)
    lines.append((fold, 0.10 + age * rng.uniform(0.4, 0.9), 0.0068))
    lines.append((np.stack([0.430 + 0.008 * t, 0.765 + 0.075 * t], -1), age * rng.uniform(0.1, 0.5), 0.0045))
    for drop, depth in ((1.35, 0.25), (1.8, 0.45), (2.35, 0.3)):
        arc = np.pi * (0.12 + 0.72 * t)
        ends = (u + 0.003 - (1.05 + 0.12 * drop) * a * np.cos(arc), v + drop * b * np.sin(arc))
        lines.append((np.stack(ends, -1), (0.04 + age) * depth * rng.uniform(0.4, 1), 0.0033))
    for near in (0.484, 0.491):
        lines.append((np.stack([near - 0.004 * (1 - t), 0.352 + 0.05 * t], -1), age * rng.uniform(0, 0.5), 0.0036))
    for v in (0.935, 0.955, 0.972):
        lines.append((np.stack([0.37 + 0.15 * t, v - 0.03 * (1 - t) ** 2], -1), 0.05 + age * rng.uniform(0, 0.5), 0.005))
    # The fold of the upper lid is everyone's.
    arc = np.pi * (0.08 + 0.86 * t)
    lines.append((np.stack([u - 1.05 * a * np.cos(arc), v + 0.004 - 1.75 * b * np.sin(arc)], -1), 0.35, 0.0024))
    return -1.6 * _drawn(rng, lines, at.size)


def _drawn(rng: np.random.Generator, lines: list[tuple[np.ndarray, float, float]], size: int) -> np.ndarray:
    """Depth (R, R) of lines on both halves; each fades out at its ends and wavers on its own."""
    out = np.zeros((size, size), np.float32)
    for mirrored in (False, True):
        places, radii, strength = [], [], []
        for line, depth, width in lines:
            steps = np.linspace(0, 1, 4 * len(line))
            path = np.stack([np.interp(steps, np.linspace(0, 1, len(line)), line[:, k]) for k in (0, 1)], -1)
            wave = rng.normal(0, 1, 9)
            path[:, 1] += 0.0022 * np.interp(steps, np.linspace(0, 1, 9), wave)
            path[:, 0] += 0.0016 * np.interp(steps, np.linspace(0, 1, 9), rng.normal(0, 1, 9))
            fade = np.sin(np.pi * np.clip(steps, 0.03, 0.97)) ** 0.7 * (0.75 + 0.25 * np.interp(steps, np.linspace(0, 1, 9), wave))
            spacing = np.linalg.norm(np.diff(path, axis=0), axis=-1).mean()
            if mirrored:
                path[:, 0] = 1 - path[:, 0]
            places.append(path * size)
            radii.append(np.full((len(path), 2), width * size))
            # Marks add up along the line: as many lie on a point as fit into a mark.
            strength.append(depth * fade * np.clip(spacing / (width * 1.25), 0, 1) * rng.uniform(0.75, 1.25))
        out += marks((size, size), np.concatenate(places), np.concatenate(radii), np.concatenate(strength), add=True)
    return out


def lip_lines(rng: np.random.Generator, person: Person, at: Layout) -> np.ndarray:
    """Millimetres (R, R): the upright furrows of the lips."""
    place = at.place[..., 0] + 1.2 * noise(rng, at.size, 7)
    pitch = rng.uniform(1.7, 2.5)
    return np.asarray(-0.16 * (1 + person.wrinkles) * np.abs(np.sin(np.pi * place / pitch)) * (0.6 + 0.3 * noise(rng, at.size, 4)))


def slopes(up: np.ndarray, at: Layout) -> np.ndarray:
    """Slopes (R, R, 2) of a height (R, R) in millimetres along +u and along +v, which is up on the map."""
    down, right = np.gradient(up)
    return np.stack([right / at.texel[..., 0], -down / at.texel[..., 1]], -1).astype(np.float32)


def specular(rng: np.random.Generator, person: Person, pore: np.ndarray, hair: Hair, size: int) -> np.ndarray:
    """Reflectance at normal incidence (R, R); less in pores, whose walls hide each other, and between hairs."""
    oily = regions.zone(size)
    amount = 1 + 0.22 * (person.oil - 0.8) + 0.26 * person.oil * oily * (1 + 0.15 * noise(rng, size, 6, 2))
    amount = amount + 0.05 * noise(rng, size, 2.2, 2) - 0.35 * pore - 0.15 * regions.under_eye(size)
    wet = np.maximum(0.8 * step(regions.lips(size), -1, 1.5), step(regions.eye(size), 1.05, 0.8))
    f0 = F0 * amount * (1 - wet) + F0_WET * (1.1 + 0.1 * noise(rng, size, 1.5)) * wet
    f0 = f0 * (1 - 0.45 * hair.cover) * (1 - 0.15 * hair.shade) * (1 - 0.5 * regions.nostril(size))
    return np.asarray(np.clip(f0, 0.004, 0.078), np.float32)


def roughness(person: Person, size: int, hair: Hair) -> np.ndarray:
    """Blender's roughness (R, R) with which the skin is photographed; it is no map of the stack."""
    rough = 0.6 - 0.07 * person.oil - 0.09 * person.oil * regions.zone(size) + 0.04 * step(layout(size).y, 20, 60)
    wet = np.maximum(step(regions.lips(size), -1, 1.5), step(regions.eye(size), 1.05, 0.8))
    rough = rough * (1 - wet) + 0.34 * wet
    return np.asarray(np.clip(rough + 0.12 * hair.cover, 0.25, 0.75), np.float32)
