# SPDX-License-Identifier: GPL-3.0-or-later
"""3DGS' real spherical harmonics up to degree 4, with its signs, and how they turn with a cloud.

They differ from those of ``optics.harmonics`` by the Condon–Shortley phase: odd orders change their sign.
Splat files hold coefficients of these. Source of the terms: Sloan, "Efficient Spherical Harmonic
Evaluation" (JCGT 2013); degrees 0 to 3 equal the constants of 3DGS and gsplat. The add-on, which may
not import the engine, has them as polynomials (scene/splat_harmonics.py); a test holds the two together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .cloud import DC

Array = np.ndarray[Any, Any]


def terms(x: Any, y: Any, z: Any, degree: int) -> list[Any]:
    """The (degree + 1)² harmonics at the unit direction x y z: numbers, numpy arrays or tensors alike."""
    found = [DC + 0 * x]
    if degree > 0:
        found += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree > 1:
        found += _second(x, y, z)
    if degree > 2:
        found += _third(x, y, z)
    if degree > 3:
        found += _fourth(x, y, z)
    return found


def _second(x: Any, y: Any, z: Any) -> list[Any]:
    return [
        1.0925484305920792 * x * y,
        -1.0925484305920792 * y * z,
        0.31539156525252005 * (3 * z * z - 1),
        -1.0925484305920792 * x * z,
        0.5462742152960396 * (x * x - y * y),
    ]


def _third(x: Any, y: Any, z: Any) -> list[Any]:
    return [
        -0.5900435899266435 * y * (3 * x * x - y * y),
        2.890611442640554 * x * y * z,
        -0.4570457994644658 * y * (5 * z * z - 1),
        0.3731763325901154 * z * (5 * z * z - 3),
        -0.4570457994644658 * x * (5 * z * z - 1),
        1.445305721320277 * z * (x * x - y * y),
        -0.5900435899266435 * x * (x * x - 3 * y * y),
    ]


def _fourth(x: Any, y: Any, z: Any) -> list[Any]:
    return [
        2.5033429417967046 * x * y * (x * x - y * y),
        -1.7701307697799304 * y * z * (3 * x * x - y * y),
        0.9461746957575601 * x * y * (7 * z * z - 1),
        -0.6690465435572892 * y * z * (7 * z * z - 3),
        0.10578554691520431 * (35 * z**4 - 30 * z * z + 3),
        -0.6690465435572892 * x * z * (7 * z * z - 3),
        0.47308734787878004 * (x * x - y * y) * (7 * z * z - 1),
        -1.7701307697799304 * x * z * (x * x - 3 * y * y),
        0.6258357354491761 * (x * x * (x * x - 3 * y * y) - y * y * (3 * x * x - y * y)),
    ]


def turned(sh: Array, rotation: Array) -> Array:
    """Coefficients (N, K, 3) of a cloud turned by ``rotation`` (3, 3): what was seen along d is now seen along Rd."""
    degree = int(np.sqrt(sh.shape[1])) - 1
    # Each degree turns within itself, so its matrix follows from its values in more directions than it has terms.
    old = np.random.default_rng(0).normal(size=(64, 3))
    old /= np.linalg.norm(old, axis=1, keepdims=True)
    new = old @ np.asarray(rotation, float).T
    before, after = (np.stack(terms(d[:, 0], d[:, 1], d[:, 2], degree), -1) for d in (old, new))
    result = sh.copy()
    for band in range(1, degree + 1):
        part = slice(band * band, (band + 1) ** 2)
        matrix = np.linalg.lstsq(after[:, part], before[:, part], rcond=None)[0]
        result[:, part] = np.einsum("jk,nkc->njc", matrix.astype(np.float32), sh[:, part], optimize=True)
    return result
