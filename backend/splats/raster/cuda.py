# SPDX-License-Identifier: GPL-3.0-or-later
"""gsplat's rasteriser (Apache-2.0) behind our interface, where it and a CUDA device are there."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from ...errors import MissingPart
from .camera import NEAR, SplatCamera


def has_gsplat() -> bool:
    """Whether the package is installed."""
    return find_spec("gsplat") is not None


def rasterize_gsplat(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacity: Tensor,
    colours: Tensor,
    camera: SplatCamera,
    screen: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colours (H, W, D), coverage and weighted depth (H, W, 1), drawn (N,); all channels in one call."""
    if not has_gsplat():
        raise MissingPart(
            "Splats on a GPU need the package gsplat.",
            "Install it into the engine's environment (pip install gsplat), or use --device cpu.",
        )
    from gsplat import rasterization

    pictures, alphas, found = rasterization(
        means, quats, scales, opacity, colours, camera.viewmat.to(means)[None], camera.intrinsics.to(means)[None],
        camera.lens.width, camera.lens.height, near_plane=NEAR, render_mode="RGB+D", packed=False,
    )  # fmt: skip
    if screen is not None and screen.requires_grad and pictures.requires_grad:
        # gsplat makes the projected positions itself; their gradient is handed on when it comes.
        found["means2d"].register_hook(lambda g: _hand_on(screen, g[0]))
    radii = found["radii"][0]
    drawn = (radii > 0).all(-1) if radii.ndim == 2 else radii > 0
    return pictures[0, ..., :-1], alphas[0], pictures[0, ..., -1:], drawn


def _hand_on(screen: Tensor, g: Tensor) -> None:
    screen.grad = g.detach().clone() if screen.grad is None else torch.add(screen.grad, g.detach())
