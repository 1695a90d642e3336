# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made small: the method's losses (methods.md §5.3), and how far normals are from the surface of the depth."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ..raster import SplatCamera

#: Weights of structure in the picture's loss, of the progress, of white light and of normals along the depth's slope.
STRUCTURE, PROGRESS, WHITE, SLOPE = 0.2, 0.08, 0.003, 0.05
#: In a short budget, where little else shapes a surface: of the slope, of the mask, of the progress, and of evenness by
#: channel; and of the light that was told.
SHORT_SLOPE, SHORT_MASK, SHORT_PROGRESS, SHORT_LIGHT = 0.4, 1.0, 0.1, 0.1
SHORT_EVEN = {"albedo": 0.1, "metallic": 0.05, "roughness": 0.05, "normal": 0.02}
#: And of raw radiance alone, where nothing is metal: else it fills what physical shading lacks, and does not look as
#: photographed by itself. The surface, too, is better for it; at 4 what is glazed loses.
SHORT_RAW = 2.0
#: Also of metals' roughness, which is taken to be this where sharper light would show the same.
SHORT_POLISH, POLISHED = 0.1, 0.3
#: Pixels that are covered less, or next to such, have no slope.
_WHOLE = 0.9
_WINDOW, _SIGMA = 11, 1.5


@lru_cache(maxsize=8)
def _window(size: int, device: str) -> Tensor:
    """(size, size): the Gaussian window along an axis as a matrix, zeros beyond the edge. On processors a matrix is
    ten times faster than torch's convolution."""
    place = torch.arange(size, device=device)
    away = place[:, None] - place
    kernel = torch.exp(-((torch.arange(_WINDOW) - _WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    near = torch.exp(-(away**2) / (2 * _SIGMA**2)) / kernel.sum().to(device)
    return torch.where(away.abs() <= _WINDOW // 2, near, torch.zeros_like(near))


def _blurred(maps: Tensor) -> Tensor:
    """Maps (C, H, W) seen through the window."""
    device = str(maps.device)
    return _window(maps.shape[1], device) @ maps @ _window(maps.shape[2], device)


def dissimilarity(a: Tensor, b: Tensor) -> Tensor:
    """1 − SSIM of pictures (H, W, 3) in 0..1, Gaussian window of 11 pixels, as 3DGS has it."""
    x, y = a.permute(2, 0, 1), b.permute(2, 0, 1)
    mean_x, mean_y, xx, yy, xy = _blurred(torch.cat([x, y, x * x, y * y, x * y])).split(3)
    var_x, var_y, both = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return 1 - (top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean()


def picture(image: Tensor, truth: Tensor) -> Tensor:
    """(1 − .2) · L1 + .2 · (1 − SSIM)."""
    return (1 - STRUCTURE) * (image - truth).abs().mean() + STRUCTURE * dissimilarity(image, truth)


def white(radiance: Tensor) -> Tensor:
    """Mean over texels of Σ_rgb |l − mean_rgb l|: light is white where nothing says otherwise."""
    return (radiance - radiance.mean(-1, keepdim=True)).abs().sum(-1).mean()


def departure(light: Tensor, told: Tensor) -> Tensor:
    """How far a light's harmonics (16, 3) are from the first ones (K, 3) that were ``told``, as parts of their means:
    the sum of squares. Nothing else keeps light out of albedo for long: a picture is alike either way."""
    return (light[: len(told)] / light[0].mean() - told / told[0].mean()).square().sum()


def unpolished(roughness: Tensor, metallic: Tensor, alpha: Tensor) -> Tensor:
    """Mean square, over what ``alpha`` covers, of how far roughness is from :data:`POLISHED` where ``metallic``, all
    (…, 1). A rough mirror of sharp light and a sharp one of soft light show the same, and light is seldom soft."""
    weight = (alpha * metallic).detach()
    return (weight * (roughness - POLISHED).square()).sum() / alpha.detach().sum().clamp(min=1)


def slope(normal: Tensor, depth: Tensor, alpha: Tensor, camera: SplatCamera) -> Tensor:
    """Mean of 1 − n·s over whole pixels, s being the normal of the surface that the depth of neighbours spans.

    ``normal`` (H, W, 3), any length, the Gaussians' frame; ``depth`` (H, W, 1) planar, weighted by ``alpha``
    (H, W, 1). A short axis alone says little of a surface's direction while Gaussians are still round (as in 2D
    Gaussian Splatting, Huang et al. 2024, eq. 14, there per Gaussian).
    """
    turn = camera.world_to_camera[:3, :3].to(normal)
    points = camera.lens.unit_depth_points().to(normal) * (depth / alpha.clamp(min=1e-6))
    across, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
    spanned = F.normalize(torch.linalg.cross(down, across), dim=-1) @ turn
    inside = -F.max_pool2d(-(alpha[None, ..., 0].detach()), 3, 1)[0] > _WHOLE
    away = 1 - (F.normalize(normal[1:-1, 1:-1], dim=-1) * spanned).sum(-1)
    return (away * inside).sum() / alpha[..., 0].numel()


def uneven(maps: Tensor, alpha: Tensor) -> Tensor:
    """Sum over channels of how much maps (H, W, C) change from a pixel to the next, means over the picture of where
    ``alpha`` (H, W, 1) covers both."""
    whole = (alpha.detach() > _WHOLE).to(maps)
    across = (maps[:, 1:] - maps[:, :-1]).abs() * whole[:, 1:] * whole[:, :-1]
    down = (maps[1:] - maps[:-1]).abs() * whole[1:] * whole[:-1]
    return (across.sum() + down.sum()) / whole.numel()
