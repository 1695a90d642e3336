# SPDX-License-Identifier: GPL-3.0-or-later
"""The balls that both protocols light: LIMO's four (methods.md §1.9), DiffusionLight's three (methods.md §2.6).

Neither protocol's Blender file is at hand. Here each ball stands alone in distant light, seen as the photo looks, and
its materials are closed forms as in ``backend/optics/shading.py``: no noise, no light from ball to ball. All lights of
a case are done at once, (N, 2N, 3) each, camera frame, by name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ...backend.optics import panorama as pano
from ...backend.optics import shading
from ...backend.optics.exposure import expose
from ...backend.optics.sphere import SphereView, intersect, reflect

Lights = dict[str, Tensor]
Balls = dict[str, Tensor]

#: A quadrant of LIMO's 1024² picture.
LIMO = SphereView(torch.tensor([0.0, 0.0, -8.0]), 0.5, 512)
#: The same ball for sequences, which have many frames.
SMALL = SphereView(LIMO.center, LIMO.radius, 128)
#: Camera at (0, −16, 2) towards a ball of radius 1, 85 mm on 36: 282 of 960 pixels across.
THREE = SphereView(torch.tensor([0.0, -2.0, -16.0]), 1.0, 297)
#: The ball's part of that frame of 960 × 540.
THREE_SHARE = float(THREE.mask.sum()) / (960 * 540)
#: Inside LIMO's .blend and unknown; the layers elsewhere in its code are called r_0.25 and r_0.5 (§1.9).
GLOSSY, MATTE = 0.25, 0.5
#: Principled metal. DiffusionLight's script also builds a mix with a glossy lobe, but never links it to the output.
SILVER = 0.3271
BASE, DIFFUSE_ROUGHNESS, DIFFUSE_F0 = 0.8, 0.364, 0.04


def limo_balls(lights: Lights) -> dict[str, Balls]:
    """Mirror, glossy, matte and diffuse ball (512, 512, 3) by light: the 8-bit display picture at EV 0, in [0, 1]."""
    stage = _stage(LIMO)
    gloss, matte = prefilter(lights, GLOSSY), prefilter(lights, MATTE)
    found = {}
    for name, light in lights.items():
        balls = {
            "mirror": stage.mirror(light),
            "glossy": pano.sample(gloss[name], stage.reflected),
            "matte": pano.sample(matte[name], stage.reflected),
            "diffuse": pano.sample(_diffuse(light), stage.normals),
        }
        found[name] = {ball: _eight_bit(expose(seen, 0)) * stage.mask[..., None] for ball, seen in balls.items()}
    return found


def small_balls(light: Tensor) -> Balls:
    """Mirror and diffuse ball (128, 128, 3) under one light, as :func:`limo_balls` shows them."""
    stage = _stage(SMALL)
    balls = {"mirror": stage.mirror(light), "diffuse": pano.sample(_diffuse(light), stage.normals)}
    return {ball: _eight_bit(expose(seen, 0)) * stage.mask[..., None] for ball, seen in balls.items()}


def three_balls(lights: Lights) -> dict[str, Balls]:
    """Diffuse, matte silver and mirror ball (297, 297, 3) by light: linear, unclipped, under the tone-mapped maps."""
    stage = _stage(THREE)
    toned = {name: tone_map(light) for name, light in lights.items()}
    silver, sheen = prefilter(toned, SILVER), prefilter(toned, DIFFUSE_ROUGHNESS)
    fresnel = DIFFUSE_F0 + (1 - DIFFUSE_F0) * (1 - stage.cosine[..., None]) ** 5
    found = {}
    for name, light in toned.items():
        coat = fresnel * pano.sample(sheen[name], stage.reflected)
        balls = {
            "diffuse": BASE * (1 - fresnel) * pano.sample(_diffuse(light), stage.normals) + coat,
            "matte": BASE * pano.sample(silver[name], stage.reflected),
            "mirror": BASE * stage.mirror(light),
        }
        found[name] = {ball: seen * stage.mask[..., None] for ball, seen in balls.items()}
    return found


def tone_map(panorama: Tensor) -> Tensor:
    """DiffusionLight's: 128 rows, gamma 2.4, the median of the non-zero values at 0.5, no clipping (§2.6)."""
    curved = pano.resize(panorama, 128).clamp(min=0) ** (1 / 2.4)
    lit = curved[curved > 0]
    return curved * (0.5 / (float(torch.quantile(lit, 0.5)) + 1e-10)) if lit.numel() else curved


def prefilter(lights: Lights, roughness: float) -> Lights:
    """What :func:`shading.glossy_sphere` shows, by reflected direction: (64, 128, 3) each."""
    return {name: shading.glossy_map(light, roughness) for name, light in lights.items()}


def _diffuse(light: Tensor) -> Tensor:
    """What a white diffuse ball shows by normal: (32, 64, 3)."""
    return shading.irradiance(light, pano.directions(32)) / math.pi


def _eight_bit(display: Tensor) -> Tensor:
    """What is left in an 8-bit PNG."""
    return (display * 255).round() / 255


@dataclass(frozen=True, eq=False)
class _Stage:
    """A ball as its camera sees it: where pixels look, (S, S, …); ``fine`` with 2 × 2 rays a pixel."""

    mask: Tensor
    normals: Tensor
    reflected: Tensor
    cosine: Tensor
    fine: Tensor
    weight: Tensor

    def mirror(self, light: Tensor) -> Tensor:
        """Radiance of a perfect mirror, antialiased."""
        size = self.mask.shape[0]
        blocks = (pano.sample(light, self.fine) * self.weight).reshape(size, 2, size, 2, 3).sum((1, 3))
        return blocks / self.weight.reshape(size, 2, size, 2, 1).sum((1, 3)).clamp(min=1)


@cache
def _stage(view: SphereView) -> _Stage:
    rays = view.rays_at(2)
    hit = intersect(rays, view.center, view.radius)
    cosine = (-(view.rays * view.normals).sum(-1)).clamp(0, 1)
    weight = hit.mask[..., None].float()
    return _Stage(view.mask, view.normals, view.reflected, cosine, reflect(rays, hit.normals), weight)
