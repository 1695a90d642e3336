# SPDX-License-Identifier: GPL-3.0-or-later
"""The renderer R of the fit: linear operators from a panorama to what each sphere pixel shows, with exact gradients."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from ..optics import panorama as pano
from ..optics.sphere import SphereView, intersect, reflect

#: Rows of the reduced map that lights the diffuse sphere; a lamp keeps its place to within three degrees.
DIFFUSE_HEIGHT = 64
#: The diffuse sphere is so smooth that every this many pixels of its mask say all.
DIFFUSE_STRIDE = 4


class _Sparse(torch.autograd.Function):
    """y = A x with the transpose prepared, so that the backward pass is a plain product too."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:  # type: ignore[override]
        ctx.transposed = transposed
        return matrix @ x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor]:  # type: ignore[override]
        return None, None, ctx.transposed @ grads[0].contiguous()


class Renderer:
    """What the masked pixels of a mirror and a diffuse sphere (albedo 1) show under a panorama of ``height`` rows.

    ``lit``: the view of the diffuse sphere where it does not stand where the mirror does. ``mask`` and ``lit_mask``
    (S, S) are their pixels, ``normals`` (Q, 3) the diffuse sphere's.
    """

    def __init__(self, view: SphereView, height: int, supersample: int = 4, lit: SphereView | None = None) -> None:
        self.height = height
        self.view, self.mask = view, view.mask
        lit = lit or view
        self.lit_mask, self.normals = lit.mask, lit.normals[lit.mask]
        matrix = mirror_matrix(view, height, supersample)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support")
            self._mirror = matrix.to_sparse_csr()
            self._mirror_back = matrix.T.coalesce().to_sparse_csr()
        self._small = min(DIFFUSE_HEIGHT, height)
        towards = pano.directions(self._small).reshape(-1, 3)
        area = pano.solid_angles(self._small).expand(-1, 2 * self._small).reshape(-1)
        self._cosine = (self.normals[::DIFFUSE_STRIDE] @ towards.T).clamp(min=0) * area / math.pi

    def mirror(self, panorama: Tensor) -> Tensor:
        """(N, 2N, C) to the mirror's masked pixels (P, C)."""
        flat = panorama.reshape(-1, panorama.shape[-1])
        return _Sparse.apply(self._mirror, self._mirror_back, flat)  # type: ignore[no-any-return]

    def mirror_back(self, pixels: Tensor) -> Tensor:
        """The transpose of :meth:`mirror`: (P, C) to (N·2N, C)."""
        return self._mirror_back @ pixels

    def diffuse(self, panorama: Tensor) -> Tensor:
        """(N, 2N, C) to every fourth of the diffuse sphere's masked pixels (P/4, C)."""
        return self._cosine @ pano.resize(panorama, self._small).reshape(-1, panorama.shape[-1])


def mirror_matrix(view: SphereView, height: int, supersample: int) -> Tensor:
    """Sparse (P, N·2N): bilinear lookup of the panorama along the mirrored rays of each masked pixel, averaged."""
    rays = view.rays_at(supersample)
    hit = intersect(rays, view.center, view.radius)
    index = torch.full((view.size, view.size), -1)
    index[view.mask] = torch.arange(int(view.mask.sum()))
    pixel = index.repeat_interleave(supersample, 0).repeat_interleave(supersample, 1)
    valid = hit.mask & (pixel >= 0)
    rows = pixel[valid]
    uv = pano.uv_from_direction(reflect(rays, hit.normals)[valid])
    width = 2 * height
    x, y = uv[:, 0] * width - 0.5, (uv[:, 1] * height - 0.5).clamp(0, height - 1)
    x0, y0 = x.floor(), y.floor().clamp(max=height - 2)
    fx, fy = x - x0, y - y0
    columns, weights = [], []
    for dx, wx in ((0, 1 - fx), (1, fx)):
        for dy, wy in ((0, 1 - fy), (1, fy)):
            columns.append((y0.long() + dy) * width + (x0.long() + dx) % width)
            weights.append(wx * wy)
    share = 1 / torch.bincount(rows, minlength=int(view.mask.sum())).clamp(min=1).float()
    entries = torch.stack([rows.repeat(4), torch.cat(columns)])
    values = torch.cat(weights) * share[rows].repeat(4)
    size = (int(view.mask.sum()), height * width)
    return torch.sparse_coo_tensor(entries, values, size, check_invariants=False).coalesce()
