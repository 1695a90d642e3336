# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions of direction as coefficients of a splat's harmonics, in torch: their values, colours, products."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .. import harmonics

#: Of the light, the visibility and the raw radiance.
DEGREE = 3
COUNT = 16


def basis(directions: Tensor, degree: int = DEGREE) -> Tensor:
    """(…, (degree + 1)²): the harmonics along unit ``directions`` (…, 3)."""
    x, y, z = directions.unbind(-1)
    return torch.stack(harmonics.terms(x, y, z, degree), -1)


def colours(sh: Tensor, directions: Tensor) -> Tensor:
    """(N, 3): display colour ``.5 + Σ sh_k Y_k`` at least 0, of sh (N, K, 3) along unit directions eye to Gaussian."""
    degree = math.isqrt(sh.shape[1]) - 1
    return (0.5 + torch.einsum("nk,nkc->nc", basis(directions, degree), sh)).clamp(min=0)


@lru_cache(maxsize=1)
def triple_products() -> Tensor:
    """(16, 16, 9): ∫ Y_i Y_j Y_k over the sphere, k up to degree 2, exactly by quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    angle = torch.arange(16, dtype=torch.float64) * (2 * math.pi / 16)
    z, weight = torch.from_numpy(nodes)[:, None], torch.from_numpy(weights)[:, None] * (2 * math.pi / 16)
    flat = (1 - z * z).sqrt()
    d = torch.stack([flat * angle.cos(), flat * angle.sin(), z.expand(-1, 16)], -1).reshape(-1, 3)
    y = basis(d)
    return torch.einsum("pi,pj,pk,p->ijk", y, y, y[:, :9], weight.expand(-1, 16).reshape(-1)).float()
