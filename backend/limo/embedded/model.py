# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded sphere painter's network: a small flow-matching UNet on the sphere's close-up.

It paints mirror and diffuse radiance (6 channels) jointly, so that all exposures agree by construction. It starts from
the spheres under the coarse environment of :mod:`.reader`, and looks at the whole picture through cross-attention to
tokens of a small encoder over LIMO's condition maps.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .encode import CONTEXT_CHANNELS, NEAR_CHANNELS, RADIANCE_CHANNELS, SPHERE_CHANNELS
from .reader import LightReader, show


@dataclass(frozen=True)
class PainterConfig:
    """Sizes of the network; ``widths`` are channels at 32, 16 and 8 pixels, ``painted`` those of the spheres.

    ``reader`` holds width, layers and heads of the :class:`.reader.LightReader`.
    """

    widths: tuple[int, int, int] = (80, 160, 240)
    tokens: int = 160
    embedding: int = 256
    heads: int = 4
    painted: int = RADIANCE_CHANNELS
    reader: tuple[int, int, int] = (192, 5, 6)

    def to_dict(self) -> dict[str, object]:
        """The JSON form kept in the weights' header."""
        return asdict(self)

    @classmethod
    def from_dict(cls, sizes: dict[str, Any]) -> PainterConfig:
        """The inverse of :meth:`to_dict`."""
        known: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in sizes.items()}
        return cls(**known)


@dataclass(frozen=True, eq=False)
class Scene:
    """What the network has understood of a view and a probe, once for all denoising steps.

    tokens (B, T, C) of the whole picture; around (B, 3, 16, 32), the coarse environment in opponent code, camera frame;
    spheres (B, 18 + 6, 64, 64), the close-up's channels and both spheres under that environment.
    """

    tokens: Tensor
    around: Tensor
    spheres: Tensor

    def expand(self, count: int) -> Scene:
        """One scene for ``count`` takes."""
        parts = (self.tokens, self.around, self.spheres)
        return Scene(*(part.expand(count, *[-1] * (part.ndim - 1)) for part in parts))


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, channels)


class ResBlock(nn.Module):
    """Two 3×3 convolutions, scaled and shifted by the time embedding (B, embedding)."""

    def __init__(self, inside: int, outside: int, embedding: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(inside), nn.Conv2d(inside, outside, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * outside)
        self.norm2, self.conv2 = _norm(outside), nn.Conv2d(outside, outside, 3, padding=1)
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        if self.conv2.bias is not None:
            nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.film(time)[..., None, None].chunk(2, 1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return self.skip(x) + h


class Attention(nn.Module):
    """Self-attention over the pixels and the context tokens together, residual, initially zero."""

    def __init__(self, channels: int, tokens: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = _norm(channels)
        self.query = nn.Linear(channels, channels)
        self.own = nn.Linear(channels, 2 * channels)
        self.context = nn.Linear(tokens, 2 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        _batch, _channels, height, width = x.shape
        pixels = self.norm(x).flatten(2).transpose(1, 2)
        key, value = torch.cat([self.own(pixels), self.context(tokens)], 1).chunk(2, -1)
        split = [t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (self.query(pixels), key, value)]
        seen = F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
        return x + self.out(seen).transpose(1, 2).unflatten(2, (height, width))


class ContextEncoder(nn.Module):
    """Condition maps (B, 11, 128, 128) and the photo around the probe (B, 6, 32, 32) to tokens (B, 64 + 16, C).

    Strided convolutions to 8×8 and 4×4, layer-normalised.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__()
        widths = (CONTEXT_CHANNELS, 32, 64, 128, tokens)
        layers: list[nn.Module] = []
        for inside, outside in itertools.pairwise(widths):
            layers += [nn.Conv2d(inside, outside, 4, stride=2, padding=1), _norm(outside), nn.SiLU()]
        self.stem = nn.Sequential(*layers)
        self.mix = nn.Sequential(nn.Conv2d(tokens, tokens, 3, padding=1), _norm(tokens), nn.SiLU())
        self.place = nn.Parameter(torch.randn(1, tokens, 8, 8) * 0.02)
        self.norm = nn.LayerNorm(tokens)

        self.close = nn.Sequential(
            nn.Conv2d(NEAR_CHANNELS, 96, 4, stride=4), _norm(96), nn.SiLU(), nn.Conv2d(96, tokens, 2, stride=2)
        )
        self.close_place = nn.Parameter(torch.randn(1, tokens, 4, 4) * 0.02)

    def forward(self, maps: Tensor, near: Tensor) -> Tensor:
        h = self.stem(maps)
        h = h + self.mix(h)
        far = (h + self.place).flatten(2).transpose(1, 2)
        close = (self.close(near) + self.close_place).flatten(2).transpose(1, 2)
        return self.norm(torch.cat([far, close], 1))


class SphereUNet(nn.Module):
    """Predicts the flow v = ε − x₀ of the spheres' encoded radiance.

    understand(the tensors of :class:`.encode.Inputs`, a batch of each) -> :class:`Scene`;
    forward(noisy (B, 6, 64, 64), t (B) in [0, 1], scene) -> (B, 6, 64, 64).
    """

    def __init__(self, config: PainterConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PainterConfig()
        w0, w1, w2 = config.widths
        e, tok, heads = config.embedding, config.tokens, config.heads
        self.encoder = ContextEncoder(tok)
        self.reader = LightReader(tok, *config.reader)
        self.time = nn.Sequential(nn.Linear(64, e), nn.SiLU(), nn.Linear(e, e), nn.SiLU())
        self.pool = nn.Linear(tok, e)
        self.enter = nn.Conv2d(4 * (config.painted + SPHERE_CHANNELS + RADIANCE_CHANNELS), w0, 3, padding=1)
        self.down0 = nn.ModuleList([ResBlock(w0, w0, e), ResBlock(w0, w0, e)])
        self.shrink0 = nn.Conv2d(w0, w1, 4, stride=2, padding=1)
        self.down1 = nn.ModuleList([ResBlock(w1, w1, e), ResBlock(w1, w1, e)])
        self.look1 = Attention(w1, tok, heads)
        self.shrink1 = nn.Conv2d(w1, w2, 4, stride=2, padding=1)
        self.middle = nn.ModuleList([ResBlock(w2, w2, e), ResBlock(w2, w2, e), ResBlock(w2, w2, e)])
        self.look2 = nn.ModuleList([Attention(w2, tok, heads), Attention(w2, tok, heads)])
        self.grow1 = nn.Conv2d(w2, w1, 3, padding=1)
        self.up1 = nn.ModuleList([ResBlock(2 * w1, w1, e), ResBlock(w1, w1, e)])
        self.look3 = Attention(w1, tok, heads)
        self.grow0 = nn.Conv2d(w1, w0, 3, padding=1)
        self.up0 = nn.ModuleList([ResBlock(2 * w0, w0, e), ResBlock(w0, w0, e)])
        self.leave = nn.Sequential(_norm(w0), nn.SiLU(), nn.Conv2d(w0, 4 * config.painted, 3, padding=1))

    def understand(self, sphere: Tensor, context: Tensor, around: Tensor, near: Tensor) -> Scene:
        """Read the picture: its tokens, the coarse environment, and what the spheres show under that."""
        tokens = self.encoder(context, near)
        found = self.reader(tokens, around)
        with torch.autocast(sphere.device.type, enabled=False):
            shown = show(found, sphere[:, 1:4].float(), sphere[:, 4:7].float()) * sphere[:, :1]
        return Scene(tokens, found, torch.cat([sphere, shown], 1))

    def forward(self, noisy: Tensor, t: Tensor, scene: Scene) -> Tensor:
        tokens = scene.tokens
        time = self.time(_time_features(t)) + self.pool(tokens.mean(1))
        h0 = self.enter(F.pixel_unshuffle(torch.cat([noisy, scene.spheres], 1), 2))
        for block in self.down0:
            h0 = block(h0, time)
        h1 = self.shrink0(h0)
        for block in self.down1:
            h1 = block(h1, time)
        h1 = self.look1(h1, tokens)
        h = self.middle[0](self.shrink1(h1), time)
        for look, block in zip(self.look2, list(self.middle)[1:], strict=True):
            h = block(look(h, tokens), time)
        h = torch.cat([self.grow1(F.interpolate(h, scale_factor=2.0)), h1], 1)
        for block in self.up1:
            h = block(h, time)
        h = self.look3(h, tokens)
        h = torch.cat([self.grow0(F.interpolate(h, scale_factor=2.0)), h0], 1)
        for block in self.up0:
            h = block(h, time)
        return F.pixel_shuffle(self.leave(h), 2)


def _time_features(t: Tensor) -> Tensor:
    """Sinusoidal features (B, 64) of flow time (B) in [0, 1]."""
    rates = torch.exp(torch.linspace(0, math.log(1000), 32, device=t.device))
    angles = t.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1).to(t.dtype)
