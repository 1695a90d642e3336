# SPDX-License-Identifier: GPL-3.0-or-later
"""Light from shading alone, without weights: for every direction, how well a light from there explains the picture.

A robust least squares of brightness against normals: I ≈ albedo · (ambient + key · max(n·d, 0)), both at least zero,
most of the picture being taken to have one albedo. It is methods.md §6.4 with the clamped cosine itself in place of its
nine harmonics: a picture shows only normals that face the camera, on which harmonics of light from before and behind
are almost the same, so that their sum fits and tells the wrong direction. Every direction's misfit is kept: walls and
a floor alone leave many that fit, and the spread says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput
from ..limo.view import View
from ..optics.camera import Camera
from ..optics.exposure import luminance
from . import bins

#: Pixels on the longer side, and how many of them at most are fitted.
_SIDE, _MOST = 96, 2000
#: Neighbouring depths that differ by more than this share belong to two surfaces.
_STEP = 0.1
_ROUNDS = 8
#: What brightness differs by within one material, as a share of it.
_NOISE = 0.15
#: How much a misfit counts, relative to the best one: a picture that is explained well may rule directions out. With 7,
#: expected and observed error agree on ray-traced rooms with true depth (62 degrees).
_TRUST, _SLACK = 7.0, 0.1
#: Light comes from above rather than from below: concentration of the prior about the camera's up.
_ABOVE = 1.0
#: Albedo that is assumed to turn brightness into irradiance.
_ALBEDO = 0.3
_LARGEST_RATIO = 50.0


@dataclass(frozen=True, eq=False)
class Shading:
    """Unit ``direction`` (3,) camera frame with its expected error, the ``distribution`` (642,) it comes from,
    ``key_to_fill``, key irradiance (3,), and the share of pixels that could be used."""

    direction: Tensor
    spread_deg: float
    distribution: Tensor
    key_to_fill: float
    irradiance: Tensor
    used: float


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


def shrunk(view: View, side: int) -> View:
    """The view with at most ``side`` pixels along its longer side."""
    scale = min(1.0, side / max(view.camera.width, view.camera.height))
    return view.resized(max(8, round(view.camera.width * scale)), max(8, round(view.camera.height * scale)))


def estimate_shading(view: View) -> Shading:
    """The light that explains the view's shading. Raises :class:`BadInput` where too little of it can be used."""
    small = shrunk(view, _SIDE)
    normal, known = normals(small.depth, small.camera)
    light = luminance(small.radiance)
    usable = known & (small.radiance.amax(-1) < 0.98) & (light > 0.004)
    if int(usable.sum()) < 60:
        raise BadInput(
            "Too little of the picture shows shaded surfaces: it is sky, too bright or too dark.",
            "Use --model embedded, or a depth map with shapes in it.",
        )
    facing, colour = normal[usable], small.radiance[usable]
    step = -(-len(facing) // _MOST)
    misfit, ambient, key = fit_directions(facing[::step], luminance(colour[::step]))
    above = _ABOVE * bins.directions()[:, 1]
    distribution = torch.softmax(above - _TRUST * (misfit - misfit.min()) / (misfit.min() + _SLACK), 0)
    guess, spread = bins.best_guess(distribution[None])
    # Strength and ratio as the likely directions have them, rather than those of one bin.
    fill, lit = float((distribution * ambient).sum()), float((distribution * key).sum())
    tint = _colour(colour, facing @ guess[0])
    ratio = min(lit / max(fill, 1e-6), _LARGEST_RATIO)
    irradiance = tint * lit * math.pi / _ALBEDO
    return Shading(guess[0], float(spread), distribution, ratio, irradiance, float(usable.float().mean()))


def fit_directions(normal: Tensor, light: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each of the 642 directions the misfit, ambient and key (642,) that explain brightness (N) by normals (N, 3).

    Reweighted least squares of the relative error with Cauchy's weight, so that what is painted darker or brighter
    counts little and bright walls do not outvote dark ones.
    """
    lit = (normal @ bins.directions().T).clamp(min=0)
    unit = float(light.median().clamp(min=1e-6))
    light = light[:, None] / unit
    weight = torch.ones_like(lit)
    ambient = key = torch.zeros(bins.BINS)
    relative = torch.zeros_like(lit)
    for _ in range(_ROUNDS):
        total = weight.sum(0)
        mean_lit, mean_light = (weight * lit).sum(0) / total, (weight * light).sum(0) / total
        varied = (weight * (lit - mean_lit) ** 2).sum(0)
        slope = (weight * (lit - mean_lit) * (light - mean_light)).sum(0) / (varied + 1e-3 * total)
        alone = (weight * lit * light).sum(0) / ((weight * lit**2).sum(0) + 1e-6)
        # Neither may be negative: where one would be, the other is fitted alone.
        key = torch.where(mean_light - slope * mean_lit < 0, alone, slope.clamp(min=0))
        ambient = (mean_light - key * mean_lit).clamp(min=0)
        fitted = (ambient + key * lit).clamp(min=0.02)
        relative = (light - fitted) / fitted.clamp(min=0.2)
        weight = 1 / ((1 + (relative / _NOISE) ** 2) * fitted.clamp(min=0.2) ** 2)
    return torch.log1p((relative / _NOISE) ** 2).mean(0), ambient * unit, key * unit


def _colour(radiance: Tensor, facing: Tensor) -> Tensor:
    """Colour (3,) of luminance 1 of the surfaces (N, 3) that face the light by a cosine (N): their paint is in it."""
    lit = facing.clamp(min=0)[:, None]
    mean = (radiance * lit).sum(0) / lit.sum().clamp(min=1e-6)
    return mean / luminance(mean).clamp(min=1e-6) if float(mean.max()) > 0 else torch.ones(3)
