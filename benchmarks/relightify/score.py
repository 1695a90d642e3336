# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of one head's maps against the truth, over its skin; RMSE is over pixels and channels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...backend.optics import metrics
from ...backend.optics.exposure import srgb_eotf
from ...backend.relightify.maps import DIFFUSE, NORMAL, SPECULAR, TEXTURE, decode_normal, skin_mask

Scores = dict[str, float]
HIDDEN_PSNR, KNOWN_PSNR, DIFFUSE_RMSE = "hidden texture psnr", "known texture psnr", "diffuse rmse"


def score(found: Tensor, truth: Tensor, mask: Tensor) -> Scores:
    """All numbers of maps (10, S, S) with the texture known where mask (1, S, S) is 1.

    PSNR and SSIM of the texture as encoded, hidden and known part; RMSE of the diffuse albedo as encoded and linear and
    of the specular albedo, F0 over 0.08; the angle between normals in degrees.
    """
    skin = skin_mask(truth.shape[-1])[0] > 0
    hidden, known = skin & (mask[0] < 0.5), skin & (mask[0] > 0.5)
    ours, true = (_picture(x[TEXTURE]) for x in (found, truth))
    return {
        HIDDEN_PSNR: metrics.psnr(ours, true, hidden),
        "hidden texture ssim": metrics.ssim(ours, true, hidden),
        KNOWN_PSNR: metrics.psnr(ours, true, known),
        DIFFUSE_RMSE: _rmse(found[DIFFUSE], truth[DIFFUSE], skin),
        "diffuse linear rmse": _rmse(srgb_eotf(found[DIFFUSE]), srgb_eotf(truth[DIFFUSE]), skin),
        "specular rmse": _rmse(found[SPECULAR], truth[SPECULAR], skin),
        "normal angle": _angle(found[NORMAL], truth[NORMAL], skin),
    }


def picture_error(ours: Tensor, true: Tensor, alpha: Tensor) -> Scores:
    """PSNR and RMSE of a relit picture (S, S, 3), display values, where the head (S, S) is."""
    where = alpha > 0.5
    return {
        "relit psnr": metrics.psnr(ours, true, where),
        "relit rmse": float((ours - true)[where].square().mean().sqrt()),
    }


def _picture(planes: Tensor) -> Tensor:
    return planes.movedim(0, -1).contiguous()


def _rmse(ours: Tensor, true: Tensor, where: Tensor) -> float:
    return float((ours - true)[:, where].square().mean().sqrt())


def _angle(ours: Tensor, true: Tensor, where: Tensor) -> float:
    cosine = (decode_normal(ours) * decode_normal(true)).sum(0)[where].clamp(-1, 1)
    return float(torch.acos(cosine).mean()) * 180 / math.pi
