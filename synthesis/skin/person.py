# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose skin it is: everything that is drawn by chance about a person, before anything is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Typology angles in degrees that part the six skin tones (Chardon et al. 1991; Del Bino & Bernerd 2013).
TONES = ("very light", "light", "intermediate", "tan", "brown", "dark")
ANGLES = ((55, 66), (41, 55), (28, 41), (10, 28), (-30, 10), (-66, -30))
HAIR = ("bald", "shaved", "short", "full", "receding")
BEARD = ("none", "shaven", "stubble", "full", "moustache", "goatee")


@dataclass(frozen=True)
class Person:
    """``tone`` an index into :data:`TONES`, ``angle`` the skin's typology angle in degrees; ``age`` years; ``oxygen``
    and ``eumelanin`` parts in 0..1; ``blood`` the volume fraction in the cheek-free skin; ``hair`` and ``beard`` by
    name; ``hair_melanin`` (2,) eu- and pheomelanin of the hair (d'Eon et al. 2011's units), ``grey`` the white part of
    it; ``lipstick``, ``blush``, ``shadow``, ``liner``, ``foundation`` 0..1; the rest are strengths about 1."""

    tone: int
    angle: float
    age: float
    oxygen: float
    eumelanin: float
    blood: float
    hair: str
    beard: str
    hair_melanin: tuple[float, float]
    grey: float
    brows: float
    freckles: float
    moles: int
    blemishes: int
    ruddy: float
    tired: float
    uneven: float
    oil: float
    pores: float
    wrinkles: float
    lipstick: float
    blush: float
    shadow: float
    liner: float
    foundation: float


def draw(rng: np.random.Generator, tone: int) -> Person:
    """A person of a skin tone. What goes with tone, age or beard is drawn to go with it, loosely."""
    low, high = ANGLES[tone]
    light = 1 - tone / 5
    age = float(rng.choice([rng.uniform(18, 40), rng.uniform(35, 60), rng.uniform(55, 85)], p=[0.5, 0.3, 0.2]))
    bearded = rng.random() < 0.5
    made_up = not bearded and rng.random() < 0.5
    paint = rng.uniform(0, 1, 5) * (rng.random(5) < (0.75, 0.6, 0.5, 0.6, 0.7)) * made_up
    freckled = rng.random() < (0.55, 0.35, 0.2, 0.12, 0.08, 0.04)[tone]
    old = float(np.clip((age - 25) / 50, 0, 1))
    return Person(
        tone=tone,
        angle=float(rng.uniform(low, high)),
        age=age,
        oxygen=float(rng.uniform(0.6, 0.9)),
        eumelanin=float(np.clip(rng.normal(0.93 - 0.3 * light, 0.08), 0.4, 1.0)),
        blood=float(np.exp(rng.uniform(np.log(0.007), np.log(0.02)))),
        hair=str(rng.choice(HAIR, p=(0.18, 0.2, 0.22, 0.25, 0.15) if bearded else (0.1, 0.1, 0.2, 0.6, 0.0))),
        beard=str(rng.choice(BEARD[1:], p=(0.38, 0.26, 0.16, 0.1, 0.1))) if bearded else "none",
        hair_melanin=_hair_melanin(rng, light),
        grey=float(np.clip(rng.normal((age - 48) / 30, 0.25), 0, 1)),
        brows=float(rng.uniform(0.7, 1.25) if bearded else rng.uniform(0.35, 1.0)),
        freckles=float(rng.uniform(0.2, 1) if freckled else 0),
        moles=int(rng.poisson(3)),
        blemishes=int(rng.poisson(14 if age < 28 and rng.random() < 0.35 else 2)),
        ruddy=float(rng.gamma(4, 0.25)),
        tired=float(rng.gamma(3, 0.3) * (0.7 + 0.6 * old)),
        uneven=float(rng.uniform(0.5, 1.1) + 0.7 * old),
        oil=float(rng.uniform(0.4, 1.5)),
        pores=float(rng.uniform(0.4, 1.6)),
        wrinkles=float(np.clip(old**1.3 * rng.uniform(0.7, 1.6) + rng.uniform(0, 0.12), 0, 1.5)),
        lipstick=float(paint[0]), blush=float(paint[1]), shadow=float(paint[2]), liner=float(paint[3]),
        foundation=float(paint[4]),
    )  # fmt: skip


def _hair_melanin(rng: np.random.Generator, light: float) -> tuple[float, float]:
    """Black and brown for all, blond and red the more often the lighter the skin."""
    kind = rng.random()
    if kind < 0.25 * light:
        return float(rng.uniform(0.15, 0.5)), float(rng.uniform(0.1, 0.35))
    if kind < 0.32 * light:
        return float(rng.uniform(0.15, 0.4)), float(rng.uniform(0.8, 1.6))
    if kind < 0.75 * light:
        return float(rng.uniform(0.8, 2.2)), float(rng.uniform(0.1, 0.5))
    return float(rng.uniform(2.5, 8)), float(rng.uniform(0, 0.5))
