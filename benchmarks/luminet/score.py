# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of one transfer against its truth.

Keys: ``raw.unit.rmse`` and the like: ``raw`` or ``corrected`` (the error's mean taken out of each channel of the result
first, not clipped after), ``unit`` for pictures in [0, 1] or ``signed`` for [−1, 1], as LumiNet and Latent Intrinsics
report (methods.md §3.5); then ``colour_angle`` in degrees and ``albedo_error``.
"""

from __future__ import annotations

import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional as F

from ...backend.optics import metrics
from ...backend.optics.exposure import srgb_eotf

Scores = dict[str, float]
#: The number that orders methods and cases.
LEADING = "raw.unit.rmse"
#: Albedo below this, or light below this share of white, tells nothing about the albedo.
_LEAST_ALBEDO, _LEAST_LIGHT = 0.02, 0.002
#: Windows along a side for the albedo error.
_WINDOWS = 8


def score(result: Tensor, truth: Tensor, albedo: Tensor, solid: Tensor) -> Scores:
    """All numbers of a result (S, S, 3), display values in [0, 1]; the rest as in :class:`.pairs.Pair`."""
    found: Scores = {}
    shifted = result - (result - truth).mean((0, 1))
    for name, picture in (("raw", result), ("corrected", shifted)):
        error = float(((picture - truth) ** 2).mean().sqrt())
        for convention, scale in (("unit", 1.0), ("signed", 2.0)):
            found[f"{name}.{convention}.rmse"] = scale * error
            found[f"{name}.{convention}.ssim"] = _ssim(picture, truth, scale)
    everywhere = torch.ones(truth.shape[:2], dtype=torch.bool)
    found["colour_angle"] = metrics.colour_angle(result, truth, everywhere)
    found["albedo_error"] = albedo_error(result, truth, albedo, solid)
    return found


def _ssim(result: Tensor, truth: Tensor, scale: float) -> float:
    """skimage's with its own window, range ``scale``. The shift to [−1, 1] matters to it as the scale does not."""
    offset = 1.0 - scale
    pictures = [(scale * picture + offset).numpy() for picture in (result, truth)]
    return float(structural_similarity(*pictures, data_range=scale, channel_axis=-1))


def albedo_error(result: Tensor, truth: Tensor, albedo: Tensor, solid: Tensor) -> float:
    """How much of the scene's structure is lost: 0 is none, 1 is all.

    The result's light over the true shading should be the albedo. What differs by a smooth factor is wrong light, not
    lost structure, so each of the overlapping windows of an eighth of the picture has a least-squares scale of its own
    for every channel (the local error of Grosse et al. 2009); the root of what remains is told as a share of the
    albedo's own. Clipped, black and empty pixels are left out. A source left as it was has an error too: the edges of
    its shadows and highlights, which the true shading does not explain.
    """
    light, lit = srgb_eotf(result.clamp(0, 1)), srgb_eotf(truth)
    known = solid & (albedo.amin(-1) > _LEAST_ALBEDO) & (lit.amin(-1) > _LEAST_LIGHT) & (truth.amax(-1) < 1)
    told = torch.where(known[..., None], light / lit.clamp(min=_LEAST_LIGHT) * albedo, 0.0)
    true = torch.where(known[..., None], albedo, 0.0)
    side = max(2, truth.shape[0] // _WINDOWS)

    def sums(product: Tensor) -> Tensor:
        return F.avg_pool2d(product.permute(2, 0, 1)[None].double(), side, max(1, side // 2))

    both, own, wanted = sums(told * true), sums(told * told), sums(true * true)
    left = wanted - both**2 / own.clamp(min=1e-12)
    return float((left.clamp(min=0).sum() / wanted.sum().clamp(min=1e-12)).sqrt())
