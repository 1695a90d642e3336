# SPDX-License-Identifier: GPL-3.0-or-later
"""A denoiser for traced pictures: the spatial filter of SVGF (Schied et al., HPG 2017, §4.4).

Reflected light is divided by the albedo, smoothed by four à-trous passes that stop at changes of normal, distance and
brightness (beyond what the measured variance explains), and multiplied back. What is seen directly, lamps, sky and
mirror images, passes untouched.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from .tracer import Traced, cached_njit

#: Edge stops of the paper: the normals' exponent 64 as so many squarings, and standard deviations of brightness that
#: count as noise.
SQUARINGS, BRIGHTNESS = 6, 4.0
#: A neighbour of less weight is left out.
FAINT = 1e-6
#: Change of log distance a pixel of offset that weakens a neighbour by e.
SLOPE = 0.1
#: Binomial taps of the à-trous kernel.
TAPS = (0.0625, 0.25, 0.375, 0.25, 0.0625)
#: Albedo below which a pixel counts as black.
DARK = 1e-3


_compile = cached_njit((sys.modules[__name__],))


@_compile
def _noise(variance, y, x, wrap):  # type: ignore[no-untyped-def]
    """Standard deviation around a pixel: its variance, Gaussian-filtered 3 × 3 (the paper's equation 5)."""
    height, width = variance.shape
    total, weight = 0.0, 0.0
    for j in range(-1, 2):
        for i in range(-1, 2):
            qy, qx = y + j, x + i
            if wrap:
                qx %= width
            if 0 <= qy < height and 0 <= qx < width:
                w = 1.0 / ((1 + abs(i)) * (1 + abs(j)))
                total += w * variance[qy, qx]
                weight += w
    return math.sqrt(total / weight)


@_compile
def _facing(normal, y, x, qy, qx):  # type: ignore[no-untyped-def]
    """Weight in [0, 1] of a neighbour for being turned as the pixel is: max(0, cosine)^64."""
    cosine = max(0.0, normal[y, x, 0] * normal[qy, qx, 0] + normal[y, x, 1] * normal[qy, qx, 1]
                 + normal[y, x, 2] * normal[qy, qx, 2])  # fmt: skip
    # Squared over and over: a power costs more than all else of a pixel.
    for _ in range(SQUARINGS):
        cosine *= cosine
    return cosine


@_compile
def _smooth_pixel(light, variance, albedo, normal, log_distance, y, x, step, wrap):  # type: ignore[no-untyped-def]
    """One filtered pixel: (r, g, b, variance)."""
    height, width = variance.shape
    noise = _noise(variance, y, x, wrap)
    bright = (light[y, x, 0] + light[y, x, 1] + light[y, x, 2]) / 3.0
    total, r, g, b, v = 1e-12, 0.0, 0.0, 0.0, 0.0
    for j in range(-2, 3):
        for i in range(-2, 3):
            qy, qx = y + j * step, x + i * step
            if wrap:
                qx %= width
            if qy < 0 or qy >= height or qx < 0 or qx >= width or albedo[qy, qx] <= 0.0:
                continue
            w = TAPS[j + 2] * TAPS[i + 2] * min(albedo[qy, qx] / albedo[y, x], 1.0)
            if i != 0 or j != 0:
                w *= _facing(normal, y, x, qy, qx)
                if w < FAINT:
                    continue
                slope = abs(log_distance[y, x] - log_distance[qy, qx]) / (SLOPE * step * math.sqrt(i * i + j * j))
                other = (light[qy, qx, 0] + light[qy, qx, 1] + light[qy, qx, 2]) / 3.0
                w *= math.exp(-slope - abs(other - bright) / (BRIGHTNESS * noise + 1e-9))
            total += w
            r += w * light[qy, qx, 0]
            g += w * light[qy, qx, 1]
            b += w * light[qy, qx, 2]
            v += w * w * variance[qy, qx]
    return r / total, g / total, b / total, v / (total * total)


@_compile
def _smooth(light, variance, albedo, normal, log_distance, step, wrap):  # type: ignore[no-untyped-def]
    """One à-trous pass with holes of ``step``: filtered light (H, W, 3) and its variance (H, W)."""
    out, spread = np.zeros_like(light), np.zeros_like(variance)
    for y in range(variance.shape[0]):
        for x in range(variance.shape[1]):
            if albedo[y, x] > 0.0:
                r, g, b, v = _smooth_pixel(light, variance, albedo, normal, log_distance, y, x, step, wrap)
                out[y, x, 0], out[y, x, 1], out[y, x, 2], spread[y, x] = r, g, b, v
    return out, spread


def denoise(traced: Traced, *, wrap: bool, passes: int = 4) -> np.ndarray:
    """Radiance (H, W, 3) with the reflected part smoothed. ``wrap``: the picture is a panorama and closes sideways."""
    albedo = traced.albedo.mean(-1)
    tone = np.maximum(traced.albedo, DARK)
    light = (traced.reflected / tone).astype(np.float32)
    variance = traced.variance.astype(np.float32)
    log_distance = np.log(np.minimum(traced.distance, 1e4) + 0.05).astype(np.float32)
    normal = np.ascontiguousarray(traced.normal)
    for level in range(passes):
        light, variance = _smooth(light, variance, albedo, normal, log_distance, 2**level, wrap)
    return traced.emitted + light * np.where(traced.albedo > 0, tone, 0)
