# SPDX-License-Identifier: GPL-3.0-or-later
"""Exposure and the tone curve: the one place where radiance becomes what a picture shows, and back.

Radiance is linear Rec.709, float32, with the display white of the input photo at 1.0.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Exposures at which the spheres are painted (LIMO §3.3).
EVS: tuple[int, ...] = (0, -3, -6, -9, -12)
#: Luminance weights of linear Rec.709.
REC709 = (0.2126, 0.7152, 0.0722)


def srgb_eotf(display: Tensor) -> Tensor:
    """Display value in [0, 1] to linear radiance: the exact piecewise curve of IEC 61966-2-1, any shape."""
    return torch.where(display <= 0.04045, display / 12.92, ((display.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def srgb_oetf(linear: Tensor) -> Tensor:
    """Linear radiance (≥ 0, unbounded) to display value: the inverse of :func:`srgb_eotf`, any shape, not clipped."""
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def expose(radiance: Tensor, ev: float | Tensor) -> Tensor:
    """What a picture taken ``ev`` stops from the photo's exposure shows: clip(OETF(2^ev · L), 0, 1), any shape."""
    return srgb_oetf(radiance * 2.0**ev).clamp(0, 1)


def unexpose(display: Tensor, ev: float | Tensor) -> Tensor:
    """Radiance behind an unclipped display value at ``ev``: EOTF(y) · 2^-ev, any shape."""
    return srgb_eotf(display.clamp(0, 1)) * 2.0**-ev


def luminance(rgb: Tensor) -> Tensor:
    """Luminance of linear Rec.709, (..., 3) to (...)."""
    return (rgb * rgb.new_tensor(REC709)).sum(-1)


def saturate(rgb: Tensor, strength: float | Tensor) -> Tensor:
    """Colours of linear Rec.709 (..., 3) ``strength`` times as far from grey, at the same luminance; none below 0."""
    grey = luminance(rgb)[..., None]
    return (grey + strength * (rgb - grey)).clamp(min=0)


def auto_exposure_gain(radiance: Tensor, percentile: float = 0.95, target: float = 0.95) -> float:
    """Gain that brings the 95th percentile of luminance to 0.95 display-linear (methods.md §1.4); radiance (..., 3)."""
    values = luminance(radiance).clamp(1e-3, 128).flatten()
    if values.numel() > 2**20:
        values = values[:: values.numel() // 2**20 + 1]
    return target / float(torch.quantile(values, percentile))


def aces(linear: Tensor) -> Tensor:
    """Filmic tone curve, linear (≥ 0) to linear in [0, 1], any shape: Narkowicz's fit (2016) of the ACES reference."""
    shown = linear * (2.51 * linear + 0.03) / (linear * (2.43 * linear + 0.59) + 0.14)
    return shown.clamp(0, 1)
