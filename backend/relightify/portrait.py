# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait taken apart: what :mod:`.estimate` finds and :mod:`.output` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from .records import FaceFit


@dataclass(frozen=True)
class Portrait:
    """``fit``: the head under the photo; ``expressions``: its names. ``maps`` (10, R, R) as :mod:`.maps` has them;
    ``roughness`` (1, r, r), a guess (:mod:`.roughness`). ``mask`` (1, R, R) 0..1, what of the texture is the photo's,
    and ``seen`` its share of the skin. ``eye`` (3, H, 2H) sRGB-encoded, ``gaze`` (2, 3) and ``iris`` (3,):
    :mod:`.eyes`. ``residual``: how far albedo times light is from the photo (:mod:`.delight`). ``warnings`` are
    sentences."""

    fit: FaceFit
    expressions: Sequence[str]
    maps: Tensor
    roughness: Tensor
    mask: Tensor
    seen: float
    eye: Tensor
    gaze: Tensor
    iris: Tensor
    residual: float
    warnings: list[str] = field(default_factory=list)
