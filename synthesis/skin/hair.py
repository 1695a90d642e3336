# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair as a texture of the head has it: brows and lashes stroke by stroke, beards, and the scalp's as a cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import regions
from .layout import layout, step
from .noise import marks, smooth
from .person import Person
from .regions import EYE, noise

#: The brow's middle line on the right half of the UV square, from the nose outwards, and half its width there.
_BROW = np.array(
    [(0.4670, 0.3880), (0.4480, 0.3825), (0.4200, 0.3755), (0.3900, 0.3725), (0.3690, 0.3800), (0.3520, 0.3910)]
)
_BROW_WIDTH = np.array([0.0125, 0.0130, 0.0120, 0.0095, 0.0060, 0.0020])
#: Reflectance that even black hair has, its sheen aside.
_LEAST = 0.012


@dataclass(frozen=True, eq=False)
class Hair:
    """What hair covers: ``cover`` (R, R) in 0..1, its ``colour`` (R, R, 3) linear, ``shade`` (R, R) in 0..1: hair cut
    level with the skin, or roots below it, that darken without covering."""

    cover: np.ndarray
    colour: np.ndarray
    shade: np.ndarray


def grow(rng: np.random.Generator, person: Person, size: int) -> Hair:
    """All hair of a person on a map of ``size`` texels a side."""
    brow, lash = brows(rng, person, size), lashes(rng, person, size)
    scalp, stubble_scalp = on_scalp(rng, person, size)
    beard, shade = on_chin(rng, person, size)
    strands = np.exp(0.28 * _strands(rng, size))[..., None]
    white = np.clip(person.grey + 0.14 * noise(rng, size, 2.5, 2), 0, 1)[..., None] * (person.grey > 0.02)
    colour = (shade_of(person.hair_melanin) * (1 - white) + 0.42 * white) * strands
    cover = 1 - (1 - scalp) * (1 - beard) * (1 - brow)
    # Brows and lashes turn grey late.
    dark = np.clip(brow + lash, 0, 1)[..., None]
    own = np.array(shade_of(person.hair_melanin)) * 0.75 * (1 - 0.4 * white) + 0.12 * white
    colour = np.clip(colour * (1 - dark) + own * dark, 0.008, 0.7)
    return Hair(1 - (1 - cover) * (1 - lash), colour.astype(np.float32), np.clip(shade + stubble_scalp, 0, 1))


def shade_of(melanin: tuple[float, float]) -> np.ndarray:
    """Linear Rec.709 of hair of so much eu- and pheomelanin (d'Eon et al. 2011; Chiang et al. 2016, β = 0.3)."""
    absorbed = melanin[0] * np.array([0.419, 0.697, 1.37]) + melanin[1] * np.array([0.187, 0.4, 1.05])
    # Many strands over each other scatter more than Chiang's single lobe: about half of the exponent.
    return np.asarray(_LEAST + 0.7 * np.exp(-0.58 * 5.888 * np.sqrt(absorbed)))


def brows(rng: np.random.Generator, person: Person, size: int) -> np.ndarray:
    """(R, R) cover of both brows; each hair a stroke that leans outwards the more, the farther from the nose."""
    lift, arch, long = rng.normal(0, 0.004), rng.normal(0, 0.003), rng.uniform(0.93, 1.05)
    wide = np.sqrt(person.brows) * rng.uniform(0.75, 1.2)
    places, radii, strength = [], [], []
    for side in (0, 1):
        count = int(360 * person.brows)
        t = rng.beta(1.1, 1.05, count)
        node = np.linspace(0, 1, len(_BROW))
        line = np.stack([np.interp(t, node, _BROW[:, k]) for k in (0, 1)], -1)
        line[:, 0] = 0.4665 + (line[:, 0] - 0.4665) * long
        across = rng.uniform(-1, 1, count)
        line[:, 1] += lift - arch * np.sin(np.pi * t) + across * np.interp(t, node, _BROW_WIDTH) * wide
        # Upper hairs lean down towards the tail, lower ones up.
        angle = np.interp(t, (0, 0.15, 0.5, 1), (1.25, 0.7, 0.25, -0.55)) + 0.35 * across + rng.normal(0, 0.14, count)
        length = np.interp(t, (0, 0.3, 1), (0.010, 0.016, 0.011)) * rng.uniform(0.7, 1.2, count)
        along = np.linspace(0, 1, 9)[None]
        bend = angle[:, None] - 0.35 * along
        x = line[:, :1] - length[:, None] * along * np.cos(bend)
        y = line[:, 1:] - length[:, None] * along * np.sin(bend)
        x = 1 - x if side else x
        places.append(np.stack([x, y], -1).reshape(-1, 2) * size)
        thick = np.broadcast_to((1.05 - 0.75 * along) * size * 0.0018, x.shape)
        radii.append(np.repeat(thick.reshape(-1, 1), 2, 1))
        strength.append(np.broadcast_to(rng.uniform(0.35, 0.8, (count, 1)), x.shape).reshape(-1))
    drawn = marks((size, size), np.concatenate(places), np.concatenate(radii), np.concatenate(strength))
    return np.asarray(np.clip(drawn, 0, 0.93))


def lashes(rng: np.random.Generator, person: Person, size: int) -> np.ndarray:
    """(R, R) cover of the lashes' roots along the rims of the lids, thicker with eyeliner."""
    u, v, a, b = EYE
    places, strength = [], []
    for side in (0, 1):
        for upper, count in ((True, 110), (False, 60)):
            angle = np.pi * rng.uniform(0.06, 0.97, count)
            reach = 1.0 + rng.uniform(0, 0.16 if upper else 0.12, count)
            x = u - a * reach * np.cos(angle)
            y = v - (1 if upper else -1) * b * reach * np.sin(angle)
            places.append(np.stack([1 - x if side else x, y], -1) * size)
            strength.append(
                rng.uniform(0.35, 0.8, count) * ((0.85 + person.liner) if upper else 0.4 + 0.5 * person.liner)
            )
    thick = size * 0.0018 * (1 + 0.5 * person.liner)
    at = np.concatenate(places)
    return np.clip(marks((size, size), at, np.full((len(at), 2), thick), np.concatenate(strength)), 0, 0.9)


def on_scalp(rng: np.random.Generator, person: Person, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(R, R) cover and shade of the hair of the head by the person's style."""
    at = layout(size)
    if person.hair == "bald" and rng.random() < 0.5:
        return np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    recede = {"receding": rng.uniform(18, 55), "bald": rng.uniform(70, 95)}.get(person.hair, rng.uniform(-4, 10))
    inside = regions.above_hairline(at, recede, 3.5 * noise(rng, size, 22, 2) + rng.normal(0, 4))
    inside = inside + 3.0 * noise(rng, size, 2.2)
    if person.hair in ("shaved", "bald"):
        dots = 0.75 + 0.25 * noise(rng, size, 1.2)
        return np.zeros((size, size), np.float32), step(inside, -4, 14) * np.clip(dots, 0, 1) * rng.uniform(0.35, 0.8)
    # Scalp shows between the hairs at the edge, and here and there where hair is short or thin.
    full = 1.25 if person.hair == "full" else rng.uniform(0.95, 1.2)
    edge = step(inside, -3, 14)
    thin = np.clip(full * edge + 0.16 * _strands(rng, size) * (1.3 - edge), 0, 0.97)
    return step(inside, -3, 3) * thin, 0.6 * step(inside, -6, 8)


def on_chin(rng: np.random.Generator, person: Person, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(R, R) cover and shade of the beard."""
    at = layout(size)
    if person.beard == "none":
        return np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    density = regions.beard(at, person.beard, 3 * noise(rng, size, 18, 2) + rng.normal(0, 4))
    density = np.clip(density * (1 + 0.18 * noise(rng, size, 7)), 0, 1)
    shade = density * rng.uniform(0.12, 0.5)
    if person.beard == "shaven":
        return np.zeros((size, size), np.float32), shade
    stubble = dots(rng, density, 16000, rng.uniform(0.16, 0.24), 0.75)
    if person.beard == "stubble":
        return stubble * rng.uniform(0.5, 1), shade
    strands = np.clip(0.75 + 0.3 * _strands(rng, size), 0, 1)
    return np.maximum(stubble, step(density, 0.12, 0.75) * strands * rng.uniform(0.7, 0.97)), shade


def dots(rng: np.random.Generator, density: np.ndarray, count: int, radius: float, strength: float) -> np.ndarray:
    """(R, R): marks of ``radius`` millimetres scattered by area and by ``density`` (R, R)."""
    size = len(density)
    at = layout(size)
    weight = (density * at.mask * at.texel.prod(-1)).ravel()
    total = float(weight.sum())
    if total <= 0:
        return np.zeros((size, size), np.float32)
    # The count is that of a density of 1 over a beard of some 200 cm².
    chosen = np.searchsorted(np.cumsum(weight), rng.random(int(count * min(total / 20000, 1.5))) * total)
    chosen = np.minimum(chosen, weight.size - 1)
    places = np.stack([chosen % size, chosen // size], -1) + rng.random((len(chosen), 2))
    radii = radius * rng.uniform(0.7, 1.3, (len(chosen), 1)) / at.texel.reshape(-1, 2)[chosen]
    return marks((size, size), places, radii, strength * rng.uniform(0.5, 1, len(chosen)))


def _strands(rng: np.random.Generator, size: int) -> np.ndarray:
    """(R, R) as :func:`.regions.noise`, drawn out downwards and backwards, as combed hair is."""
    place = layout(size).place.copy()
    place[..., 2] *= 0.18
    place[..., 1] *= 0.5
    found = smooth(place.reshape(-1, 3), int(rng.integers(2**31)), 3.0, 2, 0.8)
    return found.reshape(size, size)
