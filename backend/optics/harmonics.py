# SPDX-License-Identifier: GPL-3.0-or-later
"""Real spherical harmonics of degrees 0 to 2: smooth light as nine numbers a channel, and what it does to a surface.

Order of the nine: 1, y, z, x, xy, yz, 3z²−1, xz, x²−y², orthonormal over the sphere, in whatever frame the directions
are in. Light is ``L(d) = Σ c_i Y_i(d)``; the irradiance that it makes is Ramamoorthi and Hanrahan's (SIGGRAPH 2001).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from . import panorama as pano

COUNT = 9
#: What a cosine lobe does to each degree: π, 2π/3, π/4.
_COSINE = (math.pi,) + (2 * math.pi / 3,) * 3 + (math.pi / 4,) * 5


def basis(directions: Tensor) -> Tensor:
    """(…, 9): the harmonics at unit ``directions`` (…, 3)."""
    x, y, z = directions.unbind(-1)
    one = torch.ones_like(x)
    zero, first, second = math.sqrt(1 / (4 * math.pi)), math.sqrt(3 / (4 * math.pi)), math.sqrt(15 / (4 * math.pi))
    polar = math.sqrt(5 / (16 * math.pi)) * (3 * z * z - 1)
    linear = [zero * one, first * y, first * z, first * x]
    return torch.stack(
        [*linear, second * x * y, second * y * z, polar, second * x * z, second / 2 * (x * x - y * y)], -1
    )


def slope(directions: Tensor) -> Tensor:
    """(…, 9, 3): how the harmonics grow along x, y and z at ``directions`` (…, 3)."""
    x, y, z = directions.unbind(-1)
    none, one = torch.zeros_like(x), torch.ones_like(x)
    first, second, polar = math.sqrt(3 / (4 * math.pi)), math.sqrt(15 / (4 * math.pi)), math.sqrt(5 / (16 * math.pi))
    linear = [(none, none, none), (none, first * one, none), (none, none, first * one), (first * one, none, none)]
    mixed = [(second * y, second * x, none), (none, second * z, second * y), (none, none, 6 * polar * z)]
    rows = [*linear, *mixed, (second * z, none, second * x), (second * x, -second * y, none)]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def radiance(light: Tensor, directions: Tensor) -> Tensor:
    """(…, 3): light (9, 3) from ``directions`` (…, 3)."""
    return basis(directions) @ light


def irradiance(light: Tensor, normals: Tensor) -> Tensor:
    """∫ L(ω) max(n·ω, 0) dω of light (9, 3) on unit ``normals`` (…, 3): (…, 3), can dip below zero."""
    return basis(normals) @ (light * torch.tensor(_COSINE, dtype=light.dtype)[:, None])


def irradiance_slope(light: Tensor, normals: Tensor) -> Tensor:
    """(…, 3 channels, 3): how :func:`irradiance` grows along x, y and z at ``normals`` (…, 3)."""
    lit = light * torch.tensor(_COSINE, dtype=light.dtype)[:, None]
    return torch.einsum("...hx,hc->...cx", slope(normals), lit)


def project(panorama: Tensor) -> Tensor:
    """(9, 3): the harmonics of a camera-frame panorama (N, 2N, 3), in the camera frame."""
    height = panorama.shape[0]
    weight = (panorama * pano.solid_angles(height)[..., None]).reshape(-1, 3)
    return basis(pano.directions(height)).reshape(-1, COUNT).T @ weight


def turned(light: Tensor, rotation: Tensor) -> Tensor:
    """Light (9, 3) in a new frame: ``rotation`` (3, 3) takes directions of the old frame to the new one."""
    # A band-limited function is known from enough of its values.
    values = torch.randn(64, 3, generator=torch.Generator().manual_seed(0), dtype=light.dtype)
    new = torch.nn.functional.normalize(values, dim=-1)
    return torch.linalg.lstsq(basis(new), radiance(light, new @ rotation.to(light.dtype))).solution
