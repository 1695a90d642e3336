# SPDX-License-Identifier: GPL-3.0-or-later
"""New lightings of rooms rendered once per light source: drawn, mixed, and photographed.

A lighting is weights (10, 3), non-negative linear Rec.709, one colour for each of :data:`.light_sets.SLOTS`; light being
additive, the weighted sum of the pictures is what the room looks like under it, exactly.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..backend.errors import BadInput
from ..backend.luminet.rig import RIG
from ..backend.optics.exposure import luminance, srgb_oetf
from .blackbody import LUMINANCE, blackbody
from .light_sets import SLOTS
from .samples import read_sample

#: Colour temperatures of lamps, from a candle's to a blue sky's, drawn evenly in reciprocal kelvin as the eye sees them.
_KELVIN = (2200.0, 9000.0)
#: One lamp in six is of a saturated colour: so much of a pure hue, the rest white.
_SATURATED, _PURITY = 1 / 6, (0.5, 0.9)
#: Standard deviation of the natural logarithm of strength; no two of a lighting differ by more than its limits.
_SPREAD, _LIMIT = 0.8, 1.6
#: Shares of lightings of one, two, three and four sources.
_SOURCES = (0.35, 0.3, 0.2, 0.15)
#: Share of lightings, where the room's own light is allowed, that have some.
_OWN = 0.4


@dataclass(frozen=True, eq=False)
class LightSet:
    """A view of a room under each source alone, as stored.

    lights: (10, S, S, 3) float16, linear. albedo: (S, S, 3) float16, reflectance. normal: (S, S, 3) float16, camera
    frame. depth: (S, S) float16, planar metres, +inf = sky. present: (10,) bool, sources that the room has.
    """

    seed: int
    lights: Tensor
    albedo: Tensor
    normal: Tensor
    depth: Tensor
    present: Tensor


def read_light_set(path: Path) -> LightSet:
    """A file of :func:`.light_sets.write_light_sets`. Raises :class:`BadInput` for anything else."""
    stored = read_sample(path, "lights", "albedo", "normal", "depth")
    lights, *maps = map(torch.from_numpy, stored.values())
    if lights.ndim != 4 or lights.shape[0] != len(SLOTS) or lights.shape[3] != 3:
        raise BadInput(
            f"{path.name} has lights of shape {tuple(lights.shape)}, expected ({len(SLOTS)}, S, S, 3).",
            "Make it with 'synthesize lights'.",
        )
    albedo, normal, depth = maps
    return LightSet(int(path.stem.removeprefix("sample_")), lights, albedo, normal, depth, lights.flatten(1).amax(1) > 0)


def light_set_files(folder: Path) -> list[Path]:
    """The light sets of a folder in the order of their seeds. Raises :class:`BadInput` if there is none."""
    files = [path for path in folder.glob("sample_*.npz") if path.stem.removeprefix("sample_").isdigit()]
    if not files:
        raise BadInput(f"{folder} holds no light sets (sample_*.npz).", "Make some with 'synthesize lights'.")
    return sorted(files, key=lambda path: int(path.stem.removeprefix("sample_")))


def draw_colour(rng: np.random.Generator) -> np.ndarray:
    """A lamp's colour (3,), linear Rec.709 of luminance 1: mostly a black body's, one in six saturated."""
    if rng.random() >= _SATURATED:
        cool, warm = 1 / _KELVIN[1], 1 / _KELVIN[0]
        return blackbody(1 / rng.uniform(cool, warm))
    purity = rng.uniform(*_PURITY)
    colour = 1 - purity + purity * np.array(colorsys.hsv_to_rgb(rng.random(), 1.0, 1.0))
    return colour / (colour @ LUMINANCE)


def draw_lighting(rng: np.random.Generator, present: Tensor | np.ndarray, own: bool) -> np.ndarray:
    """Weights (10, 3) float32 of one to four sources among those ``present`` (10,), each of its own colour and strength.

    ``own`` allows the room's own daylight and lamps, which no other room has: for pairs of one scene.
    """
    there = np.asarray(present, bool)
    rig, extra = np.flatnonzero(there[: len(RIG)]), np.flatnonzero(there[len(RIG) :]) + len(RIG)
    chosen = rng.permutation(rig)[: 1 + int(rng.choice(len(_SOURCES), p=_SOURCES))]
    if own and len(extra) and rng.random() < _OWN:
        chosen = np.append(chosen[1:], rng.choice(extra))
    weights = np.zeros((len(SLOTS), 3), np.float32)
    for slot in chosen:
        strength = np.exp(np.clip(rng.normal(0, _SPREAD), -_LIMIT, _LIMIT))
        weights[slot] = strength * draw_colour(rng)
    return weights


def draw_lightings(rng: np.random.Generator, present: np.ndarray, own: np.ndarray) -> np.ndarray:
    """As :func:`draw_lighting`, many at once: weights (N, 10, 3) float32 for ``present`` (N, 10) and ``own`` (N,), bool.

    One seed draws other lightings here than there, where the pairs of benchmarks have theirs from.
    """
    count, rig = len(present), len(RIG)
    order = np.where(present[:, :rig], rng.random((count, rig)), 2).argsort(1)
    number = 1 + rng.choice(len(_SOURCES), (count, 1), p=_SOURCES)
    chosen = np.zeros_like(present)
    chosen[:, :rig] = (order.argsort(1) < number) & present[:, :rig]
    extra = present[:, rig:]
    swapped = np.flatnonzero(own & extra.any(1) & (rng.random(count) < _OWN))
    which = np.where(extra, rng.random(extra.shape), -1).argmax(1)
    chosen[swapped, order[swapped, 0]] = False
    chosen[swapped, rig + which[swapped]] = True
    strength = np.exp(np.clip(rng.normal(0, _SPREAD, chosen.shape), -_LIMIT, _LIMIT))
    colours = _draw_colours(rng, chosen.size).reshape(*chosen.shape, 3)
    return ((chosen * strength)[..., None] * colours).astype(np.float32)


def _draw_colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """As :func:`draw_colour`: (N, 3)."""
    purity, hue = rng.uniform(*_PURITY, (count, 1)), rng.random((count, 1))
    # colorsys' hsv_to_rgb of full saturation and value.
    pure = np.clip(abs(6 * hue - (3, 2, 4)) * (1, -1, -1) + (-1, 2, 2), 0, 1)
    mixed = 1 - purity + purity * pure
    mixed /= mixed @ LUMINANCE[:, None]
    bodies = _bodies()
    return np.where(rng.random((count, 1)) < _SATURATED, mixed, bodies[rng.integers(len(bodies), size=count)])


@cache
def _bodies() -> np.ndarray:
    """Black bodies (512, 3) between the limits, evenly in reciprocal kelvin."""
    return np.stack([blackbody(1 / cold) for cold in np.linspace(1 / _KELVIN[1], 1 / _KELVIN[0], 512)])


def mix(lights: Tensor, weights: Tensor) -> Tensor:
    """The room under a lighting: linear (..., S, S, 3) float32 of lights (..., 10, S, S, 3) and weights (..., 10, 3)."""
    if lights.ndim > 4:
        return torch.stack([mix(room, lighting) for room, lighting in zip(lights, weights, strict=True)])
    linear = torch.zeros(lights.shape[1:], device=lights.device)
    # Most lightings have few sources: only the pictures of these are read.
    for slot in weights.sum(-1).nonzero().flatten().tolist():
        linear.addcmul_(lights[slot].float(), weights[slot].float())
    return linear


def photograph(linear: Tensor) -> Tensor:
    """What a camera shows of linear pictures (..., S, S, 3): display values in [0, 1], same shape.

    Each is exposed by itself so that the 95th percentile of its luminance is 0.95, clipped, and given the sRGB curve.
    """
    level = torch.quantile(luminance(linear).flatten(-2), 0.95, -1).clamp(min=1e-6)
    return srgb_oetf((linear * (0.95 / level)[..., None, None, None]).clamp(0, 1))
