# SPDX-License-Identifier: GPL-3.0-or-later
"""What a linear model of heads expects of the maps, given a part of the texture: where the prior begins.

Heads share one layout, and light and albedo multiply: the logarithms of texture, diffuse and specular albedo, averaged
to 32 pixels a side, are nearly normally distributed about a few dozen directions (probabilistic principal components,
Tipping & Bishop 1999). Given what is seen of the texture, the rest is the solution of one small system.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .maps import SPECULAR

#: Channels of a stack that it tells, pixels a side, directions, what is added before the logarithm.
TOLD, SIZE, DIRECTIONS, _OFFSET = SPECULAR.stop, 32, 48, 0.03
#: Errors of neighbouring pixels are alike: so many say as much as one.
_ALIKE = 100.0
_SEEN = 3 * SIZE * SIZE


@dataclass(frozen=True, eq=False)
class LinearModel:
    """``centre`` (7, 32, 32) and ``basis`` (K, 7, 32, 32) of logarithms, the basis scaled to coefficients N(0, 1);
    ``rest`` (1,): variance of what the basis leaves over."""

    centre: Tensor
    basis: Tensor
    rest: Tensor

    def expect(self, colour: Tensor, mask: Tensor) -> Tensor:
        """Texture, diffuse and specular albedo (N, 7, R, R), encoded in 0..1 as in a stack, smooth.

        colour (N, 3, R, R) sRGB-encoded, of which is known where mask (N, 1, R, R) is 1.
        """
        share = F.adaptive_avg_pool2d(mask, SIZE)
        small = F.adaptive_avg_pool2d(colour * mask, SIZE) / share.clamp(min=1e-6)
        flat = self.basis.flatten(1)
        seen = flat[:, :_SEEN]
        off = (_log(small).flatten(1) - self.centre.flatten()[:_SEEN]) * (share > 0).expand_as(small).flatten(1)
        weight = share.expand_as(small).flatten(1) / (self.rest * _ALIKE)
        system = torch.einsum("kp,np,lp->nkl", seen, weight, seen) + torch.eye(len(flat), device=flat.device)
        found = torch.linalg.solve(system, torch.einsum("kp,np->nk", seen, weight * off))
        told = (self.centre.flatten() + found @ flat).unflatten(1, self.centre.shape)
        return F.interpolate((told.exp() - _OFFSET).clamp(0, 1), colour.shape[-1], mode="bilinear", align_corners=False)

    def to(self, device: torch.device | str) -> LinearModel:
        """On another device."""
        return LinearModel(self.centre.to(device), self.basis.to(device), self.rest.to(device))


def shrunk(stacks: Tensor) -> Tensor:
    """Of stacks (N, 10, R, R) in 0..1 what :func:`fit_linear` takes: (N, 7, 32, 32)."""
    return F.adaptive_avg_pool2d(stacks[:, :TOLD], SIZE)


def fit_linear(small: Tensor) -> LinearModel:
    """The model of heads (N, 7, 32, 32), encoded."""
    logs = _log(small).flatten(1)
    centre = logs.mean(0)
    off = logs - centre
    count = min(DIRECTIONS, len(off) - 1)
    torch.manual_seed(0)
    _, deviation, directions = torch.svd_lowrank(off, q=count + 16, niter=4)
    directions, deviation = directions[:, :count], deviation[:count] / len(off) ** 0.5
    rest = (off - off @ directions @ directions.T).square().mean().clamp(min=1e-4)
    shape = small.shape[1:]
    return LinearModel(centre.reshape(shape), (directions * deviation).T.reshape(-1, *shape), rest.reshape(1))


def _log(encoded: Tensor) -> Tensor:
    return (encoded.clamp(0, 1) + _OFFSET).log()
