# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a relit sphere is from the truth: the metrics of methods.md §1.9, over the pixels of a mask.

All take pictures (S, S, 3) and a mask (S, S) bool. Display metrics expect values in [0, 1].
"""

from __future__ import annotations

import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from . import panorama as pano
from .exposure import luminance


def rmse(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Root of the mean over pixels of the squared RGB distance: √3 larger than a mean over channels."""
    return float(((a - b) ** 2).sum(-1)[mask].mean().sqrt())


def si_rmse_log(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Standard deviation of log a − log b (LIMO's "SI-RMSE"): zero for any a = k·b."""
    difference = a.clamp(min=1e-6).log() - b.clamp(min=1e-6).log()
    return float(difference[mask].std(correction=0))


def si_rmse_ls(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """RMSE (per pixel, RGB summed) after the least-squares scale of a (DiffusionLight's): zero for any a = k·b."""
    x, y = a[mask], b[mask]
    scale = (x * y).sum() / (x * x).sum().clamp(min=1e-12)
    return float(((scale * x - y) ** 2).sum(-1).mean().sqrt())


def ssim(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Structural similarity, data range 1, averaged over the mask."""
    _, quality = structural_similarity(a.numpy(), b.numpy(), data_range=1.0, channel_axis=-1, full=True)
    return float(torch.from_numpy(quality).mean(-1)[mask].mean())


def colour_angle(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Mean angle between RGB vectors in degrees: a colour error, not a light direction."""
    # atan2 of cross and dot is exact for small angles, where acos is not.
    x, y = a[mask], b[mask]
    sine = torch.linalg.cross(x, y).norm(dim=-1)
    return float(torch.rad2deg(torch.atan2(sine, (x * y).sum(-1))).mean())


def psnr(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Peak signal-to-noise ratio in dB over pixels and channels, peak 1."""
    error = float(((a - b) ** 2)[mask].mean())
    return float("inf") if error == 0 else -10 * float(torch.log10(torch.tensor(error)))


def peak_direction_error(a: Tensor, b: Tensor) -> float:
    """Angle in degrees between the brightest directions of two panoramas, both averaged to 32 rows first."""
    peaks = []
    for panorama in (a, b):
        small = luminance(pano.resize(panorama, min(32, panorama.shape[0])))
        peaks.append(pano.directions(small.shape[0]).reshape(-1, 3)[int(small.argmax())])
    sine = torch.linalg.cross(*peaks).norm()
    return float(torch.rad2deg(torch.atan2(sine, peaks[0] @ peaks[1])))


def energy_ratio(a: Tensor, b: Tensor) -> float:
    """Mean luminance of panorama a over that of b."""
    return float(luminance(pano.mean_radiance(a)) / luminance(pano.mean_radiance(b)).clamp(min=1e-9))


def scores(a: Tensor, b: Tensor, mask: Tensor) -> dict[str, float]:
    """All display metrics of one relit sphere, by name."""
    return {f.__name__: f(a, b, mask) for f in (rmse, si_rmse_log, si_rmse_ls, ssim, colour_angle, psnr)}
