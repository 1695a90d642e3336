# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin under smooth light: the shading that a photo is compared with, and the light that explains a photo best.

One albedo under light of nine harmonics a channel; what a face has beside that (lips, brows, highlights, cast shadows,
whatever hangs over it) is an outlier, which the fit weighs down. Only the product of albedo and light shows in a photo.
So :func:`mean_albedo` assumes a white light of a usual exposure; nothing is taken for granted of a skin's colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..optics import harmonics
from ..optics.exposure import luminance

#: Irradiance over π that a well exposed face is assumed to get, display white being 1.
_EXPOSURE = 0.8
#: Albedos that skin may have at all.
_ALBEDOS = (0.005, 0.85)
_ROUNDS = 12
#: How strongly harmonics of degree 0, 1 and 2 are held at zero: a photo shows only the normals that face it.
_HOLD = (0.0,) + (0.003,) * 3 + (0.03,) * 5
#: Ratios of brightness within which skin's own variation stays, as a natural logarithm.
_LEAST_SPREAD = 0.08


@dataclass(frozen=True, eq=False)
class LightFit:
    """``light`` (9, 3) as :mod:`..optics.harmonics` has it, in the normals' frame; the one ``albedo`` (3,) it was found
    with; ``weight`` (P,) 0..1: how well each sample is explained; ``spread``: the usual log ratio of an inlier."""

    light: Tensor
    albedo: Tensor
    weight: Tensor
    spread: float

    def shade(self, normals: Tensor) -> Tensor:
        """(…, 3): radiance that is expected of skin with these normals (…, 3)."""
        return shade(self.albedo, self.light, normals)


def shade(albedo: Tensor, light: Tensor, normals: Tensor) -> Tensor:
    """albedo/π · irradiance, at least a trace: (…, 3), differentiable."""
    return albedo / math.pi * harmonics.irradiance(light, normals).clamp(min=1e-4)


def mean_albedo(colour: Tensor) -> Tensor:
    """(3,): what skin of these linear colours (P, 3) would reflect if white light of a usual strength fell on it."""
    return (colour.median(0).values / _EXPOSURE).clamp(*_ALBEDOS)


def fit_light(colour: Tensor, normals: Tensor, trust: Tensor | None = None) -> LightFit:
    """The light on skin of linear colours (P, 3) with unit normals (P, 3); ``trust`` (P,) weighs samples beforehand.

    Least squares of relative errors, repeated with Cauchy weights of the log ratio of brightness.
    """
    known = torch.ones(len(colour)) if trust is None else trust
    albedo = mean_albedo(colour[known > 0.5] if bool((known > 0.5).any()) else colour)
    terms = harmonics.irradiance(torch.eye(harmonics.COUNT), normals) / math.pi
    bright = luminance(colour).clamp(min=1e-4)
    expected = bright.median().expand_as(bright)
    weight, spread = torch.ones_like(bright), 1.0
    light = torch.zeros(harmonics.COUNT, 3)
    for _ in range(_ROUNDS):
        # Relative to the expected, not to the sample's own brightness: dark outliers would count most.
        scale = known * weight / expected**2
        normal = (terms * scale[:, None]).T @ terms
        held = normal + torch.diag(torch.tensor(_HOLD) * normal.diagonal().sum() / harmonics.COUNT)
        held += torch.eye(harmonics.COUNT) * 1e-8 * normal.diagonal().sum()
        light = torch.linalg.solve(held, (terms * scale[:, None]).T @ (colour / albedo))
        expected = luminance(shade(albedo, light, normals)).clamp(min=0.05 * float(bright.median()))
        error = (bright / expected).log()
        spread = max(1.4826 * float(error[known > 0.5].abs().median()), _LEAST_SPREAD)
        weight = 1 / (1 + (error / (2 * spread)) ** 2) ** 2
    return LightFit(light, albedo, weight, spread)
