# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of any size and a relighter's small square ones: shown small, and the light ratio carried back up."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ..depth import refine
from ..optics.exposure import luminance, srgb_oetf
from ..optics.photo import strips

#: 95th percentiles of luminance between which a linear picture counts as exposed for display.
_EXPOSED = (0.05, 1.0)
#: Where that percentile comes to otherwise.
_TARGET = 0.95


def shrink(radiance: Tensor, size: tuple[int, int]) -> Tensor:
    """Average of (H, W, 3) over (h, w) areas, (3, h, w), without a copy of the whole picture."""
    height, rows = radiance.shape[0], size[0]
    spans = ((i * height // rows, -(-(i + 1) * height // rows)) for i in range(rows))
    lines = torch.stack([radiance[first:last].mean(0) for first, last in spans])
    return F.interpolate(lines.permute(2, 0, 1)[None], size, mode="area")[0]


def shown(radiance: Tensor, size: tuple[int, int], gain: float = 1.0) -> Tensor:
    """Display values (3, h, w) in [0, 1] of a small version of radiance (H, W, 3) that is multiplied by ``gain``."""
    return srgb_oetf(shrink(radiance, size) * gain).clamp(0, 1)


def exposure_gain(radiance: Tensor) -> float:
    """What a linear picture (H, W, 3) is multiplied by to be looked at: 1, unless it is far from display white."""
    small = luminance(shrink(radiance, (256, 256)).permute(1, 2, 0))
    # Black is what stands around a rendered object: a small one is to be seen, too.
    bright = float(torch.quantile(small[small > 0], 0.95)) if bool((small > 0).any()) else 0.0
    return 1.0 if _EXPOSED[0] <= bright <= _EXPOSED[1] else _TARGET / max(bright, 1e-6)


def carried(ratio: Tensor, radiance: Tensor, gain: float = 1.0) -> Iterator[tuple[slice, Tensor]]:
    """A logarithmic ratio (3, S, S) at the size of ``radiance`` (H, W, 3), along its edges: (n, W, 3) for rows of it.

    The rows that were handed out may be changed in place.
    """
    height, width = radiance.shape[:2]
    affine = refine.fit(ratio, shown(radiance, refine.work_size(height, width), gain))
    for rows in strips(height, width):
        guide = srgb_oetf(radiance[rows] * gain).clamp(0, 1)
        yield rows, affine.at(guide, rows.start, height).permute(1, 2, 0)
