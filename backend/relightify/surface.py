# SPDX-License-Identifier: GPL-3.0-or-later
"""What each sample of a drawn head is made of: skin by its maps, eyes, and the plain inside of the mouth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics.exposure import srgb_eotf
from . import maps
from .solid import SOLID_MATERIALS

#: Blender's roughness of skin that has no map of it, of what is wet, and of the cornea.
SKIN, WET, CORNEA = 0.45, 0.28, 0.05
#: Linear diffuse albedo of what has no maps; all else wears the skin's.
_PLAIN = {
    "socket": (0.35, 0.14, 0.11),
    "mouth": (0.25, 0.08, 0.07),
    "tongue": (0.38, 0.14, 0.12),
    "teeth": (0.68, 0.62, 0.52),
    "eye": (0.62, 0.57, 0.53),
}
#: An eye's iris and pupil: angle from the gaze in degrees, linear albedo.
_IRIS, _PUPIL = (24.0, (0.075, 0.045, 0.025)), (9.0, (0.005, 0.005, 0.005))
#: Reflectance at normal incidence of what has no maps: water's and cornea's is a little less than skin's.
_F0 = 0.035


@dataclass(frozen=True, eq=False)
class Surface:
    """Samples of a head: linear ``albedo`` (P, 3); ``f0`` (P, 1), reflectance at normal incidence; ``roughness`` (P, 1)
    as Blender means it; unit normals (P, 3) ``fine``, with the normal map, and ``smooth``, without, camera frame."""

    albedo: Tensor
    f0: Tensor
    roughness: Tensor
    fine: Tensor
    smooth: Tensor


def surface(material: Tensor, values: Tensor, rough: Tensor, normal: Tensor, tangent: Tensor, eye: Tensor) -> Surface:
    """The surface of samples of a ``material`` (P,).

    ``values`` (P, 10) of the stack of maps there and how ``rough`` (P, 1) it is, used where there is skin; unit
    ``normal`` and ``tangent`` (P, 3); ``eye`` (P, 3): where on an eyeball that looks along −y the sample lies, used
    where there is one.
    """
    skin = wears_maps(material)[:, None]
    plain = torch.zeros(len(SOLID_MATERIALS), 3)
    for name, colour in _PLAIN.items():
        plain[SOLID_MATERIALS.index(name)] = torch.tensor(colour)
    albedo = torch.where(skin, srgb_eotf(values[:, maps.DIFFUSE]), plain[material])
    is_eye = (material == SOLID_MATERIALS.index("eye"))[:, None]
    albedo = torch.where(is_eye, _eye_albedo(eye), albedo)
    f0 = torch.where(skin, values[:, maps.SPECULAR] * maps.F0_SCALE, torch.tensor(_F0))
    roughness = torch.where(skin, rough, torch.where(is_eye, torch.tensor(CORNEA), torch.tensor(WET)))
    bent = maps.decode_normal(values[:, maps.NORMAL, None, None])[:, :, 0, 0]
    bitangent = torch.linalg.cross(normal, tangent)
    fine = bent[:, :1] * tangent + bent[:, 1:2] * bitangent + bent[:, 2:] * normal
    return Surface(albedo, f0, roughness, torch.where(skin, F.normalize(fine, dim=-1), normal), normal)


def wears_maps(material: Tensor) -> Tensor:
    """(P,) bool: whether samples of a ``material`` (P,) look as the maps say."""
    return torch.tensor([name not in _PLAIN for name in SOLID_MATERIALS])[material]


def _eye_albedo(eye: Tensor) -> Tensor:
    """(P, 3): sclera, iris with a darker rim, and pupil."""
    angle = torch.rad2deg(torch.acos((-eye[:, 1:2]).clamp(-1, 1)))
    sclera, iris, pupil = (torch.tensor(colour) for colour in (_PLAIN["eye"], _IRIS[1], _PUPIL[1]))
    strands = 1 + 0.35 * torch.sin(torch.atan2(eye[:, 2:], eye[:, :1]) * 41)
    rim = 1 - 0.7 * ((angle - 0.8 * _IRIS[0]) / (0.2 * _IRIS[0])).clamp(0, 1)
    within = ((_IRIS[0] - angle) / 1.5 + 0.5).clamp(0, 1)
    inner = ((_PUPIL[0] - angle) / 1.0 + 0.5).clamp(0, 1)
    coloured = iris * strands * rim * (1 - inner) + pupil * inner
    return coloured * within + sclera * (1 - within)


def hemispherical(f0: Tensor, cosine: Tensor, roughness: Tensor) -> Tensor:
    """(P, 1): the part of even light all about that a GGX gloss sends along a view at this cosine to the normal.

    Karis's fit of the split sum's second factor (2014, "Physically based shading on mobile").
    """
    x, y, z, w = (a * roughness + b for a, b in ((-1, 1), (-0.0275, 0.0425), (-0.572, 1.04), (0.022, -0.04)))
    edge = torch.minimum(x * x, torch.exp2(-9.28 * cosine)) * x + y
    return f0 * (-1.04 * edge + z) + (1.04 * edge + w)


def gloss(fine: Tensor, towards: Tensor, lamp: Tensor, f0: Tensor, roughness: Tensor) -> Tensor:
    """(P, 1): GGX's BRDF times the lamp's cosine, for normals and views (P, 3) and a unit direction ``lamp`` (3,).

    Smith's masking as Hammon (2017) approximates it, Fresnel by Schlick.
    """
    alpha = roughness**2
    half = F.normalize(towards + lamp, dim=-1)
    n_l = (fine @ lamp)[:, None].clamp(0, 1)
    n_v = (fine * towards).sum(-1, keepdim=True).abs().clamp(1e-3, 1)
    n_h = (fine * half).sum(-1, keepdim=True).clamp(0, 1)
    v_h = (towards * half).sum(-1, keepdim=True).clamp(0, 1)
    spread = alpha**2 / (math.pi * (n_h**2 * (alpha**2 - 1) + 1) ** 2)
    masking = 0.5 / (2 * n_l * n_v * (1 - alpha) + (n_l + n_v) * alpha).clamp(min=1e-4)
    return spread * masking * (f0 + (1 - f0) * (1 - v_h) ** 5) * n_l
