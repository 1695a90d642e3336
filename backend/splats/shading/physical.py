# SPDX-License-Identifier: GPL-3.0-or-later
"""What surfaces make of light: Progressive Radiance Distillation's shading of points (methods.md §5.2).

Diffuse: the product of light, visibility and clamped cosine, all as harmonics. Specular: split sum, without visibility.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ...optics.exposure import aces, srgb_oetf
from . import brdf, expansion
from .environment import Light

#: What a clamped cosine does to degrees 0, 1 and 2; to degree 3 it does nothing.
_COSINE = (math.pi,) + (2 * math.pi / 3,) * 3 + (math.pi / 4,) * 5


class Surface(NamedTuple):
    """Points that are lit: ``albedo`` (P, 3) linear, ``metallic`` and ``roughness`` (P,), all in 0..1; unit ``normal``
    and ``view`` (P, 3), the latter from the eye to the point; ``visibility`` (P, 16) as harmonics, or nothing hides."""

    albedo: Tensor
    metallic: Tensor
    roughness: Tensor
    normal: Tensor
    view: Tensor
    visibility: Tensor | None = None


class Shaded(NamedTuple):
    """Linear radiance (P, 3): ``physical`` = (1 − metallic) · ``diffuse`` + ``specular``."""

    physical: Tensor
    diffuse: Tensor
    specular: Tensor


def irradiance(light: Tensor, normals: Tensor, visibility: Tensor | None = None) -> Tensor:
    """∫ V(ω) L(ω) max(n·ω, 0) dω, (P, 3), at least 0: ``light`` (16, 3), ``normals`` (P, 3), ``visibility`` (P, 16)."""
    return _reaching(light, normals, visibility).clamp(min=0)


def transfer(normals: Tensor, visibility: Tensor | None = None) -> Tensor:
    """(P, 16): what each harmonic of the light brings to a surface, so that ``transfer @ light`` is its irradiance
    (Sloan et al. 2002)."""
    return _reaching(torch.eye(expansion.COUNT).to(normals), normals, visibility)


def _reaching(light: Tensor, normals: Tensor, visibility: Tensor | None) -> Tensor:
    """(P, C) of lights (16, C)."""
    cosine = expansion.basis(normals, 2) * normals.new_tensor(_COSINE)
    if visibility is None:
        return cosine @ light[:9]
    product = torch.einsum("ijk,jc->ikc", expansion.triple_products().to(light), light)
    hidden = (visibility @ product.reshape(expansion.COUNT, -1)).reshape(-1, 9, light.shape[1])
    return (hidden * cosine[..., None]).sum(1)


def shade(surface: Surface, light: Light, diffuse: bool = True) -> Shaded:
    """Light on points. Without ``diffuse`` all of it is specular, as the method's second stage has it."""
    normal, view = surface.normal, surface.view
    facing = (normal * view).sum(-1, keepdim=True)
    mirrored = view - 2 * facing * normal
    base = torch.lerp(torch.full_like(surface.albedo, brdf.DIELECTRIC), surface.albedo, surface.metallic[:, None])
    share = brdf.directional_albedo(base, surface.roughness, (-facing[:, 0]).clamp(0, 1))
    specular = light.specular(mirrored, surface.roughness) * share
    if not diffuse:
        return Shaded(specular, torch.zeros_like(specular), specular)
    lit = surface.albedo / math.pi * irradiance(light.harmonics(), normal, surface.visibility)
    return Shaded((1 - surface.metallic)[:, None] * lit + specular, lit, specular)


def _held(values: Tensor) -> Tensor:
    """Clipped to 0..1, but a wrong clipped value still feels which way it is wrong."""
    return values + (values.clamp(0, 1) - values).detach()


#: From linear radiance to display values in 0..1. The paper's is "aces"; "srgb" suits pictures without a film curve.
TONES: dict[str, Callable[[Tensor], Tensor]] = {
    "aces": lambda linear: srgb_oetf(aces(linear)),
    "srgb": lambda linear: _held(srgb_oetf(linear)),
}
