# SPDX-License-Identifier: GPL-3.0-or-later
"""The microfacet model: how GGX spreads directions, and its directional albedo as a table (split sum, Karis 2013)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

#: Reflectance of what is no metal, looked at straight on.
DIELECTRIC = 0.04
_TABLE = 32
_SAMPLES = 512


def scattered(count: int) -> tuple[Tensor, Tensor]:
    """``count`` well-spread pairs of numbers in 0..1: Hammersley's."""
    index = torch.arange(count)
    radical, digit, rest = torch.zeros(count), 0.5, index.clone()
    while int(rest.max()) > 0:
        radical, digit, rest = radical + digit * (rest % 2), digit / 2, rest // 2
    return (index + 0.5) / count, radical


def half_vectors(alpha: Tensor, count: int) -> Tensor:
    """(…, count, 3): half vectors about +z drawn by GGX's D·cos for α = roughness² (…)."""
    first, second = scattered(count)
    cos2 = (1 - first) / (1 + (alpha[..., None] ** 2 - 1) * first)
    sine, angle = (1 - cos2).clamp(min=0).sqrt(), 2 * math.pi * second
    return torch.stack([sine * angle.cos(), sine * angle.sin(), cos2.clamp(min=0).sqrt()], -1)


def density(cos_h: Tensor, alpha: float) -> Tensor:
    """GGX's D of the cosine between normal and half vector."""
    return alpha**2 / (math.pi * (cos_h * cos_h * (alpha**2 - 1) + 1) ** 2)


@lru_cache(maxsize=1)
def table() -> Tensor:
    """(2, roughness, n·v): A and B with ∫ f cos = F0·A + B, Smith's height-correlated masking, Schlick's Fresnel."""
    steps = (torch.arange(_TABLE) + 0.5) / _TABLE
    roughness, cos_v = torch.meshgrid(steps, steps, indexing="ij")
    alpha = roughness**2
    h = half_vectors(alpha, _SAMPLES)
    view = torch.stack([(1 - cos_v**2).sqrt(), torch.zeros_like(cos_v), cos_v], -1)[..., None, :]
    v_h = (view * h).sum(-1).clamp(min=0)
    cos_l = 2 * v_h * h[..., 2] - cos_v[..., None]
    v, a2 = cos_v[..., None], alpha[..., None] ** 2
    smith = 2 * cos_l * v / (cos_l * (a2 + (1 - a2) * v * v).sqrt() + v * (a2 + (1 - a2) * cos_l**2).sqrt())
    weight = torch.where(cos_l > 0, smith * v_h / (h[..., 2] * v).clamp(min=1e-6), torch.zeros_like(v_h))
    fresnel = (1 - v_h) ** 5
    return torch.stack([((1 - fresnel) * weight).mean(-1), (fresnel * weight).mean(-1)])


def directional_albedo(base: Tensor, roughness: Tensor, cos_v: Tensor) -> Tensor:
    """(P, 3): share of white surroundings that is reflected, for reflectance ``base`` (P, 3) straight on."""
    where = torch.stack([cos_v, roughness], -1) * 2 - 1
    found = F.grid_sample(table().to(base)[None], where[None, None], padding_mode="border", align_corners=False)
    scale, bias = found[0, :, 0]
    return base * scale[:, None] + bias[:, None]
