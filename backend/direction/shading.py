# SPDX-License-Identifier: GPL-3.0-or-later
"""Light from shading alone, without weights: the spherical harmonics that explain the picture's brightness by normals.

Least squares of I ≈ albedo · E(n), where E is the irradiance of nine harmonics, with robust weights: most of a picture
is taken to have one albedo, and what is painted darker or brighter counts little (methods.md §6.4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import lsq_linear
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput
from ..limo.view import View
from ..optics.camera import Camera
from ..optics.exposure import luminance
from . import bins

#: Pixels on the longer side that are fitted.
_SIDE = 96
#: Neighbouring depths that differ by more than this share belong to two surfaces.
_STEP = 0.1
#: Factors of the clamped cosine for bands 0, 1, 2 (Ramamoorthi and Hanrahan 2001).
_BANDS = torch.tensor([math.pi] + [2 * math.pi / 3] * 3 + [math.pi / 4] * 5)
_ROUNDS = 12
#: Pulls the second band, which normals of a few walls leave undetermined, towards zero.
_RIDGE = (1e-3, 3e-2, 0.3)


@dataclass(frozen=True, eq=False)
class Shading:
    """Unit ``direction`` (3,) camera frame, ``key_to_fill``, key irradiance (3,) for surfaces of middle grey,
    ``spread_deg``, and the share of pixels that could be used."""

    direction: Tensor
    key_to_fill: float
    irradiance: Tensor
    spread_deg: float
    used: float


def harmonics(n: Tensor) -> Tensor:
    """The nine real spherical harmonics of unit vectors (..., 3): (..., 9), order 1, y, z, x, then the second band."""
    x, y, z = n.unbind(-1)
    return torch.stack(
        [
            torch.full_like(x, 0.282095), 0.488603 * y, 0.488603 * z, 0.488603 * x,
            1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1), 1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        -1,
    )  # fmt: skip


def normals(depth: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Unit normals (H, W, 3) towards the camera, camera frame, and where they are known (H, W): not at edges or sky."""
    points = camera.unproject(depth.clamp(max=1e5))
    right, down = torch.zeros_like(points), torch.zeros_like(points)
    right[:, 1:-1] = points[:, 2:] - points[:, :-2]
    down[1:-1] = points[2:] - points[:-2]
    found = F.normalize(torch.linalg.cross(down, right), dim=-1)
    around = F.pad(depth[None, None], (1, 1, 1, 1), mode="replicate")
    far, near = F.max_pool2d(around, 3, 1)[0, 0], -F.max_pool2d(-around, 3, 1)[0, 0]
    known = torch.isfinite(far) & (far - near < _STEP * depth.clamp(max=1e5))
    known[[0, -1]] = False
    known[:, [0, -1]] = False
    return found, known


def estimate_shading(view: View) -> Shading:
    """The light that explains the view's shading. Raises :class:`BadInput` where too little of it can be used."""
    scale = min(1.0, _SIDE / max(view.camera.width, view.camera.height))
    small = view.resized(max(8, round(view.camera.width * scale)), max(8, round(view.camera.height * scale)))
    normal, known = normals(small.depth, small.camera)
    light = luminance(small.radiance)
    usable = known & (small.radiance.amax(-1) < 0.98) & (light > 0.004)
    if int(usable.sum()) < 60:
        raise BadInput(
            "Too little of the picture shows shaded surfaces: it is sky, too bright or too dark.",
            "Use --model embedded, or a depth map with shapes in it.",
        )
    basis = harmonics(normal[usable]) * _BANDS
    weights, coefficients = _robust(basis, light[usable])
    band = coefficients[1:4]
    linear = torch.stack([band[2], band[0], band[1]])
    # The linear part of E is A₁·k·(c·n): one source of irradiance e gives it the slope e/2.
    slope = float(linear.norm()) * 0.488603 * float(_BANDS[1])
    direction = F.normalize(linear + torch.tensor([0.0, 1e-6, 0.0]), dim=0)
    facing = float((harmonics(direction) * _BANDS) @ coefficients)
    key = 2 * slope
    ratio = min(key / max(facing - key, 0.05 * key + 1e-6), 50.0)
    colour = _colour(small.radiance[usable], normal[usable] @ direction, weights)
    # A surface of middle grey sends π/0.18 times less back than falls on it.
    irradiance = colour * key * math.pi / 0.18 / max(float(_BANDS[0]), 1)
    share = float(usable.float().mean())
    return Shading(direction, ratio, irradiance, _spread(basis, light[usable], weights, coefficients), share)


def _robust(basis: Tensor, light: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients (9,) by reweighted least squares on brightness relative to the fit, and the pixels' weights (N)."""
    a, b = basis.double().numpy(), light.double().numpy()
    scale = float(np.median(b))
    ridge = np.repeat(_RIDGE, (1, 3, 5)) * math.sqrt(len(b)) * scale
    weight, found = np.ones_like(b), np.zeros(9)
    for _ in range(_ROUNDS):
        rows = np.concatenate([a * weight[:, None], np.diag(ridge)])
        found = lsq_linear(rows, np.concatenate([b * weight, np.zeros(9)])).x
        fitted = np.maximum(a @ found, 0.05 * scale)
        relative = np.abs(b - fitted) / fitted
        spread = max(1.5 * float(np.median(relative)), 0.02)
        # Cauchy's weight over the expected brightness, so that bright walls do not outvote dark ones.
        weight = np.sqrt(1 / (1 + (relative / spread) ** 2)) * scale / fitted
    return torch.from_numpy(weight).float(), torch.from_numpy(found).float()


def _colour(radiance: Tensor, facing: Tensor, weight: Tensor) -> Tensor:
    """Colour of the key with luminance 1: what surfaces that face it have more than those that do not."""
    lit = (weight * facing.clamp(min=0))[:, None]
    mean = (radiance * lit).sum(0) / lit.sum().clamp(min=1e-6)
    return mean / luminance(mean).clamp(min=1e-6)


def _spread(basis: Tensor, light: Tensor, weight: Tensor, found: Tensor) -> float:
    """Standard error of the direction in degrees, from the residuals and the normals that were seen.

    Neighbouring pixels are one surface: the picture counts as a hundred independent ones.
    """
    rows = basis[:, 1:4] * weight[:, None]
    residual = ((basis @ found - light) * weight).square().mean()
    information = rows.T @ rows / len(rows) * 100 + 1e-6 * torch.eye(3)
    error = torch.linalg.inv(information) * residual
    towards = F.normalize(found[1:4] + 1e-9, dim=0)
    across = torch.eye(3) - towards[:, None] * towards
    spread = math.sqrt(max(float((across @ error @ across).diagonal().sum()), 0.0)) / max(
        float(found[1:4].norm()), 1e-6
    )
    return min(max(math.degrees(math.atan(spread)), 15.0), 90.0)


def as_distribution(direction: Tensor, spread_deg: float) -> Tensor:
    """A von Mises–Fisher distribution over the bins (642,) with that mean angle to its middle."""
    low, high = math.log(0.05), math.log(400.0)
    for _ in range(24):
        middle = (low + high) / 2
        probability = bins.soft_label(direction[None], math.exp(middle))
        expected = float((probability * bins.angle_deg(direction.expand(bins.BINS, 3), bins.directions())).sum())
        low, high = (middle, high) if expected > spread_deg else (low, middle)
    return bins.soft_label(direction[None], math.exp((low + high) / 2))[0]
