# SPDX-License-Identifier: GPL-3.0-or-later
"""Where LIMO sees the light: the environment that it paints at a point of the photo, asked for its key light."""

from __future__ import annotations

import math

from torch import Tensor

from ..limo.estimate import estimate, make_painter
from ..limo.job import EMBEDDED
from ..limo.view import Probe, View
from .key_light import along_bins

#: Where LIMO looks when nobody marked a point: a little below the middle.
MIDDLE = (0.5, 0.6)
_HEIGHT = 128


def probe_at(view: View, at: tuple[float, float] | None = None, distance: float | None = None) -> Probe:
    """A probe at the point (u, v) of the photo, ``distance`` metres deep, or in front of the surface seen there."""
    u, v = at or MIDDLE
    surface = view.depth_at(u, v)
    if distance is not None and math.isfinite(surface):
        distance = min(distance, surface)
    return Probe.from_pixel(view, u, v, depth=distance, name="view")


def environment_at(view: View, probe: Probe, quality: str = "draft", seed: int = 0, device: str = "cpu") -> Tensor:
    """The environment (128, 256, 3), camera frame, that LIMO fits at a probe."""
    painter = make_painter(EMBEDDED, quality, device)
    (answer,) = estimate(view, [probe], painter=painter, quality=quality, height=_HEIGHT, seed=seed)
    return answer.environment


def painted(view: View, probe: Probe, device: str = "cpu") -> Tensor:
    """How much light (642,) comes from around each direction in that environment, over its mean."""
    light = along_bins(environment_at(view, probe, device=device))
    return light / light.mean().clamp(min=1e-9)
