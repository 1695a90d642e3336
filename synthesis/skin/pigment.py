# SPDX-License-Identifier: GPL-3.0-or-later
"""Diffuse albedo: where melanin and blood are in a face, what they look like, and what lies over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import regions, spectra
from .hair import Hair, dots
from .layout import Layout, layout, step
from .noise import marks
from .person import Person
from .regions import noise

#: Linear colours of make-up, one row each.
_LIPSTICKS = np.array(
    [(0.42, 0.02, 0.03), (0.45, 0.10, 0.12), (0.25, 0.02, 0.06), (0.50, 0.16, 0.12), (0.35, 0.04, 0.14)]
)
_SHADOWS = np.array(
    [(0.16, 0.09, 0.07), (0.10, 0.09, 0.11), (0.35, 0.20, 0.17), (0.09, 0.05, 0.08), (0.22, 0.15, 0.08)]
)
_BLUSHES = np.array([(0.55, 0.16, 0.15), (0.55, 0.22, 0.14), (0.45, 0.10, 0.13)])


@dataclass(frozen=True, eq=False)
class Pigments:
    """Volume fractions (R, R): ``melanin`` of the epidermis, ``blood`` of the dermis, and ``venous`` 0..1, the part of
    that blood that has given off its oxygen; ``raised`` (R, R) millimetres that moles and blemishes stand out."""

    melanin: np.ndarray
    blood: np.ndarray
    venous: np.ndarray
    raised: np.ndarray


def albedo(rng: np.random.Generator, person: Person, hair: Hair, size: int) -> tuple[np.ndarray, Pigments]:
    """Linear Rec.709 (R, R, 3) of the skin with hair and make-up, and the pigments below them."""
    found = pigments(rng, person, size)
    skin = spectra.table(*_binned(person.oxygen, person.eumelanin))(found.melanin, found.blood)
    blue = found.venous > 0.02
    spent = spectra.table(*_binned(0.3, person.eumelanin))(found.melanin[blue], found.blood[blue])
    skin[blue] += (spent - skin[blue]) * found.venous[blue][:, None]
    skin = make_up(rng, person, skin, size)
    # Roots below the skin darken it, and more so red light's way, which is the longest: a bluish shadow.
    roots = hair.shade[..., None] * (1 - np.array([0.30, 0.38, 0.40]) * (0.4 + hair_depth(hair)))
    skin = skin * (1 - hair.shade[..., None]) + skin * roots
    covered = skin + (hair.colour - skin) * hair.cover[..., None]
    dark = regions.nostril(size)[..., None]
    return (covered * (1 - 0.6 * dark)).clip(0.003, 0.95).astype(np.float32), found


def hair_depth(hair: Hair) -> np.ndarray:
    """(R, R, 1): how dark hair is, 1 for black."""
    return np.asarray(1 - np.clip((hair.colour @ np.full(3, 1 / 3, np.float32))[..., None] * 2.5, 0, 1))


def pigments(rng: np.random.Generator, person: Person, size: int) -> Pigments:
    """Melanin and blood of a person all over the head."""
    at = layout(size)
    colours = spectra.table(*_binned(person.oxygen, person.eumelanin))
    base = spectra.melanin_for(person.angle, person.blood, colours)
    even = person.uneven * (1 - 0.65 * person.foundation)
    melanin = _melanin(rng, person, at, even)
    blood, venous = _blood(rng, person, at, even)
    spots, raised = _spots(rng, person, at)
    red, bumps = _blemishes(rng, person, at)
    lip = step(regions.lips(size) + 0.9 * noise(rng, size, 2.5) + rng.normal(0, 0.5), -1.6, 1.8)
    lower = regions.lower_lip(size)
    # Lips have hardly any melanin where skin has little; the upper lip keeps more of a dark skin's.
    dark = person.tone / 5
    melanin = melanin + lip * ((0.25 - 0.95 * lower) * dark + rng.uniform(-0.1, 0.25))
    blood = blood + lip * (rng.uniform(1.0, 1.9) + 0.25 * lower)
    wet = step(regions.eye(size), 0.98, 0.7)
    melanin, blood = melanin - 0.9 * wet, blood + 1.0 * wet
    fraction = base * np.exp(melanin + spots)
    return Pigments(
        fraction, person.blood * np.exp(blood + red * (1 - 0.7 * person.foundation)), venous, raised + bumps
    )


def _melanin(rng: np.random.Generator, person: Person, at: Layout, even: float) -> np.ndarray:
    """Logarithm (R, R) of how much more melanin than the cheek's there is: sun, shade, rings, clouds, grain."""
    size = at.size
    sun = rng.uniform(0.02, 0.22) * (at.normal[..., 2] - 0.1)
    ring = 0.28 * person.tired * (0.4 + 0.12 * person.tone) * regions.under_eye(size)
    mouth = rng.uniform(-0.05, 0.22) * at.blob(0, -72, 30, 12) * (0.3 + person.tone / 5)
    brow = rng.uniform(0, 0.16) * at.blob(0, 38, 45, 22) + 0.12 * rng.random() * at.blob(60, 0, 16, 22, 45)
    neck = rng.uniform(-0.25, 0.12) * step(at.z, -95, -118)
    ears = rng.uniform(-0.1, 0.15) * regions.ear(size)
    clouds = 0.07 * noise(rng, size, 30, 2) + 0.07 * noise(rng, size, 9, 2) + 0.06 * noise(rng, size, 2.4, 2)
    patch = 0.25 * np.clip(noise(rng, size, 14, 2) - 1.0, 0, 1.5) * max(0.0, even - 1)
    return np.asarray(sun + ring + mouth + brow + neck + ears + even * clouds + patch)


def _blood(rng: np.random.Generator, person: Person, at: Layout, even: float) -> tuple[np.ndarray, np.ndarray]:
    """Logarithm (R, R) of how much more blood than usual there is, and which part of it is venous."""
    size = at.size
    ruddy = person.ruddy * (1 - 0.6 * person.foundation)
    cheek = at.blob(rng.normal(40, 3), rng.normal(-33, 3), 17, 14, 40)
    warm = 0.55 * cheek + 0.5 * at.blob(0, -40, 15, 12) + 0.3 * at.blob(0, -94, 14, 9) + 0.2 * at.blob(17, -42, 5, 6)
    warm = warm * (1 + 0.25 * noise(rng, size, 8, 2)) - 0.25 * at.blob(0, 45, 45, 25)
    warm = warm + 0.35 * regions.ear(size) + 0.25 * regions.lid(size) + 0.2 * at.blob(0, 15, 8, 12)
    mottled = 0.13 * noise(rng, size, 16, 2) + 0.13 * noise(rng, size, 4, 2) + 0.10 * noise(rng, size, 1.5)
    # Widened vessels: thin crooked lines on cheeks and nose.
    lines = np.exp(-((noise(rng, size, 7, 2) / 0.09) ** 2)) * (cheek + at.blob(14, -36, 8, 8))
    veins = 0.4 * lines * max(0.0, person.ruddy - 1.1) * (0.3 + person.age / 80)
    under = regions.under_eye(size) * person.tired
    venous = np.clip(0.5 * under + 0.12 * regions.lid(size) + 0.1 * step(at.z, -60, -100), 0, 0.9)
    return ruddy * warm + even * mottled + veins + 0.3 * under, venous


def _spots(rng: np.random.Generator, person: Person, at: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Melanin's logarithm (R, R) in freckles, age spots and moles, and how far moles stand out in millimetres."""
    size = at.size
    sunny = np.clip(at.blob(26, -24, 24, 15) + at.blob(0, -22, 16, 18) + 0.4 * at.blob(0, 40, 45, 22), 0, 1)
    out = np.zeros((size, size), np.float32)
    if person.freckles:
        patchy = np.clip(sunny * (1 + 0.5 * noise(rng, size, 12)) + 0.08, 0, 1) * step(at.y, 70, 20)
        for count, radius in ((26000, 0.55), (9000, 0.9), (1500, 1.4)):
            out += 0.9 * person.freckles * dots(rng, patchy, int(count * person.freckles), radius, 0.8)
    old = max(0.0, person.age - 50) / 30
    out += 0.6 * dots(rng, 0.4 + sunny, int(600 * old * rng.random()), rng.uniform(1.5, 3), 0.6)
    count = max(person.moles, 0)
    places = _anywhere(rng, at, count)
    texel = at.texel[places[:, 1].astype(int), places[:, 0].astype(int)]
    radii = rng.uniform(0.7, 1.9, (count, 1)) / texel
    mole = marks((size, size), places, radii, np.full(count, 0.9))
    return out + 1.3 * mole, 0.25 * mole


def _blemishes(rng: np.random.Generator, person: Person, at: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Blood's logarithm (R, R) in blemishes, and how far they stand out in millimetres."""
    count = person.blemishes
    places = _anywhere(rng, at, count)
    texel = at.texel[places[:, 1].astype(int), places[:, 0].astype(int)]
    radii = rng.uniform(1.2, 3.0, (count, 1)) / texel
    red = marks((at.size, at.size), places, radii, rng.uniform(0.3, 0.8, count))
    return 1.2 * red, 0.25 * marks((at.size, at.size), places, radii * 0.7, rng.uniform(0, 0.8, count))


def _anywhere(rng: np.random.Generator, at: Layout, count: int) -> np.ndarray:
    """Places (N, 2) in texels, by area, on the front of the head."""
    weight = (at.texel.prod(-1) * at.mask * step(at.y, 90, 30) * (regions.lips(at.size) < 0)).ravel()
    chosen = np.searchsorted(np.cumsum(weight), rng.random(count) * weight.sum() * 0.99999)
    return np.stack([chosen % at.size + 0.5, chosen // at.size + 0.5], -1)


def make_up(rng: np.random.Generator, person: Person, skin: np.ndarray, size: int) -> np.ndarray:
    """Skin (R, R, 3) with lipstick, blush, eye shadow and liner over it."""
    lipstick, shadow, blush = (pots[rng.integers(len(pots))] for pots in (_LIPSTICKS, _SHADOWS, _BLUSHES))
    lips = step(regions.lips(size), -0.8, 0.8) * 0.8 * person.lipstick
    lid = regions.lid(size) * 0.7 * person.shadow
    cheek = np.clip(layout(size).blob(47, -27, 13, 10, 45), 0, 1) * 0.4 * person.blush
    rim = np.exp(-(((regions.eye(size) - 1.05) / 0.07) ** 2)) * 0.75 * person.liner
    grey = (skin @ np.full(3, 1 / 3, np.float32))[..., None]
    for cover, colour in ((cheek, blush), (lid, shadow), (lips, lipstick), (rim, np.full(3, 0.015))):
        # Pigments are thin: the skin's own lights and darks show through.
        tint = colour * (0.35 + 0.65 * grey / max(float(grey.mean()), 1e-3))
        skin = skin + (tint - skin) * cover[..., None]
    return skin


def _binned(oxygen: float, eumelanin: float) -> tuple[float, float]:
    """Rounded so that few tables serve all."""
    return round(oxygen / 0.1) * 0.1, round(eumelanin / 0.1) * 0.1
