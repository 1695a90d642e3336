# SPDX-License-Identifier: GPL-3.0-or-later
"""From Gaussians to ellipses in the picture and, for gradients, back: kernels for numba, a range of Gaussians a call.

Same formulas as :mod:`.dense`. ``view`` (3, 4): the Gaussians' frame to x right, y down, z forward. ``lens``: fx, fy,
cx, cy. ``limits``: see :meth:`.camera.SplatCamera.limits`. Arrays are all of one float type. An ellipse is a row of
:data:`COLUMNS`: position x y in pixels, inverse covariance a b c (σ = ½(a dx² + c dy²) + b dx dy), planar depth, the
greatest σ that is still drawn (negative: none), opacity.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...compiled import njit
from .camera import NEAR
from .dense import DILATION, LEAST_ALPHA

X, Y, A, B, C, DEPTH, REACH, OPACITY = range(8)
COLUMNS = 8
#: Options of all kernels: threads are ours, and a NaN stays one.
JIT: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False,
                       "fastmath": {"contract", "reassoc", "arcp", "nsz", "afn"}}  # fmt: skip


@njit(**JIT)
def _rotation(q: Any, r: Any) -> None:
    w, x, y, z = q[0], q[1], q[2], q[3]
    r[0, 0], r[0, 1], r[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    r[1, 0], r[1, 1], r[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    r[2, 0], r[2, 1], r[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)


@njit(**JIT)
def _shape(p: Any, scale: Any, turn: Any, view: Any, lens: Any, limits: Any, slope: Any, to_picture: Any, out: Any):
    """``to_picture`` (2, 3) = J·W and ``out`` (2, 3) = J·W·R·S, for a point ``p`` of the camera's frame."""
    depth = p[2]
    slope[0] = min(max(p[0] / depth, limits[0]), limits[1])
    slope[1] = min(max(p[1] / depth, limits[2]), limits[3])
    for j in range(3):
        to_picture[0, j] = lens[0] / depth * (view[0, j] - slope[0] * view[2, j])
        to_picture[1, j] = lens[1] / depth * (view[1, j] - slope[1] * view[2, j])
    for i in range(2):
        for j in range(3):
            total = to_picture[i, 0] * turn[0, j] + to_picture[i, 1] * turn[1, j] + to_picture[i, 2] * turn[2, j]
            out[i, j] = total * scale[j]


@njit(**JIT)
def _to_camera(mean: Any, view: Any, p: Any) -> None:
    for i in range(3):
        p[i] = view[i, 0] * mean[0] + view[i, 1] * mean[1] + view[i, 2] * mean[2] + view[i, 3]


@njit(**JIT)
def forward(first: int, last: int, means: Any, quats: Any, scales: Any, opacity: Any, screen: Any, view: Any,
            lens: Any, limits: Any, size: Any, ellipses: Any, boxes: Any) -> None:  # fmt: skip
    """Fill ``ellipses`` (N, 8) and ``boxes`` (N, 4), int32: columns [x0, x1), rows [y0, y1) they can touch."""
    p, slope = np.empty(3, means.dtype), np.empty(2, means.dtype)
    turn = np.empty((3, 3), means.dtype)
    to_picture, shape = np.empty((2, 3), means.dtype), np.empty((2, 3), means.dtype)
    for n in range(first, last):
        boxes[n] = 0
        ellipses[n, REACH] = -1
        _to_camera(means[n], view, p)
        if not (p[2] > NEAR) or not (opacity[n] >= LEAST_ALPHA):
            continue
        _rotation(quats[n], turn)
        _shape(p, scales[n], turn, view, lens, limits, slope, to_picture, shape)
        xx = shape[0, 0] ** 2 + shape[0, 1] ** 2 + shape[0, 2] ** 2 + DILATION
        yy = shape[1, 0] ** 2 + shape[1, 1] ** 2 + shape[1, 2] ** 2 + DILATION
        xy = shape[0, 0] * shape[1, 0] + shape[0, 1] * shape[1, 1] + shape[0, 2] * shape[1, 2]
        determinant = xx * yy - xy * xy
        reach = math.log(opacity[n] / LEAST_ALPHA)
        x, y = lens[0] * p[0] / p[2] + lens[2] + screen[n, 0], lens[1] * p[1] / p[2] + lens[3] + screen[n, 1]
        half_x, half_y = math.sqrt(2 * reach * xx), math.sqrt(2 * reach * yy)
        if not (determinant > 0) or not (abs(x) + abs(y) + half_x + half_y < 1e8):
            continue
        # A pixel is touched if its centre, at + 0.5, lies in the ellipse's box.
        left, right = max(0, math.ceil(x - half_x - 0.5)), min(size[0], math.floor(x + half_x - 0.5) + 1)
        top, bottom = max(0, math.ceil(y - half_y - 0.5)), min(size[1], math.floor(y + half_y - 0.5) + 1)
        if left >= right or top >= bottom:
            continue
        e, b = ellipses[n], boxes[n]
        e[X], e[Y], e[DEPTH], e[REACH], e[OPACITY] = x, y, p[2], reach, opacity[n]
        e[A], e[B], e[C] = yy / determinant, -xy / determinant, xx / determinant
        b[0], b[1], b[2], b[3] = left, right, top, bottom


@njit(**JIT)
def backward(first: int, last: int, means: Any, quats: Any, scales: Any, view: Any, lens: Any, limits: Any,
             ellipses: Any, g: Any, g_means: Any, g_quats: Any, g_scales: Any) -> None:  # fmt: skip
    """From gradients ``g`` (N, 6) of position, inverse covariance and depth to those of means, quats and scales."""
    kind = means.dtype
    p, slope, turn = np.empty(3, kind), np.empty(2, kind), np.empty((3, 3), kind)
    to_picture, shape, g_shape = np.empty((2, 3), kind), np.empty((2, 3), kind), np.empty((2, 3), kind)
    g_to, g_turn, g_p = np.empty((2, 3), kind), np.empty((3, 3), kind), np.empty(3, kind)
    for n in range(first, last):
        if ellipses[n, REACH] < 0:
            continue
        _to_camera(means[n], view, p)
        _rotation(quats[n], turn)
        _shape(p, scales[n], turn, view, lens, limits, slope, to_picture, shape)
        a, b, c = ellipses[n, A], ellipses[n, B], ellipses[n, C]
        # dΣ = −Q dQ Q, with the gradient of Q as a full symmetric matrix.
        ga, gb, gc = g[n, A], g[n, B] / 2, g[n, C]
        s00 = -(a * (ga * a + gb * b) + b * (gb * a + gc * b))
        s01 = -(a * (ga * b + gb * c) + b * (gb * b + gc * c))
        s11 = -(b * (ga * b + gb * c) + c * (gb * b + gc * c))
        for j in range(3):
            # Σ = shape·shapeᵀ
            g_shape[0, j] = 2 * (s00 * shape[0, j] + s01 * shape[1, j])
            g_shape[1, j] = 2 * (s01 * shape[0, j] + s11 * shape[1, j])
            g_scales[n, j] = 0
            for i in range(3):
                product = to_picture[0, i] * g_shape[0, j] + to_picture[1, i] * g_shape[1, j]
                g_scales[n, j] += product * turn[i, j]
                g_turn[i, j] = product * scales[n, j]
        for i in range(2):
            for j in range(3):
                g_to[i, j] = (
                    g_shape[i, 0] * scales[n, 0] * turn[j, 0]
                    + g_shape[i, 1] * scales[n, 1] * turn[j, 1]
                    + g_shape[i, 2] * scales[n, 2] * turn[j, 2]
                )
        depth = p[2]
        g_p[0], g_p[1] = g[n, X] * lens[0] / depth, g[n, Y] * lens[1] / depth
        g_p[2] = g[n, DEPTH] - (g_p[0] * p[0] + g_p[1] * p[1]) / depth
        for i in range(2):
            held, along = 0 * depth, 0 * depth
            for j in range(3):
                along -= g_to[i, j] * to_picture[i, j]
                held -= g_to[i, j] * view[2, j]
            g_p[2] += along / depth
            if limits[2 * i] < p[i] / depth < limits[2 * i + 1]:
                g_slope = held * lens[i] / depth
                g_p[i] += g_slope / depth
                g_p[2] -= g_slope * slope[i] / depth
        for j in range(3):
            g_means[n, j] = view[0, j] * g_p[0] + view[1, j] * g_p[1] + view[2, j] * g_p[2]
        _turn_back(quats[n], g_turn, g_quats[n])


@njit(**JIT)
def _turn_back(q: Any, g: Any, out: Any) -> None:
    """Gradient of a matrix (3, 3) made by :func:`_rotation` to that of the quaternion."""
    w, x, y, z = q[0], q[1], q[2], q[3]
    out[0] = 2 * (x * (g[2, 1] - g[1, 2]) + y * (g[0, 2] - g[2, 0]) + z * (g[1, 0] - g[0, 1]))
    out[1] = 2 * (-2 * x * (g[1, 1] + g[2, 2]) + y * (g[0, 1] + g[1, 0]) + z * (g[0, 2] + g[2, 0])
                  + w * (g[2, 1] - g[1, 2]))  # fmt: skip
    out[2] = 2 * (x * (g[0, 1] + g[1, 0]) - 2 * y * (g[0, 0] + g[2, 2]) + z * (g[1, 2] + g[2, 1])
                  + w * (g[0, 2] - g[2, 0]))  # fmt: skip
    out[3] = 2 * (x * (g[0, 2] + g[2, 0]) + y * (g[1, 2] + g[2, 1]) - 2 * z * (g[0, 0] + g[1, 1])
                  + w * (g[1, 0] - g[0, 1]))  # fmt: skip
