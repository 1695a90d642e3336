# SPDX-License-Identifier: GPL-3.0-or-later
"""What mesh and pigment leave out: wrinkles and pores as a height, tangent normals of it, and how skin shines."""

from __future__ import annotations

import numpy as np

from . import regions
from .hair import Hair, dots
from .layout import Layout, layout, step
from .person import Person
from .pigment import Pigments
from .regions import noise
from .wrinkles import wrinkles

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
    creased = wrinkles(rng, person, size) * (1 - 0.8 * hair.cover)
    return skin + lip_lines(rng, person, at) * lip + strands + creased + under.raised, pore


def pores(rng: np.random.Generator, person: Person, at: Layout) -> np.ndarray:
    """Openings (R, R) in 0..1: denser and wider where skin is oily."""
    zone = regions.zone(at.size)
    where = (0.12 + zone) * step(at.y, 75, 30) * (regions.lips(at.size) < 0) * (regions.eye(at.size) > 1.5)
    fine = dots(rng, where, 42000, 0.42, 0.5 * person.pores)
    wide = dots(rng, zone * where, 14000, 0.62, 0.75 * person.pores)
    return np.asarray(np.clip(1 - (1 - fine) * (1 - wide), 0, 1))


def lip_lines(rng: np.random.Generator, person: Person, at: Layout) -> np.ndarray:
    """Millimetres (R, R): the upright furrows of the lips."""
    place = at.place[..., 0] + 1.2 * noise(rng, at.size, 7)
    pitch = rng.uniform(1.7, 2.5)
    return np.asarray(
        -0.16 * (1 + person.wrinkles) * np.abs(np.sin(np.pi * place / pitch)) * (0.6 + 0.3 * noise(rng, at.size, 4))
    )


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
