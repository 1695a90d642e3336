# SPDX-License-Identifier: GPL-3.0-or-later
"""The light that makes the photo out of the albedo, how far their product is from it, and what of that the skin keeps.

A prior of skin takes for light what it never saw on skin. Much of that is the person: wrinkles, spots, the shape of
brows and lips. Smooth light makes no edges, so what is finer than a few centimetres goes back into the albedo.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from ..optics import harmonics
from ..optics.exposure import luminance, srgb_eotf, srgb_oetf
from .head import HeadModel
from .maps import faded
from .raster import corner_normals, uv_raster
from .records import FaceFit, PartialTexture

#: How strongly degrees 1 and 2 are held at zero, against the samples.
_HOLD = (0.0,) + (0.002,) * 3 + (0.02,) * 5
_ROUNDS = 6
_FEWEST = 200
#: Of what the photo shows beside albedo and light, the skin keeps these shares, of what is darker and of what is
#: brighter, which gloss may be; standard deviation, as a part of the map's side, of what is too coarse for it; the
#: most of it, in natural logarithms.
_DARKER, _BRIGHTER, _FINE, _BOUND = 0.9, 0.6, 12 / 256, 0.6
#: Irradiance over π below which light is not believed.
_DARKEST = 0.02


def explain(fit: FaceFit, head: HeadModel, diffuse: Tensor, partial: PartialTexture) -> tuple[FaceFit, float]:
    """The fit with the light that fits the ``diffuse`` albedo (3, R, R), sRGB-encoded, and the residual: the median of
    the relative error, in luminance, of albedo/π times irradiance against the photo where it was seen.

    Least squares of relative errors with Cauchy weights: highlights and cast shadows are no smooth light's doing.
    """
    skin, everywhere = _skin(fit, head, diffuse.shape[-1])
    where = (partial.mask[0] > 0.5) & skin
    if int(where.sum()) < _FEWEST:
        return fit, math.nan
    normals = everywhere[where]
    photo = srgb_eotf(partial.colour[:, where].T).clamp(min=1e-3)
    albedo = srgb_eotf(diffuse[:, where].T).clamp(min=1e-3)
    terms = harmonics.irradiance(torch.eye(harmonics.COUNT), normals) / math.pi
    weight = torch.ones(len(photo))
    light = fit.light
    error = torch.zeros(len(photo))
    for _ in range(_ROUNDS):
        light = torch.stack([_solve(terms * (albedo[:, c] / photo[:, c])[:, None], weight) for c in range(3)], -1)
        made = albedo * (terms @ light).clamp(min=0)
        error = (luminance(made) - luminance(photo)).abs() / luminance(photo)
        weight = 1 / (1 + (error / 0.15) ** 2)
    return dataclasses.replace(fit, light=light), float(error.median())


def with_likeness(fit: FaceFit, head: HeadModel, diffuse: Tensor, partial: PartialTexture) -> Tensor:
    """The ``diffuse`` albedo (3, R, R), sRGB-encoded, with a share of what the photo shows beside the fit's light on
    it, where it was seen: what is finer than :data:`_FINE`, for coarser differences are the light's."""
    skin, normals = _skin(fit, head, diffuse.shape[-1])
    known = (partial.mask * skin).float()
    if int((known > 0.5).sum()) < _FEWEST:
        return diffuse
    shading = (harmonics.irradiance(fit.light, normals) / math.pi).clamp(min=_DARKEST).permute(2, 0, 1)
    albedo = srgb_eotf(diffuse).clamp(min=1e-3)
    beside = (srgb_eotf(partial.colour).clamp(min=1e-3) / (albedo * shading)).log()
    spread = _FINE * diffuse.shape[-1]
    share = torch.from_numpy(ndimage.gaussian_filter(known[0].numpy(), spread)).clamp(min=1e-4)
    smooth = [torch.from_numpy(ndimage.gaussian_filter((plane * known[0]).numpy(), spread)) / share for plane in beside]
    fine = _BOUND * torch.tanh((beside - torch.stack(smooth)) / _BOUND)
    # Faded, so that no rim of what was seen shows.
    kept = torch.where(fine < 0, _DARKER, _BRIGHTER) * faded(known, 2)
    return srgb_oetf((albedo * (kept * fine).exp()).clamp(0, 1))


def _skin(fit: FaceFit, head: HeadModel, size: int) -> tuple[Tensor, Tensor]:
    """Where on a map (R, R) skin is, and the smooth head's unit normals (R, R, 3) there, head frame."""
    raster, triangles = uv_raster(head, size, "skin")
    return raster.mask, F.normalize(raster.interpolate(triangles, corner_normals(head, fit.points(head))), dim=-1)


def _solve(terms: Tensor, weight: Tensor) -> Tensor:
    """(9,): least squares of ``terms`` (N, 9) against one."""
    gram = (terms * weight[:, None]).T @ terms
    held = gram + torch.diag(torch.tensor(_HOLD) * gram.diagonal().mean())
    return torch.linalg.solve(held, (terms * weight[:, None]).sum(0))
