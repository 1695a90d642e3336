# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded form's networks: latent intrinsics, and a relighting diffusion on the light ratio.

Latent intrinsics (methods.md §3.2): an encoder whose normalised feature maps say what a scene is and whose 16 numbers
say how it is lit, and a decoder of both. The diffusion (§3.3) is ControlNet's and LumiNet's idea in small: it sees the
source, its intrinsics and the decoder's guess, and attends to tokens that an adaptor makes of the target's code. It
paints the logarithm of relit over source radiance, so that texture never passes through it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .relighter import CODE

#: Pixels a side of the pictures that the networks work on.
SIZE = 128
#: Rows and columns of places at which the encoder looks for the light.
_PLACES = 4
#: The natural logarithm of a light ratio is kept within ± this: four stops.
LARGEST_RATIO = 3.0
#: Standard deviation of the log ratio, by which it is scaled for the diffusion.
RATIO_SCALE = 0.8


@dataclass(frozen=True)
class LumiNetConfig:
    """Sizes; ``widths`` are channels at 64, 32, 16 and 8 pixels, of the intrinsics and of the diffusion."""

    intrinsics: tuple[int, int, int, int] = (32, 64, 96, 128)
    diffusion: tuple[int, int, int] = (32, 64, 128)
    embedding: int = 128
    tokens: int = 3
    token_width: int = 96

    def to_dict(self) -> dict[str, object]:
        """The JSON form kept in the weights' header."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """What a picture shows. maps: (N, C, S, S) at 64, 32, 16 and 8 pixels, each pixel's vector of length 1; code:
    (N, 16) of length 1, its light."""

    maps: list[Tensor]
    code: Tensor


class ResBlock(nn.Module):
    """Two 3×3 convolutions; the second is scaled and shifted by an embedding (N, E) where one is given."""

    def __init__(self, inside: int, outside: int, embedding: int = 0) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, inside), nn.Conv2d(inside, outside, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * outside) if embedding else None
        self.norm2, self.conv2 = nn.GroupNorm(8, outside), nn.Conv2d(outside, outside, 3, padding=1)
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        if self.film is not None:
            assert embedding is not None
            scale, shift = self.film(embedding)[..., None, None].chunk(2, 1)
            h = h * (1 + scale) + shift
        return self.skip(x) + self.conv2(F.silu(h))


class Encoder(nn.Module):
    """Display pictures (N, 3, 128, 128) to their :class:`Intrinsics`."""

    def __init__(self, config: LumiNetConfig) -> None:
        super().__init__()
        widths = config.intrinsics
        self.enter = nn.Conv2d(12, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(nn.ModuleList([ResBlock(w, w), ResBlock(w, w)]) for w in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))
        self.maps = nn.ModuleList(nn.Conv2d(w, w, 1) for w in widths)
        # Where light falls matters as much as how much: the mean alone would forget it.
        self.places = nn.Sequential(nn.Conv2d(widths[-1], 16, 1), nn.AdaptiveAvgPool2d(_PLACES), nn.Flatten())
        self.light = nn.Sequential(nn.Linear(widths[-1] + 16 * _PLACES**2, 256), nn.SiLU(), nn.Linear(256, CODE))

    def forward(self, pictures: Tensor) -> Intrinsics:
        h = self.enter(_channels_last(F.pixel_unshuffle(2 * pictures - 1, 2)))
        maps = []
        for level, (blocks, out) in enumerate(zip(self.blocks, self.maps, strict=True)):
            if level:
                h = self.shrink[level - 1](h)
            for block in blocks:  # type: ignore[attr-defined]
                h = block(h)
            maps.append(F.normalize(out(h).float(), dim=1))
        seen = torch.cat([h.mean((2, 3)), self.places(h)], 1)
        return Intrinsics(maps, F.normalize(self.light(seen).float(), dim=1))


class Decoder(nn.Module):
    """Intrinsics of a scene and a light code (N, 16) to the display picture (N, 3, 128, 128)."""

    def __init__(self, config: LumiNetConfig) -> None:
        super().__init__()
        widths, e = config.intrinsics, config.embedding
        self.light = nn.Sequential(nn.Linear(CODE, e), nn.SiLU(), nn.Linear(e, e), nn.SiLU())
        self.enter = nn.Conv2d(widths[-1], widths[-1], 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.ModuleList([ResBlock(2 * w if level else w, w, e), ResBlock(w, w, e)])
            for level, w in enumerate(reversed(widths))
        )
        self.grow = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in reversed(list(pairwise(widths))))
        self.leave = nn.Sequential(nn.GroupNorm(8, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 12, 3, padding=1))

    def forward(self, maps: list[Tensor], code: Tensor) -> Tensor:
        light = self.light(code)
        # A unit vector's entries are small: its length is restored to that of as many unit entries.
        scaled = [_channels_last(m * math.sqrt(m.shape[1])) for m in reversed(maps)]
        h = self.enter(scaled[0])
        for level, blocks in enumerate(self.blocks):
            if level:
                h = torch.cat([self.grow[level - 1](F.interpolate(h, scale_factor=2.0)), scaled[level]], 1)
            for block in blocks:  # type: ignore[attr-defined]
                h = block(h, light)
        return torch.sigmoid(F.pixel_shuffle(self.leave(h), 2).float())


class Adaptor(nn.Module):
    """A light code (N, 16), tiled, to light tokens (N, T, C): four linear layers with SiLU (paper §3.2)."""

    def __init__(self, config: LumiNetConfig) -> None:
        super().__init__()
        width = config.tokens * config.token_width
        self.tokens, self.repeat = config.tokens, math.ceil(width / CODE)
        sizes = (CODE * self.repeat, 192, 192, 192, width)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, code: Tensor) -> Tensor:
        h = code.repeat(1, self.repeat) * math.sqrt(CODE)
        for layer in self.layers:
            h = F.silu(layer(h))
        return h.unflatten(1, (self.tokens, -1))


class Attention(nn.Module):
    """Attention of the pixels to each other and to the light tokens, residual, initially zero."""

    def __init__(self, channels: int, tokens: int, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(8, channels)
        self.query, self.own = nn.Linear(channels, channels), nn.Linear(channels, 2 * channels)
        self.light, self.out = nn.Linear(tokens, 2 * channels), nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        pixels = self.norm(x).flatten(2).transpose(1, 2)
        key, value = torch.cat([self.own(pixels), self.light(tokens)], 1).chunk(2, -1)
        split = [t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (self.query(pixels), key, value)]
        seen = F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
        return x + self.out(seen).transpose(1, 2).unflatten(2, x.shape[2:])


class RatioUNet(nn.Module):
    """The relighting diffusion: predicts the clean log ratio over :data:`RATIO_SCALE` from a noisy one.

    forward(noisy (N, 3, 128, 128), t (N) in [0, 1] from noise to clean, source, guess: display (N, 3, 128, 128),
    detail: the intrinsics at 64 pixels, codes (N, 32) of source and target, tokens) -> (N, 3, 128, 128).
    """

    def __init__(self, config: LumiNetConfig) -> None:
        super().__init__()
        w, e, tok = config.diffusion, config.embedding, config.token_width
        self.time = nn.Sequential(nn.Linear(32 + 2 * CODE, e), nn.SiLU(), nn.Linear(e, e), nn.SiLU())
        self.enter = nn.Conv2d(4 * 9 + config.intrinsics[0], w[0], 3, padding=1)
        self.down0, self.shrink0 = ResBlock(w[0], w[0], e), nn.Conv2d(w[0], w[1], 4, stride=2, padding=1)
        self.down1, self.shrink1 = ResBlock(w[1], w[1], e), nn.Conv2d(w[1], w[2], 4, stride=2, padding=1)
        self.middle = nn.ModuleList(ResBlock(w[2], w[2], e) for _ in range(4))
        self.look = nn.ModuleList(Attention(w[2], tok) for _ in range(2))
        self.grow1, self.up1 = nn.Conv2d(w[2], w[1], 3, padding=1), ResBlock(2 * w[1], w[1], e)
        self.grow0 = nn.Conv2d(w[1], w[0], 3, padding=1)
        self.up0 = nn.ModuleList([ResBlock(2 * w[0], w[0], e), ResBlock(w[0], w[0], e)])
        self.leave = nn.Sequential(nn.GroupNorm(8, w[0]), nn.SiLU(), nn.Conv2d(w[0], 12, 3, padding=1))

    def forward(
        self, noisy: Tensor, t: Tensor, source: Tensor, guess: Tensor, detail: Tensor, codes: Tensor, tokens: Tensor
    ) -> Tensor:
        time = self.time(torch.cat([_time_features(t), codes * math.sqrt(CODE)], 1))
        pictures = F.pixel_unshuffle(torch.cat([noisy, 2 * source - 1, 2 * guess - 1], 1), 2)
        seen = torch.cat([pictures, detail * math.sqrt(detail.shape[1])], 1)
        h0 = self.down0(self.enter(_channels_last(seen)), time)
        h1 = self.down1(self.shrink0(h0), time)
        h = self.middle[0](self.shrink1(h1), time)
        for look, block in zip(self.look, list(self.middle)[1:], strict=False):
            h = block(look(h, tokens), time)
        h = self.middle[3](h, time)
        h = self.up1(torch.cat([self.grow1(F.interpolate(h, scale_factor=2.0)), h1], 1), time)
        h = torch.cat([self.grow0(F.interpolate(h, scale_factor=2.0)), h0], 1)
        for block in self.up0:
            h = block(h, time)
        return F.pixel_shuffle(self.leave(h), 2).float()


def _channels_last(x: Tensor) -> Tensor:
    """Twice as fast on a processor."""
    return x.contiguous(memory_format=torch.channels_last)


def _time_features(t: Tensor) -> Tensor:
    """Sines and cosines of t (N) in [0, 1] at 16 frequencies: (N, 32)."""
    angles = t[:, None].float() * torch.exp(torch.linspace(0, math.log(200), 16, device=t.device))
    return torch.cat([angles.sin(), angles.cos()], 1)


class LumiNet(nn.Module):
    """All of the embedded form, trained in two stages: the intrinsics, then, with them frozen, the diffusion."""

    def __init__(self, config: LumiNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or LumiNetConfig()
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.adaptor, self.diffusion = Adaptor(config), RatioUNet(config)
