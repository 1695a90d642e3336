# SPDX-License-Identifier: GPL-3.0-or-later
"""What spheres of simple materials look like under a distant environment (camera-frame panorama)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from . import panorama as pano
from .exposure import luminance
from .sphere import SphereView, intersect, reflect

#: Normals whose irradiance is gathered at once.
_NORMALS = 256


def irradiance(panorama: Tensor, normals: Tensor, height: int = 32, wrap: float = 0.0) -> Tensor:
    """∫ L(ω) max(n·ω, 0) dω over a panorama (N, 2N, 3) for normals (..., 3): (..., 3).

    ``wrap`` in [0, 1] lets light reach round the terminator as it does within skin: (n·ω + wrap)/(1 + wrap)² in place
    of the cosine, which over all directions sums to π as well.
    """
    towards, light = blocks(panorama, height)
    # A few normals at a time: their cosines with all blocks stay in the processor's cache.
    parts = [wrapped_cosine(part @ towards.T, wrap) @ light for part in normals.reshape(-1, 3).split(_NORMALS)]
    return torch.cat(parts).reshape(normals.shape)


def blocks(panorama: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """A panorama (N, 2N, 3) as lights far away: where from (B, 3), and irradiance (B, 3) on what faces each.

    The map is first averaged to ``height`` rows; each block keeps its energy and its luminance-weighted mean direction
    (not a unit vector), so that a lamp smaller than a block still lights from where it is.
    """
    height = min(height, panorama.shape[0])
    weight = luminance(panorama)[..., None].clamp(min=1e-12)
    moments = torch.cat([panorama, weight, weight * pano.directions(panorama.shape[0])], -1)
    light, weight, moment = pano.resize(moments, height).split((3, 1, 3), -1)
    return (moment / weight).reshape(-1, 3), (light * pano.solid_angles(height)[..., None]).reshape(-1, 3)


def wrapped_cosine(cosine: Tensor, wrap: float) -> Tensor:
    """max(cosine + wrap, 0)/(1 + wrap)², any shape: the cosine where wrap is 0."""
    return (cosine + wrap).clamp(min=0) / (1 + wrap) ** 2 if wrap else cosine.clamp(min=0)


def diffuse_sphere(panorama: Tensor, view: SphereView) -> Tensor:
    """Radiance of a perfectly diffuse sphere of albedo 1: irradiance/π, (S, S, 3), zero off the sphere."""
    shown = torch.zeros_like(view.normals)
    shown[view.mask] = irradiance(panorama, view.normals[view.mask]) / math.pi
    return shown


def mirror_sphere(panorama: Tensor, view: SphereView, supersample: int = 4) -> Tensor:
    """Radiance of a perfect mirror sphere, antialiased by ``supersample``² rays a pixel: (S, S, 3), zero off it."""
    rays = view.rays_at(supersample)
    hit = intersect(rays, view.center, view.radius)
    colour = pano.sample(panorama, reflect(rays, hit.normals)) * hit.mask[..., None]
    blocks = (view.size, supersample, view.size, supersample, -1)
    weight = hit.mask.float()[..., None].reshape(blocks).sum((1, 3)).clamp(min=1)
    return colour.reshape(blocks).sum((1, 3)) / weight * view.mask[..., None]


def glossy_sphere(panorama: Tensor, view: SphereView, roughness: float, height: int = 64) -> Tensor:
    """A metallic GGX sphere, white, Fresnel and masking left out: prefiltered environment in the sense of split-sum.

    ``roughness`` is Blender's (α = roughness²). The lobe of half vectors about n = v = r is normalised exactly
    over the texels of a map of ``height`` rows (Karis 2013, §"Pre-filtered environment map").
    """
    out = torch.zeros(view.size, view.size, 3)
    out[view.mask] = glossy(panorama, view.reflected[view.mask], roughness, height)
    return out


def glossy(panorama: Tensor, mirrored: Tensor, roughness: float, height: int = 64) -> Tensor:
    """What :func:`glossy_sphere` shows where a mirror would show the unit directions ``mirrored`` (P, 3): (P, 3)."""
    reduced = pano.resize(panorama, min(height, panorama.shape[0]))
    light = reduced.reshape(-1, 3)
    d = pano.directions(reduced.shape[0]).reshape(-1, 3)
    area = pano.solid_angles(reduced.shape[0]).expand(-1, 2 * reduced.shape[0]).reshape(-1)
    rows = []
    for chunk in mirrored.split(512):
        weight = _lobe(chunk @ d.T, roughness) * area
        rows.append((weight @ light) / weight.sum(-1, keepdim=True))
    return torch.cat(rows)


def glossy_map(panorama: Tensor, roughness: float, height: int = 64) -> Tensor:
    """What :func:`glossy` shows in every direction, as a panorama: (height, 2·height, 3).

    Along a row the lobe only moves, so the sum over all texels for each of as many directions is a convolution.
    """
    turned = torch.fft.rfft(pano.resize(panorama, height).double(), dim=1)
    seen = torch.einsum("oif,ifc->ofc", _lobes(roughness, height), turned)
    return torch.fft.irfft(seen, n=2 * height, dim=1).clamp(min=0).float()


@lru_cache(maxsize=16)
def _lobes(roughness: float, height: int) -> Tensor:
    """Lobes between rows of a map, normalised, over frequencies of longitude: (height, height, height + 1) complex."""
    d = pano.directions(height).double()
    weight = _lobe(torch.einsum("oc,ilc->oil", d[:, 0], d), roughness) * pano.solid_angles(height)
    return torch.fft.rfft(weight / weight.sum((1, 2), keepdim=True), dim=2).conj().resolve_conj()


def _lobe(cosine: Tensor, roughness: float) -> Tensor:
    """Weights of light at this cosine to n = v = r, of any shape, up to a factor."""
    alpha2 = max(roughness, 0.03) ** 4
    cosine = cosine.clamp(-1, 1)
    half2 = (1 + cosine) / 2  # squared cosine of the angle between r and the half vector
    return cosine.clamp(min=0) / (half2 * (alpha2 - 1) + 1) ** 2
