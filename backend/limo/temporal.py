# SPDX-License-Identifier: GPL-3.0-or-later
"""The temporal L1 term: values over time pulled towards their neighbours, steps kept (methods.md §1.8)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..compiled import njit
from .pyramid import join, split

#: λ of the term, in stops: what a frame's log2 radiance pays for lying apart from its neighbours'. Of the paper.
WEIGHT = 0.1
#: A change of this many times the usual one is real, not chance: from there on it costs ever less.
_REAL = 3.0
#: Between what bounds the usual change is looked for, in stops: one per cent, and what no painter errs by.
_LEAST, _MOST = 0.015, 0.2
#: Weight of a value that must stay as it is.
FIXED = 1e6


def smooth(values: Tensor, weights: Tensor, costs: Tensor) -> Tensor:
    """The exact minimum x of Σ_t ½·w_t (x_t − y_t)² + Σ_t c_t |x_{t+1} − x_t|, for each series alone.

    values y (T, M); weights w (T, M) > 0; costs c (T − 1, M) ≥ 0. Dynamic programming over the derivative of the best
    cost so far, which is piecewise linear and is clipped to ±c at each step (Johnson, "A dynamic programming algorithm
    for the fused lasso", 2013).
    """
    series = [np.ascontiguousarray(each.T.numpy()) for each in (values, weights, costs)]
    return torch.from_numpy(_solve(*series)).T


@njit(nogil=True)
def _solve(y: np.ndarray, w: np.ndarray, c: np.ndarray) -> np.ndarray:
    count, length = y.shape
    x = np.empty_like(y)
    # Knots of the derivative: place, and how its slope and offset change there; from the middle to both sides.
    place, slope, offset = np.empty(2 * length), np.empty(2 * length), np.empty(2 * length)
    low, high = np.empty(length), np.empty(length)
    for m in range(count):
        first, last = length, length - 1
        left_slope = right_slope = w[m, 0]
        left = right = -w[m, 0] * y[m, 0]
        for t in range(length - 1):
            cost = c[m, t]
            while first <= last and left_slope * place[first] + left < -cost:
                left_slope += slope[first]
                left += offset[first]
                first += 1
            while last >= first and right_slope * place[last] + right > cost:
                right_slope -= slope[last]
                right -= offset[last]
                last -= 1
            low[t], high[t] = (-cost - left) / left_slope, (cost - right) / right_slope
            first, last = first - 1, last + 1
            place[first], slope[first], offset[first] = low[t], left_slope, left + cost
            place[last], slope[last], offset[last] = high[t], -right_slope, cost - right
            left_slope = right_slope = w[m, t + 1]
            left, right = -cost - w[m, t + 1] * y[m, t + 1], cost - w[m, t + 1] * y[m, t + 1]
        while first <= last and left_slope * place[first] + left < 0:
            left_slope += slope[first]
            left += offset[first]
            first += 1
        x[m, -1] = -left / left_slope
        for t in range(length - 2, -1, -1):
            x[m, t] = min(max(x[m, t + 1], low[t]), high[t])
    return x


def change_costs(change: Tensor, weight: float = WEIGHT) -> Tensor:
    """What each step of a series costs: (T − 1, …) for sizes of change (T − 1, …) ≥ 0, in stops.

    A reweighted L1 (Candès, Wakin & Boyd 2008): as usual a change as it always happens, by chance; the less the more
    it stands out, because then something happened, such as a lamp switched on. The whole step costs no more
    than a chance one, so its height is kept.
    """
    usual = change.median(0, keepdim=True).values.clamp(_LEAST, _MOST)
    return weight * (_REAL * usual / change.clamp(min=1e-9)).clamp(max=1.0).square()


def smooth_volume(volume: Tensor, weights: Tensor, pinned: bool = False, weight: float = WEIGHT) -> Tensor:
    """Log2 radiance of T frames, (T, 3, N, 2N), steadied over time on its Laplacian pyramid.

    weights (T, 1, N, 2N) in (0, 1]: how well each frame knows each direction; what one frame does not see, it takes
    from others. ``pinned`` keeps the first frame as it is. Coefficients of one place change together or not at all.
    """
    if volume.shape[0] < 2:
        return volume
    levels = []
    for level in split(volume):
        known = F.adaptive_avg_pool2d(weights, (level.shape[-2], level.shape[-1])).expand_as(level).clone()
        if pinned:
            known[0] = FIXED
        change = (level[1:] - level[:-1]).abs().amax(1, keepdim=True)
        costs = change_costs(_around(change), weight).expand(-1, 3, -1, -1)
        flat: Sequence[Tensor] = [each.reshape(each.shape[0], -1) for each in (level, known, costs)]
        levels.append(smooth(*flat).reshape(level.shape))
    return join(levels)


def _around(change: Tensor) -> Tensor:
    """Mean over the neighbours of each coefficient, (T − 1, 1, h, 2h), wrapped in azimuth."""
    wide = F.pad(F.pad(change, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1), mode="replicate")
    return F.avg_pool2d(wide, 3, stride=1)
