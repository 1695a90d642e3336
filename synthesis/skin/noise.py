# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise in space, so that it has no seam where the UV has one, and marks set down in UV. Lengths in millimetres."""

from __future__ import annotations

import numpy as np

from ...backend.compiled import njit


def smooth(points: np.ndarray, seed: int, scale: float, octaves: int = 1, gain: float = 0.5) -> np.ndarray:
    """(N,) float32 of zero mean and a deviation of about 0.6 at points (N, 3); features of about ``scale``, and halves."""
    out = np.zeros(len(points), np.float32)
    for octave in range(octaves):
        _lattice(points, 2**octave / scale, np.int64(seed * 7919 + octave * 104729), np.float32(gain**octave), out)
    return out * np.float32(3.1 / np.sqrt(sum(gain ** (2 * o) for o in range(octaves))))


def marks(
    shape: tuple[int, int], places: np.ndarray, radii: np.ndarray, strength: np.ndarray, add: bool = False
) -> np.ndarray:
    """(H, W) float32: round soft marks. ``places`` (N, 2) and ``radii`` (N, 2) x and y in texels; ``strength`` (N,).

    Marks that overlap cover what is left, as pigment does, 1 − Π(1 − s); with ``add`` they add up.
    """
    out = np.zeros(shape, np.float32)
    _splat(out, places.astype(np.float32), radii.astype(np.float32), strength.astype(np.float32), add)
    return out


@njit(nogil=True)
def _corner(x, y, z, seed):  # type: ignore[no-untyped-def]
    """A number in −0.5..0.5 that belongs to a point of the lattice."""
    h = (x * 73856093) ^ (y * 19349663) ^ (z * 83492791) ^ (seed * 2654435761)
    h = ((h ^ (h >> 15)) * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 3266489917) & 0xFFFFFFFF
    return np.float32(((h ^ (h >> 16)) & 0xFFFFFF) / 16777216.0 - 0.5)


@njit(nogil=True)
def _lattice(points, frequency, seed, gain, out):  # type: ignore[no-untyped-def]
    """Add ``gain`` times value noise, smooth between the points of a cubic lattice, to ``out``."""
    for n in range(points.shape[0]):
        x, y, z = points[n, 0] * frequency, points[n, 1] * frequency, points[n, 2] * frequency
        i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        a, b, c = x - i, y - j, z - k
        a, b, c = a * a * (3 - 2 * a), b * b * (3 - 2 * b), c * c * (3 - 2 * c)
        total = 0.0
        for p in range(2):
            for q in range(2):
                near = _corner(i + p, j + q, k, seed) * (1 - c) + _corner(i + p, j + q, k + 1, seed) * c
                total += near * (a if p else 1 - a) * (b if q else 1 - b)
        out[n] += gain * np.float32(total)


@njit(nogil=True)
def _splat(out, places, radii, strength, add):  # type: ignore[no-untyped-def]
    height, width = out.shape
    for n in range(places.shape[0]):
        # Gaussians of half the radius, so that a mark fades out at its radius.
        rx, ry = max(radii[n, 0], np.float32(0.35)), max(radii[n, 1], np.float32(0.35))
        x0, x1 = max(int(places[n, 0] - 1.6 * rx), 0), min(int(places[n, 0] + 1.6 * rx) + 1, width)
        y0, y1 = max(int(places[n, 1] - 1.6 * ry), 0), min(int(places[n, 1] + 1.6 * ry) + 1, height)
        # A mark finer than a texel is as wide as one and fainter.
        share = strength[n] * min(radii[n, 0] / rx, np.float32(1)) * min(radii[n, 1] / ry, np.float32(1))
        for y in range(y0, y1):
            for x in range(x0, x1):
                dx, dy = (x + 0.5 - places[n, 0]) / rx, (y + 0.5 - places[n, 1]) / ry
                s = share * np.exp(-2 * (dx * dx + dy * dy))
                out[y, x] = out[y, x] + s if add else 1 - (1 - out[y, x]) * (1 - s)
