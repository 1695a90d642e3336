# SPDX-License-Identifier: GPL-3.0-or-later
"""Every Gaussian on every pixel, in plain torch: what the fast rasterisers are held against. For tiny scenes only.

Elliptical weighted averaging as in 3D Gaussian Splatting (Kerbl et al. 2023) and gsplat: first-order projection of the
covariance, 0.3 square pixels added to it, opacity · exp(−σ) capped at 0.999 and cut below 1/255, front to back until
the light that passes would fall to 1e-4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .camera import NEAR, SplatCamera

DILATION = 0.3
MOST_ALPHA = 0.999
LEAST_ALPHA = 1 / 255
LEAST_LIGHT = 1e-4


def rotations(quats: Tensor) -> Tensor:
    """Unit quaternions (N, 4), w x y z, as matrices (N, 3, 3)."""
    w, x, y, z = quats.unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def project(means: Tensor, quats: Tensor, scales: Tensor, camera: SplatCamera) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (N, 2) in pixels from the top left, covariances (N, 2, 2) in square pixels, planar depths (N,)."""
    view = camera.viewmat.to(means)
    x, y, z = (means @ view[:3, :3].T + view[:3, 3]).unbind(-1)
    c = camera.lens
    left, right, top, bottom = camera.limits()
    slope_x, slope_y = (x / z).clamp(left, right), (y / z).clamp(top, bottom)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [
            torch.stack([c.fx / z, zero, -c.fx * slope_x / z], -1),
            torch.stack([zero, c.fy / z, -c.fy * slope_y / z], -1),
        ],
        -2,
    )
    shape = jacobian @ view[:3, :3] @ (rotations(quats) * scales[:, None])
    covariance = shape @ shape.transpose(-1, -2) + DILATION * torch.eye(2).to(means)
    return torch.stack([c.fx * x / z + c.cx, c.fy * y / z + c.cy], -1), covariance, z


def rasterize_dense(
    means: Tensor, quats: Tensor, scales: Tensor, opacity: Tensor, colours: Tensor, camera: SplatCamera, screen: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted colours (H, W, D), how much of a pixel is covered (H, W), and the Gaussians (N,) bool that were drawn.

    ``quats`` are unit; ``screen`` (N, 2) pixels is added to the projected positions.
    """
    height, width = camera.lens.height, camera.lens.width
    xy, covariance, depth = project(means, quats, scales, camera)
    xy = xy + screen
    order = torch.argsort(depth.detach(), stable=True)
    order = order[(depth[order] > NEAR) & (opacity[order] >= LEAST_ALPHA)]
    conic = torch.linalg.inv(covariance[order])
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([columns, rows], -1).to(means).reshape(-1, 1, 2)
    away = xy[order] - pixels
    sigma = 0.5 * torch.einsum("pni,nij,pnj->pn", away, conic, away)
    alpha = (opacity[order] * torch.exp(-sigma)).clamp(max=MOST_ALPHA)
    alpha = torch.where(alpha < LEAST_ALPHA, torch.zeros_like(alpha), alpha)
    passed = torch.cumprod(1 - alpha, -1)
    alpha = torch.where(passed <= LEAST_LIGHT, torch.zeros_like(alpha), alpha)
    before = torch.cat([torch.ones_like(passed[:, :1]), torch.cumprod(1 - alpha, -1)[:, :-1]], -1)
    weight = alpha * before
    drawn = torch.zeros(len(means), dtype=torch.bool)
    drawn[order[(weight > 0).any(0)]] = True
    return (weight @ colours[order]).reshape(height, width, -1), weight.sum(-1).reshape(height, width), drawn
