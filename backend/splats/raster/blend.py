# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending a tile's ellipses front to back, and the gradients of that: kernels for numba, one tile a call.

What is told of a pixel apart from its channels is computed in double precision; channels come in fours, so that the
innermost loops become vector instructions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...compiled import njit
from .dense import LEAST_LIGHT, MOST_ALPHA
from .project import COLUMNS, JIT, OPACITY, REACH, A, B, C, X, Y
from .tiles import TILE


@njit(inline="always", **JIT)
def _span(e: Any, y: int, first: int, last: int) -> tuple[int, int, float, float]:
    """Columns [x0, x1) of row ``y`` whose centres lie in an ellipse, and σ = ½a·dx² + linear·dx + constant there."""
    dy = e[Y] - (y + 0.5)
    a, linear, constant = float(e[A]), e[B] * dy, 0.5 * e[C] * dy * dy
    inside = linear * linear - 2 * a * (constant - e[REACH])
    if inside < 0:
        return 0, 0, linear, constant
    half, middle = math.sqrt(inside) / a, e[X] - 0.5 + linear / a
    return max(first, math.ceil(middle - half)), min(last, math.floor(middle + half) + 1), linear, constant


@njit(**JIT)
def forward(tile: int, across: int, starts: Any, members: Any, ellipses: Any, boxes: Any, colours: Any, image: Any,
            light: Any, drawn: Any) -> None:  # fmt: skip
    """Add a tile's part to ``image`` (H, W, D); ``light`` (H, W), double, becomes what passes all Gaussians."""
    height, width, channels = image.shape
    left, top = tile % across * TILE, tile // across * TILE
    right, bottom = min(left + TILE, width), min(top + TILE, height)
    open_pixels = (right - left) * (bottom - top)
    closed = np.zeros((TILE, TILE), np.bool_)
    for meeting in range(starts[tile], starts[tile + 1]):
        n = members[meeting]
        e, box, colour = ellipses[n], boxes[n], colours[n]
        middle, half_a, opacity = float(e[X]), 0.5 * e[A], float(e[OPACITY])
        for y in range(max(top, box[2]), min(bottom, box[3])):
            x0, x1, linear, constant = _span(e, y, max(left, box[0]), min(right, box[1]))
            for x in range(x0, x1):
                if closed[y - top, x - left]:
                    continue
                dx = middle - (x + 0.5)
                alpha = min(MOST_ALPHA, opacity * math.exp(-(dx * (half_a * dx + linear) + constant)))
                passed = light[y, x] * (1 - alpha)
                if passed <= LEAST_LIGHT:
                    closed[y - top, x - left] = True
                    open_pixels -= 1
                    continue
                weight = colours.dtype.type(light[y, x] * alpha)
                light[y, x] = passed
                drawn[n] = True
                pixel = image[y, x]
                for c in range(0, channels, 4):
                    c0, c1, c2, c3 = colour[c], colour[c + 1], colour[c + 2], colour[c + 3]
                    p0, p1, p2, p3 = pixel[c], pixel[c + 1], pixel[c + 2], pixel[c + 3]
                    pixel[c], pixel[c + 1] = p0 + weight * c0, p1 + weight * c1
                    pixel[c + 2], pixel[c + 3] = p2 + weight * c2, p3 + weight * c3
        if open_pixels == 0:
            return


@njit(**JIT)
def backward(tile: int, across: int, starts: Any, members: Any, slots: Any, ellipses: Any, boxes: Any, colours: Any,
             g_image: Any, g_alpha: Any, behind: Any, g: Any) -> None:  # fmt: skip
    """Write the gradients of a tile's meetings, the ellipse's and then the colours', to rows ``slots`` of ``g``.

    ``g_image`` (H, W, D), ``g_alpha`` (H, W): gradients of the picture and of its coverage. ``behind`` (H, W), double:
    the sum over a pixel's channels and coverage of value times gradient; consumed: what lies in front is taken away.
    """
    height, width, channels = g_image.shape
    left, top = tile % across * TILE, tile // across * TILE
    right, bottom = min(left + TILE, width), min(top + TILE, height)
    open_pixels = (right - left) * (bottom - top)
    light = np.ones((TILE, TILE))
    of_colour = np.zeros(channels, colours.dtype)
    for meeting in range(starts[tile], starts[tile + 1]):
        n = members[meeting]
        e, box, colour = ellipses[n], boxes[n], colours[n]
        middle, a, b, c, opacity = float(e[X]), float(e[A]), float(e[B]), float(e[C]), float(e[OPACITY])
        g_x, g_y, g_a, g_b, g_c, g_opacity = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        of_colour[:] = 0
        for y in range(max(top, box[2]), min(bottom, box[3])):
            x0, x1, linear, constant = _span(e, y, max(left, box[0]), min(right, box[1]))
            dy = e[Y] - (y + 0.5)
            for x in range(x0, x1):
                arrives = light[y - top, x - left]
                if arrives <= 0:
                    continue
                dx = middle - (x + 0.5)
                visible = math.exp(-(dx * (0.5 * a * dx + linear) + constant))
                alpha = min(MOST_ALPHA, opacity * visible)
                passed = arrives * (1 - alpha)
                if passed <= LEAST_LIGHT:
                    light[y - top, x - left] = 0
                    open_pixels -= 1
                    continue
                light[y - top, x - left] = passed
                weight = colours.dtype.type(arrives * alpha)
                g_pixel = g_image[y, x]
                s0, s1, s2, s3 = (g_pixel[0] * colour[0], g_pixel[1] * colour[1], g_pixel[2] * colour[2],
                                  g_pixel[3] * colour[3])  # fmt: skip
                for k in range(4, channels, 4):
                    s0 += g_pixel[k] * colour[k]
                    s1 += g_pixel[k + 1] * colour[k + 1]
                    s2 += g_pixel[k + 2] * colour[k + 2]
                    s3 += g_pixel[k + 3] * colour[k + 3]
                for k in range(0, channels, 4):
                    c0, c1, c2, c3 = g_pixel[k], g_pixel[k + 1], g_pixel[k + 2], g_pixel[k + 3]
                    p0, p1, p2, p3 = of_colour[k], of_colour[k + 1], of_colour[k + 2], of_colour[k + 3]
                    of_colour[k], of_colour[k + 1] = p0 + weight * c0, p1 + weight * c1
                    of_colour[k + 2], of_colour[k + 3] = p2 + weight * c2, p3 + weight * c3
                own = s0 + s1 + s2 + s3 + g_alpha[y, x]
                behind[y, x] -= arrives * alpha * own
                if opacity * visible >= MOST_ALPHA:
                    continue
                slope = arrives * own - behind[y, x] / (1 - alpha)
                g_opacity += slope * visible
                slope *= -alpha
                g_x += slope * (a * dx + linear)
                g_y += slope * (b * dx + c * dy)
                g_a += slope * dx * dx
                g_b += slope * dx * dy
                g_c += slope * dy * dy
        row = g[slots[meeting]]
        row[X], row[Y], row[A], row[B], row[C], row[OPACITY] = g_x, g_y, 0.5 * g_a, g_b, 0.5 * g_c, g_opacity
        for k in range(channels):
            row[COLUMNS + k] = of_colour[k]
        if open_pixels == 0:
            return


@njit(**JIT)
def gather(first: int, last: int, firsts: Any, g: Any, out: Any) -> None:
    """Add up every Gaussian's rows of ``g`` into ``out`` (N, 8 + D)."""
    for n in range(first, last):
        for slot in range(firsts[n], firsts[n + 1]):
            for c in range(g.shape[1]):
                out[n, c] += g[slot, c]
