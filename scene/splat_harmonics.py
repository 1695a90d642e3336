# SPDX-License-Identifier: GPL-3.0-or-later
"""3DGS' real spherical harmonics up to degree 4 as polynomials: nodes compute them, and numbers turn with a cloud.

The engine has them as formulas of its own (backend/splats/harmonics.py), since neither side may import the other;
a test holds the two together.
"""

from __future__ import annotations

import numpy as np

#: The constant harmonic: a colour is .5 + DC · base + ….
DC = 0.28209479177387814
#: Each harmonic beyond the constant as (factor, monomial), degree after degree.
POLYNOMIALS: list[list[tuple[float, str]]] = [
    [(-0.4886025119029199, "y")],
    [(0.4886025119029199, "z")],
    [(-0.4886025119029199, "x")],
    [(1.0925484305920792, "xy")],
    [(-1.0925484305920792, "yz")],
    [(0.94617469575756, "zz"), (-0.31539156525252005, "")],
    [(-1.0925484305920792, "xz")],
    [(0.5462742152960396, "xx"), (-0.5462742152960396, "yy")],
    [(-1.7701307697799304, "xxy"), (0.5900435899266435, "yyy")],
    [(2.890611442640554, "xyz")],
    [(-2.285228997322329, "yzz"), (0.4570457994644658, "y")],
    [(1.865881662950577, "zzz"), (-1.1195289977703462, "z")],
    [(-2.285228997322329, "xzz"), (0.4570457994644658, "x")],
    [(1.445305721320277, "xxz"), (-1.445305721320277, "yyz")],
    [(-0.5900435899266435, "xxx"), (1.7701307697799304, "xyy")],
    [(2.5033429417967046, "xxxy"), (-2.5033429417967046, "xyyy")],
    [(-5.310392309339791, "xxyz"), (1.7701307697799304, "yyyz")],
    [(6.6232228703029207, "xyzz"), (-0.9461746957575601, "xy")],
    [(-4.683325804901024, "yzzz"), (2.0071396306718676, "yz")],
    [(3.7024941420321507, "zzzz"), (-3.1735664074561294, "zz"), (0.31735664074561293, "")],
    [(-4.683325804901024, "xzzz"), (2.0071396306718676, "xz")],
    [(3.3116114351514604, "xxzz"), (-3.3116114351514604, "yyzz"), (-0.47308734787878004, "xx"),
     (0.47308734787878004, "yy")],
    [(-1.7701307697799304, "xxxz"), (5.310392309339791, "xyyz")],
    [(0.6258357354491761, "xxxx"), (-3.7550144126950569, "xxyy"), (0.6258357354491761, "yyyy")],
]  # fmt: skip
#: Those of each degree.
DEGREES = (slice(0, 3), slice(3, 8), slice(8, 15), slice(15, 24))


def turned(harmonics: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Coefficients (N, K, 3) of the same functions after a ``rotation`` (3, 3): each degree turns within itself."""
    found = harmonics.copy()
    directions = np.random.default_rng(0).normal(size=(64, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for degree in DEGREES:
        if harmonics.shape[1] < degree.stop or np.allclose(rotation, np.eye(3)):
            break
        # What is seen along d after the rotation was seen along its inverse of d before.
        before, after = values(directions @ rotation, degree), values(directions, degree)
        mixing = np.linalg.lstsq(after, before, rcond=None)[0]
        found[:, degree] = np.einsum("ij,njc->nic", mixing.astype(np.float32), harmonics[:, degree])
    return found


def values(directions: np.ndarray, degree: slice) -> np.ndarray:
    """(P, terms): a degree's harmonics along unit ``directions`` (P, 3)."""
    parts = dict(zip("xyz", directions.T, strict=True))

    def value(monomials: list[tuple[float, str]]) -> np.ndarray:
        return np.sum([factor * np.prod([parts[letter] for letter in letters] or [parts["x"] * 0 + 1], axis=0)
                       for factor, letters in monomials], axis=0)  # fmt: skip

    return np.stack([value(monomials) for monomials in POLYNOMIALS[degree]], -1)
