# SPDX-License-Identifier: GPL-3.0-or-later
"""Anatomy in the UV of the head: where lips, lids, brows, beard and scalp are, as soft maps (R, R) in 0..1.

Places on the UV square are in 0..1 of its side, v down, for the half with u < 0.5; heights and depths are millimetres in
the head frame on the mean head (:class:`.layout.Layout`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from .layout import Layout, layout, step
from .noise import smooth

#: The lips' outline from the right corner over the upper lip to the middle, and back under the lower.
_UPPER = ((0.4415, 0.7440), (0.4585, 0.7255), (0.4780, 0.7060), (0.4915, 0.6968), (0.5, 0.7000))
_LOWER = ((0.4510, 0.7640), (0.4690, 0.7790), (0.4880, 0.7870), (0.5, 0.7885))
#: The visible rim of the right eye: centre and half axes.
EYE = (0.4195, 0.4500, 0.0270, 0.0195)
NOSTRIL = (0.4780, 0.6125, 0.0085, 0.0060)
EAR = (0.2050, 0.4790, 0.0210, 0.1090)
#: Hair starts above this height (second) at a depth (first).
_HAIRLINE = ((-25, 86), (-9, 75), (6, 60), (18, 42), (28, 20), (40, 4), (46, -20), (54, -20), (58, 16), (94, 16),
             (98, -24), (132, -74), (200, -74))  # fmt: skip
#: The beard's upper edge: height (second) at a distance from the middle (first).
_BEARD = ((0, -78), (22, -74), (30, -71), (42, -64), (54, -50), (66, -26), (90, -20))


@lru_cache(maxsize=4)
def lips(size: int) -> np.ndarray:
    """Signed distance to the lips' edge in texels of a map of 512, positive inside."""
    half = [*_UPPER, *[(1 - u, v) for u, v in reversed(_UPPER[:-1])]]
    half += [*[(1 - u, v) for u, v in _LOWER[:-1]], *reversed(_LOWER)]
    fine = 4 * size
    picture = Image.new("L", (fine, fine))
    ImageDraw.Draw(picture).polygon([(u * fine, v * fine) for u, v in half], fill=1)
    # Rounded, since the outline has few points.
    inside = ndimage.gaussian_filter(np.asarray(picture, np.float32), 0.004 * fine) > 0.5
    box = np.s_[int(0.6 * fine) : int(0.9 * fine), int(0.35 * fine) : int(0.65 * fine)]
    signed = np.full((fine, fine), -99.0, np.float32)
    part = inside[box]
    signed[box] = ndimage.distance_transform_edt(part) - ndimage.distance_transform_edt(~part)
    return signed.reshape(size, 4, size, 4).mean((1, 3)) * (512 / fine)


@lru_cache(maxsize=4)
def lower_lip(size: int) -> np.ndarray:
    """1 on the lower lip and below, 0 on the upper and above."""
    return step(layout(size).v, 0.747, 0.757)


@lru_cache(maxsize=4)
def eye(size: int) -> np.ndarray:
    """Distance to the middle of the nearer eye, 1 on the rim of its lids."""
    return np.sqrt(layout(size).at(*EYE))


@lru_cache(maxsize=4)
def ear(size: int) -> np.ndarray:
    """The outer ears."""
    return step(layout(size).at(*EAR), 1.7, 0.5)


@lru_cache(maxsize=4)
def nostril(size: int) -> np.ndarray:
    """The openings of the nose."""
    return step(layout(size).at(*NOSTRIL), 2.2, 0.5)


@lru_cache(maxsize=4)
def under_eye(size: int) -> np.ndarray:
    """The crescent below each eye, and fainter the whole socket."""
    at = layout(size)
    crescent = np.exp(-at.at(0.4230, 0.4850, 0.034, 0.0155) * 1.2) * step(eye(size), 0.9, 1.1)
    socket = np.exp(-at.at(0.4230, 0.4480, 0.046, 0.045) * 1.5)
    return np.maximum(crescent, 0.5 * socket)


@lru_cache(maxsize=4)
def lid(size: int) -> np.ndarray:
    """The upper lids, up to the fold under the brow."""
    at = layout(size)
    return np.exp(-at.at(0.4190, 0.4250, 0.030, 0.018) * 1.3) * step(eye(size), 0.9, 1.1)


@lru_cache(maxsize=4)
def zone(size: int) -> np.ndarray:
    """Where skin is oily and its pores are wide: nose, forehead, chin and the inner cheeks."""
    at = layout(size)
    nose = at.blob(0, -32, 16, 20)
    forehead = at.blob(0, 40, 34, 20)
    chin = 0.7 * at.blob(0, -92, 16, 10)
    cheek = 0.75 * at.blob(30, -32, 14, 14)
    return np.clip(np.maximum(np.maximum(nose, forehead), np.maximum(chin, cheek)), 0, 1)


def above_hairline(at: Layout, recede: float, wave: np.ndarray) -> np.ndarray:
    """Millimetres (R, R) above the edge of the scalp's hair. ``recede``: mm that the temples are laid bare."""
    depth, height = zip(*_HAIRLINE, strict=True)
    temples = recede * step(at.y, 95, 30) * (0.55 + 0.45 * step(at.x, 12, 40))
    inside = at.z - np.interp(at.y, depth, height).astype(np.float32) - temples - wave
    return np.where(ear(at.size) > 0.3, -20.0, inside).astype(np.float32)


def beard(at: Layout, kind: str, wave: np.ndarray) -> np.ndarray:
    """How densely (R, R) the beard of a kind grows; the lips and the mouth are free of it."""
    reach, height = zip(*_BEARD, strict=True)
    edge = np.interp(at.x, reach, height).astype(np.float32) + wave
    jaw = step(at.z, edge + 5, edge - 9) * step(at.y, 58, 44) * step(at.z + 0.25 * at.y, -116, -104)
    lip = at.blob(0, -61, 26, 4.5) + at.blob(24, -68, 7, 8)
    lip = np.clip(1.5 * lip, 0, 1)
    # Sparser in front of the jaw below the corners of the mouth.
    sparse = 1 - 0.55 * at.blob(24, -84, 7, 7)
    if kind == "moustache":
        grown = np.maximum(lip, 0.25 * jaw)
    elif kind == "goatee":
        grown = np.maximum(np.maximum(lip, np.clip(1.6 * at.blob(0, -94, 24, 14), 0, 1)), 0.2 * jaw)
    else:
        grown = np.maximum(np.maximum(jaw * sparse, 0.9 * lip), at.blob(0, -85, 8, 6))
    free = step(lips(at.size), 0.5, -2.5) * step(nostril(at.size), 0.4, 0.0)
    return np.clip(grown, 0, 1) * free * (1 - ear(at.size))


def noise(rng: np.random.Generator, size: int, scale: float, octaves: int = 1, gain: float = 0.5) -> np.ndarray:
    """(R, R) of zero mean and a deviation of about 0.6 on the skin; features of ``scale`` millimetres, without seams."""
    coarse = next((s for s in (128, 256) if s < size and scale / 2 ** (octaves - 1) > 1400 / s), size)
    points = layout(coarse).place.reshape(-1, 3)
    found = smooth(points, int(rng.integers(2**31)), scale, octaves, gain).reshape(coarse, coarse)
    return found if coarse == size else enlarge(found, size)


def enlarge(values: np.ndarray, size: int) -> np.ndarray:
    """(C, C) to (size, size), bilinear."""
    picture = Image.fromarray(values.astype(np.float32))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
