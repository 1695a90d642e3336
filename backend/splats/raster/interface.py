# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way into the rasterisers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import BadInput
from .camera import SplatCamera
from .cuda import rasterize_gsplat
from .dense import rasterize_dense
from .tiled import Tiled

#: ``auto`` is gsplat where the tensors are on a GPU.
METHODS = ("auto", "tiled", "gsplat", "dense")


class Raster(NamedTuple):
    """What a camera sees: ``colours`` (H, W, D) and ``depth`` (H, W, 1; planar, along −z), weighted by ``alpha``
    (H, W, 1), how much of the pixel is covered: divide by it for means. ``drawn`` (N,) bool: the Gaussians seen."""

    colours: Tensor
    alpha: Tensor
    depth: Tensor
    drawn: Tensor


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacity: Tensor,
    colours: Tensor,
    camera: SplatCamera,
    *,
    screen: Tensor | None = None,
    method: str = "auto",
) -> Raster:
    """Draw N Gaussians with any number of channels, differentiably in all tensors but not in the camera.

    ``means`` (N, 3); ``quats`` (N, 4), w x y z, any length; ``scales`` (N, 3) > 0; ``opacity`` (N,) 0..1; ``colours``
    (N, D); in float32, or float64 for checks. ``screen`` (N, 2), zeros that want a gradient, gets that of the projected
    positions in pixels, by which training finds where Gaussians are missing.
    """
    if method not in METHODS:
        raise BadInput(f"There is no rasteriser '{method}'.", f"Use one of {', '.join(METHODS)}.")
    if method == "auto":
        method = "gsplat" if means.is_cuda else "tiled"
    quats = F.normalize(quats, dim=-1)
    if method == "gsplat":
        return Raster(*rasterize_gsplat(means, quats, scales, opacity, colours, camera, screen))
    if screen is None:
        screen = means.new_zeros(len(means), 2)
    if method == "dense":
        view = camera.viewmat.to(means)
        depth = (means @ view[2, :3] + view[2, 3])[:, None]
        image, alpha, drawn = rasterize_dense(
            means, quats, scales, opacity, torch.cat([colours, depth], -1), camera, screen
        )
    else:
        image, alpha, drawn = Tiled.apply(camera, means, quats, scales, opacity, screen, colours)
    return Raster(image[..., :-1], alpha[..., None], image[..., -1:], drawn)
