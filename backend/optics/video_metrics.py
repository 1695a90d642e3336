# SPDX-License-Identifier: GPL-3.0-or-later
"""How steady a sequence of relit spheres is, beside the truth's own change (methods.md §1.9, LIMO's video metrics).

Display pictures (T, S, S, 3) in [0, 1], masks (S, S) bool. LIMO measures change between frames by LPIPS
(:mod:`.lpips`, with weights that a user has); without them the same formula stands on 1 − SSIM and is called T-DSSIM.
LIMO finds motion by RAFT on the true pictures; here it is the generator's own (:mod:`.motion`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from statistics import mean

from torch import Tensor

from .metrics import ssim
from .motion import Motion

#: Distance between two display pictures (S, S, 3) over a mask.
PictureDistance = Callable[[Tensor, Tensor, Tensor], float]


def dssim(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """1 − SSIM: the stand-in for LPIPS."""
    return 1 - ssim(a, b, mask)


def temporal(frames: Tensor, mask: Tensor, distance: PictureDistance = dssim) -> float:
    """Mean distance between consecutive frames: T-DSSIM, or T-LPIPS with that ``distance``."""
    return mean(distance(a, b, mask) for a, b in itertools.pairwise(frames))


def temporal_difference(frames: Tensor, truth: Tensor, mask: Tensor, distance: PictureDistance = dssim) -> float:
    """|T(frames) − T(truth)|: T-DSSIM-Diff, or T-LPIPS-Diff."""
    return abs(temporal(frames, mask, distance) - temporal(truth, mask, distance))


def warped_error(frames: Tensor, motions: Sequence[Motion]) -> float:
    """RMSE between each frame and the one before moved along ``motions`` (T − 1), where it was seen; mean over pairs.

    As LIMO's RMSE it sums over colours. The truth's own is not zero where light changes or moves.
    """
    pairs = zip(itertools.pairwise(frames), motions, strict=True)
    errors = [
        float(((motion.moved(before) - now) ** 2).sum(-1)[motion.seen].mean().sqrt())
        for (before, now), motion in pairs
        if bool(motion.seen.any())
    ]
    return mean(errors) if errors else float("nan")


def gradient_error(frames: Tensor, truth: Tensor, mask: Tensor) -> float:
    """RMSE of the change from frame to frame against the truth's change, colours summed."""
    wrong = (frames[1:] - frames[:-1]) - (truth[1:] - truth[:-1])
    return float((wrong**2).sum(-1)[:, mask].mean().sqrt())


def flicker(levels: Tensor) -> float:
    """Mean |change| between consecutive frames of mean irradiance (T,), as a share of its mean over time."""
    return float((levels[1:] - levels[:-1]).abs().mean() / levels.mean().clamp(min=1e-9))


def swing(levels: Tensor) -> float:
    """How far mean irradiance (T,) goes up and down over a sequence, in stops: that of the truth should be kept."""
    stops = levels.clamp(min=1e-9).log2()
    return float(stops.max() - stops.min())
