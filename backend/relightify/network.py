# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of the UV prior: all ten maps out of noisy ones, at 256 pixels a side on a grid of 64.

Heads share one UV layout, so that a place in the square is a place in the face: what is learnt of each place is a
parameter (``place``), and what a whole head has in common, its tone and its light, is pooled at the coarsest grid and
scales what stands at every place. The clean maps are what is predicted, not the noise: of 160 numbers in a patch the
noise needs all, the maps of skin only a few (x-prediction; Salimans & Ho 2022; Li & He 2025).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .maps import CHANNELS, RESOLUTION, TEXTURE

#: Pixels a side of a patch, and what a hint has: the known texture over the expected one and its mask; then texture,
#: diffuse and specular albedo as a linear model expects them.
PATCH, HINT = 4, 11
GRID = RESOLUTION // PATCH
#: Where in a hint, in patches, its parts lie.
_TEXTURE, _MASK, _EXPECTED = (slice(a * PATCH**2, b * PATCH**2) for a, b in ((0, 3), (3, 4), (4, 11)))


@dataclass(frozen=True)
class PriorConfig:
    """Channels at grids of 64, 32, 16 and 8; of what is learnt of each place; of the embedding of time and head."""

    widths: tuple[int, int, int, int] = (48, 96, 160, 192)
    place: int = 32
    embedding: int = 128

    def to_dict(self) -> dict[str, Any]:
        """For the header of a weights file."""
        return asdict(self)


class Block(nn.Module):
    """Two convolutions around which the input passes; scale and shift by an embedding (N, E)."""

    def __init__(self, inside: int, outside: int, embedding: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(n, outside, 3, padding=1) for n in (inside, outside))
        self.norm = nn.GroupNorm(8, inside)
        self.film = nn.Linear(embedding, 2 * outside)
        self.way = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, 1)
        h = self.first(F.silu(self.norm(x)))
        return self.way(x) + self.second(F.silu(h * (1 + scale) + shift))


class Attention(nn.Module):
    """Every place of a coarse grid looks at all others."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(8, width)
        self.queries, self.out = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        parts = self.queries(self.norm(x)).reshape(n, 3, self.heads, c // self.heads, h * w).transpose(-1, -2)
        seen = F.scaled_dot_product_attention(*parts.unbind(1))
        return x + self.out(seen.transpose(-1, -2).reshape(n, c, h, w))


class PriorNet(nn.Module):
    """forward(noisy (N, 160, 64, 64), t (N) in 0..1 from clean to noise, hint (N, 176, 64, 64)) -> clean, as noisy.

    All in patches of :func:`to_patches`, in the units of the training data's mean and deviation. The hint is what
    :func:`hint_of` makes of a texture known in part, and where the network begins; zeros say that none is known, and
    the network makes up a head.
    """

    def __init__(self, config: PriorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PriorConfig()
        (a, b, c, d), e = config.widths, config.embedding
        self.place = nn.Parameter(0.1 * torch.randn(1, config.place, GRID, GRID))
        self.time = nn.Sequential(nn.Linear(33, e), nn.SiLU(), nn.Linear(e, e))
        self.enter, self.enter_place = nn.Conv2d((CHANNELS + HINT) * PATCH**2, a, 1), nn.Conv2d(config.place, a, 1)
        self.down0, self.shrink0 = nn.Conv2d(a, a, 3, padding=1), nn.Conv2d(a, b, 2, stride=2)
        self.down1, self.shrink1 = Block(b, b, e), nn.Conv2d(b, c, 2, stride=2)
        self.down2, self.shrink2 = Block(c, c, e), nn.Conv2d(c, d, 2, stride=2)
        self.middle, self.look = Block(d, d, e), Attention(d)
        self.head = nn.Linear(d, e)
        self.grow2, self.up2 = nn.Conv2d(d, c, 1), Block(c, c, e)
        self.grow1, self.up1 = nn.Conv2d(c, b, 1), Block(b, b, e)
        self.grow0, self.up0 = nn.Conv2d(b, a, 1), nn.Conv2d(a, a, 3, padding=1)
        self.film = nn.Linear(e, 2 * a)
        self.gain = nn.Conv2d(a, 3, 1)
        self.leave, self.leave_place = (nn.Conv2d(n, CHANNELS * PATCH**2, 1) for n in (a, config.place))
        for layer in (self.leave, self.leave_place, self.gain):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
        nn.init.constant_(self.gain.get_parameter("bias"), 0.5)

    def forward(self, noisy: Tensor, t: Tensor, hint: Tensor) -> Tensor:
        place = _channels_last(self.place)
        time = self.time(_time_features(t, hint))
        h = self.enter(torch.cat([noisy, hint], 1)) + self.enter_place(place)
        h0 = h + F.silu(self.down0(F.silu(h)))
        h1 = self.down1(self.shrink0(h0), time)
        h2 = self.down2(self.shrink1(h1), time)
        h = self.look(self.middle(self.shrink2(h2), time))
        # Tone and light of the whole head: they scale what the finer grids know of their places.
        whole = time + self.head(h.mean((2, 3)))
        h = self.up2(h2 + _twice(self.grow2(h)), whole)
        h = self.up1(h1 + _twice(self.grow1(h)), whole)
        h = h0 + _twice(self.grow0(h))
        scale, shift = self.film(whole)[:, :, None, None].chunk(2, 1)
        h = F.silu(h + self.up0(F.silu(h * (1 + scale) + shift)))
        return self._begun(h, hint, self.leave(h) + self.leave_place(place))

    def _begun(self, h: Tensor, hint: Tensor, change: Tensor) -> Tensor:
        """The hint with a ``change``: the known texture as it is, and albedos as expected. What the known texture has
        beyond the expected one goes into the diffuse albedo by a gain of each patch: so fine detail passes."""
        texture, expected = hint[:, _TEXTURE], hint[:, _EXPECTED]
        one = texture.shape[1]
        weight, bias = (x.repeat_interleave(PATCH**2, 0) for x in self.gain.parameters())
        gain = F.conv2d(h, weight, bias)
        diffuse = change[:, one : 2 * one] + expected[:, one : 2 * one] + gain * (texture - expected[:, :one])
        specular = change[:, 2 * one : expected.shape[1]] + expected[:, 2 * one :]
        return torch.cat([change[:, :one] + texture, diffuse, specular, change[:, expected.shape[1] :]], 1)


def to_patches(maps: Tensor) -> Tensor:
    """(N, C, 256, 256) as (N, 16 C, 64, 64): pixel_unshuffle, but all numbers of a patch side by side in memory."""
    n, c, h, w = maps.shape
    cells = maps.reshape(n, c, h // PATCH, PATCH, w // PATCH, PATCH).permute(0, 2, 4, 1, 3, 5).contiguous()
    return cells.reshape(n, h // PATCH, w // PATCH, -1).permute(0, 3, 1, 2)


def from_patches(patches: Tensor) -> Tensor:
    """The maps (N, C, 256, 256) float32 of :func:`to_patches`."""
    return F.pixel_shuffle(patches.float(), PATCH)


def hint_of(texture: Tensor, mask: Tensor, expected: Tensor) -> Tensor:
    """What tells the network of a texture (N, 3, 256, 256), known where mask (N, 1, 256, 256) is 1: (N, 176, 64, 64).

    ``expected`` (N, 7, 256, 256): texture, diffuse and specular albedo as a linear model expects them. In its units.
    """
    filled = torch.where(mask > 0, texture, expected[:, TEXTURE])
    return to_patches(torch.cat([filled, mask, expected], 1))


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0)


def _channels_last(x: Tensor) -> Tensor:
    """Twice as fast on a processor."""
    return x.contiguous(memory_format=torch.channels_last)


def _time_features(t: Tensor, hint: Tensor) -> Tensor:
    """Sines and cosines of t (N) at 16 frequencies, and the share of pixels that the hint knows: (N, 33)."""
    angles = t[:, None].float() * torch.exp(torch.linspace(0, math.log(200), 16, device=t.device))
    known = hint[:, _MASK].float().mean((1, 2, 3))
    return torch.cat([angles.sin(), angles.cos(), known[:, None]], 1)
