# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a relit sphere or a map of light is from the truth.

Two families: LIMO's (methods.md §1.9), for display pictures in [0, 1], and DiffusionLight's (methods.md §2.6), for
linear pictures of any range. Pictures a (estimate) and b (truth) are (S, S, 3), masks (S, S) bool; maps are (N, 2N, 3),
linear.
LIMO's video metrics (T-LPIPS, warped error) are in :mod:`.video_metrics`.
"""

from __future__ import annotations

import math

import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from . import panorama as pano
from .exposure import luminance

#: Below this RMSE lies what 8 bits can tell (60 dB); it keeps the PSNR of equal pictures finite, so that it averages.
PSNR_CEILING = 60.0
#: What is brighter than its surroundings by less than this has no direction: a constant map.
_FLAT = 1.001


def rmse(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """sqrt(Σ_pixels Σ_rgb (a − b)² / pixels): √3 larger than a mean over channels (§1.9; §2.6 is the same)."""
    return float(((a - b) ** 2).sum(-1)[mask].mean().sqrt())


def si_rmse_log(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Standard deviation of log a − log b, values at least 1e-6 (LIMO's "SI-RMSE", §1.9): zero for any a = k·b."""
    difference = a.clamp(min=1e-6).log() - b.clamp(min=1e-6).log()
    return float(difference[mask].std(correction=0))


def si_rmse_ls(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """RMSE after the least-squares scale Σab/Σa² of a (DiffusionLight's "SI-RMSE", §2.6): zero for any a = k·b."""
    x, y = a[mask], b[mask]
    scale = (x * y).sum() / (x * x).sum().clamp(min=1e-12)
    return float(((scale * x - y) ** 2).sum(-1).mean().sqrt())


def ssim(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Structural similarity by skimage with data range 1 (§1.9), its map averaged over the mask.

    The source does not tell over which pixels it averages; the surroundings, equal by construction, would only flatter.
    """
    _, quality = structural_similarity(a.numpy(), b.numpy(), data_range=1.0, channel_axis=-1, full=True)
    return float(torch.from_numpy(quality).mean(-1)[mask].mean())


def colour_angle(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Mean of acos|cos ∠(a_rgb, b_rgb)| in degrees (§1.9, §2.6), black counting 0: of colour, not light's direction."""
    # atan2 of cross and dot is exact for small angles, where acos is not.
    x, y = a[mask], b[mask]
    sine = torch.linalg.cross(x, y).norm(dim=-1)
    return float(torch.rad2deg(torch.atan2(sine, (x * y).sum(-1).abs())).mean())


def psnr(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """−10 log10 of the mean squared error over pixels and channels, in dB for peak 1, at most :data:`PSNR_CEILING`."""
    error = float(((a - b) ** 2)[mask].mean())
    return PSNR_CEILING if error == 0 else min(-10 * math.log10(error), PSNR_CEILING)


def normalised_rmse(a: Tensor, b: Tensor, mask: Tensor, share: float = 1.0) -> float:
    """RMSE of both after (x − P0.01)/(P99.9 − P0.01), percentiles of all channels (DiffusionLight's, §2.6).

    There the percentiles are those of the whole frame; ``share`` is the ball's part of it, the rest being black.
    """
    x, y = a[mask], b[mask]
    black = torch.zeros(round(x.numel() * (1 / share - 1)))

    def normalised(ball: Tensor) -> Tensor:
        low, high = torch.quantile(torch.cat([ball.flatten(), black]), torch.tensor([1e-4, 0.999]))
        return (ball - low) / (high - low).clamp(min=1e-9)

    return float(((normalised(x) - normalised(y)) ** 2).sum(-1).mean().sqrt())


def peak_direction(panorama: Tensor) -> Tensor | None:
    """Unit direction (3,) of the brightest texel of the map at 32 rows; nothing where no texel stands out."""
    small = luminance(pano.resize(panorama, min(32, panorama.shape[0])))
    if float(small.max()) <= _FLAT * float(small.min()):
        return None
    return pano.directions(small.shape[0]).reshape(-1, 3)[int(small.argmax())]


def peak_direction_error(a: Tensor, b: Tensor) -> float:
    """Angle in degrees between the brightest directions of two maps, both averaged to 32 rows first.

    NaN where one of them has no brightest direction: a constant map says nothing about it.
    """
    first, second = peak_direction(a), peak_direction(b)
    if first is None or second is None:
        return math.nan
    return float(torch.rad2deg(torch.atan2(torch.linalg.cross(first, second).norm(), first @ second)))


def energy_ratio(a: Tensor, b: Tensor) -> float:
    """Mean luminance of map a over that of b, over all directions by solid angle."""
    return float(luminance(pano.mean_radiance(a)) / luminance(pano.mean_radiance(b)).clamp(min=1e-9))


def scores(a: Tensor, b: Tensor, mask: Tensor) -> dict[str, float]:
    """LIMO's metrics of one relit sphere by name, and the least-squares SI-RMSE beside its logarithmic one."""
    return {f.__name__: f(a, b, mask) for f in (rmse, si_rmse_log, si_rmse_ls, ssim, colour_angle, psnr)}


def three_sphere_scores(a: Tensor, b: Tensor, mask: Tensor, share: float) -> dict[str, float]:
    """DiffusionLight's metrics of one relit sphere by name (§2.6); ``share``: the ball's part of the rendered frame."""
    found = {f.__name__: f(a, b, mask) for f in (rmse, si_rmse_ls, colour_angle)}
    return {**found, "normalised_rmse": normalised_rmse(a, b, mask, share)}
