# SPDX-License-Identifier: GPL-3.0-or-later
"""The light that makes the photo out of the albedo, and how far their product is from it."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from ..optics import harmonics
from ..optics.exposure import luminance, srgb_eotf
from .head import HeadModel
from .raster import corner_normals, uv_raster
from .records import FaceFit, PartialTexture

#: How strongly degrees 1 and 2 are held at zero, against the samples.
_HOLD = (0.0,) + (0.002,) * 3 + (0.02,) * 5
_ROUNDS = 6
_FEWEST = 200


def explain(fit: FaceFit, head: HeadModel, diffuse: Tensor, partial: PartialTexture) -> tuple[FaceFit, float]:
    """The fit with the light that fits the ``diffuse`` albedo (3, R, R), sRGB-encoded, and the residual: the median of
    the relative error, in luminance, of albedo/π times irradiance against the photo where it was seen.

    Least squares of relative errors with Cauchy weights: highlights and cast shadows are no smooth light's doing.
    """
    raster, triangles = uv_raster(head, diffuse.shape[-1], "skin")
    where = (partial.mask[0] > 0.5) & raster.mask
    if int(where.sum()) < _FEWEST:
        return fit, math.nan
    smooth = corner_normals(head, fit.points(head))
    normals = torch.nn.functional.normalize(raster.interpolate(triangles, smooth)[where], dim=-1)
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


def _solve(terms: Tensor, weight: Tensor) -> Tensor:
    """(9,): least squares of ``terms`` (N, 9) against one."""
    gram = (terms * weight[:, None]).T @ terms
    held = gram + torch.diag(torch.tensor(_HOLD) * gram.diagonal().mean())
    return torch.linalg.solve(held, (terms * weight[:, None]).sum(0))
