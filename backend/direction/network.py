# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded network: a small convolutional encoder, attention over its tokens, a distribution over directions.

Field of view and lens shift enter as the ray of every pixel; the probe, if there is one, as the ray through it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..optics.camera import Camera
from ..optics.exposure import srgb_oetf
from . import bins

#: Pictures are squeezed to so many pixels squared.
SIZE = 128
#: Places that the encoder sees the picture in, eight squared.
_TOKENS = 64
#: What is told beside the direction: see :func:`encode_values`.
VALUES = 5
#: Each place in the picture votes for its own direction, in a lobe of this concentration.
_VOTE_KAPPA = 60.0
#: Lobes of the mixture that tells of all other directions.
LOBES = 8


@dataclass(frozen=True)
class DirectionConfig:
    """Sizes of the network: channels at 16 and 8 pixels, attention layers and their heads."""

    widths: tuple[int, int] = (96, 128)
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1

    def to_dict(self) -> dict[str, object]:
        """The JSON form kept in the weights' header."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Inputs:
    """A batch: ``picture`` (B, 3, 128, 128) linear radiance in [0, 1]; ``lens`` (B, 4): fx/W, fy/H, cx/W, cy/H;
    ``probe`` (B, 2): its (u, v), NaN where the light of the whole view is wanted."""

    picture: Tensor
    lens: Tensor
    probe: Tensor

    @classmethod
    def of(cls, radiance: Tensor, camera: Camera, probe: tuple[float, float] | None = None) -> Inputs:
        """One picture (H, W, 3), linear, and its camera."""
        picture = F.interpolate(radiance.clamp(0, 1).permute(2, 0, 1)[None], (SIZE, SIZE), mode="bilinear",
                                antialias=True)  # fmt: skip
        return cls(picture, lens_of(camera)[None], torch.tensor([probe or (torch.nan, torch.nan)]))

    def flipped(self) -> Inputs:
        """The same scene in a mirror, left for right."""
        fx, fy, cx, cy = self.lens.unbind(-1)
        u, v = self.probe.unbind(-1)
        return Inputs(self.picture.flip(-1), torch.stack([fx, fy, 1 - cx, cy], -1), torch.stack([1 - u, v], -1))


def lens_of(camera: Camera) -> Tensor:
    """Focal lengths and principal point in picture widths and heights: (4,)."""
    w, h = camera.width, camera.height
    return torch.tensor([camera.fx / w, camera.fy / h, camera.cx / w, camera.cy / h])


def plane(lens: Tensor, uv: Tensor) -> Tensor:
    """Where picture positions (B or 1, N, 2) of lenses (B, 4) lie on the plane at depth 1: x right, y up."""
    fx, fy, cx, cy = lens[:, None].unbind(-1)
    return torch.stack([(uv[..., 0] - cx) / fx, (cy - uv[..., 1]) / fy], -1)


def rays(lens: Tensor, uv: Tensor) -> Tensor:
    """Unit view directions (B, N, 3), camera frame, through the same positions."""
    across = plane(lens, uv)
    return F.normalize(torch.cat([across, -torch.ones_like(across[..., :1])], -1), dim=-1)


def grid(size: int) -> Tensor:
    """Picture positions (1, size², 2) of the centres of size × size cells, row by row."""
    at = (torch.arange(size) + 0.5) / size
    v, u = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([u, v], -1).reshape(1, -1, 2)


class PixelNorm(nn.LayerNorm):
    """Layer normalisation of the channels of each pixel (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Two 3×3 convolutions, residual, the second initially zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = PixelNorm(channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2, self.conv2 = PixelNorm(channels), nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class Attention(nn.Module):
    """Self-attention over tokens (B, N, C) and a perceptron, both residual.

    Written out: at 65 tokens the fused kernel costs a processor more than the products themselves.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.three = nn.LayerNorm(channels), nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.then = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        split = self.three(self.norm(tokens)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = split
        weight = torch.softmax(query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5, -1)
        tokens = tokens + self.out((weight @ value).transpose(1, 2).flatten(2))
        return tokens + self.then(tokens)


class DirectionNet(nn.Module):
    """forward(:class:`Inputs`) -> logits of the bins (B, 642) and values (B, 5)."""

    places: Tensor

    def __init__(self, config: DirectionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DirectionConfig()
        w0, w1 = config.widths
        self.body = nn.Sequential(
            nn.Conv2d(5, w0, 12, stride=8, padding=2), Block(w0),
            nn.Conv2d(w0, w1, 2, stride=2), Block(w1), PixelNorm(w1),
        )  # fmt: skip
        self.place = nn.Linear(3, w1)
        self.probe = nn.Linear(4, w1)
        self.ask = nn.Parameter(torch.randn(w1) * 0.02)
        self.mix = nn.Sequential(*(Attention(w1, config.heads) for _ in range(config.layers)))
        self.norm, self.drop = nn.LayerNorm(w1), nn.Dropout(config.dropout)
        self.lobes, self.values = nn.Linear(w1, 4 * LOBES), nn.Linear(w1, VALUES)
        self.prior = nn.Parameter(torch.zeros(bins.BINS))
        self.vote = nn.Linear(w1, 1)
        # Where in the picture something is says more of the light than how much of it there is.
        last = nn.Linear(16 * _TOKENS, w1)
        nn.init.zeros_(last.weight)
        self.read = nn.Sequential(nn.Linear(w1, 16), nn.GELU(), nn.Flatten(), last)
        self.register_buffer("places", bins.directions(), persistent=False)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        lens, device = inputs.lens, inputs.picture.device
        across = plane(lens, grid(SIZE).to(device)).transpose(1, 2).unflatten(2, (SIZE, SIZE))
        features = self.body(torch.cat([srgb_oetf(inputs.picture) * 2 - 1, across], 1))
        seen = rays(lens, grid(features.shape[-1]).to(device))
        tokens = features.flatten(2).transpose(1, 2) + self.place(seen)
        query = self.ask + self.probe(probe_features(lens, inputs.probe))
        mixed = self.norm(self.mix(torch.cat([query[:, None], tokens], 1)))
        answer = self.drop(mixed[:, 0] + mixed[:, 1:].mean(1) + self.read(mixed[:, 1:]))
        logits = self._mixture(self.lobes(answer).float()) + self.prior + self._votes(mixed[:, 1:], seen).float()
        return logits, self.values(answer).float()

    def _mixture(self, lobes: Tensor) -> Tensor:
        """Log density at the bins (B, 642) of von Mises–Fisher lobes (B, 4·LOBES): κμ and a log weight of each.

        Whatever moves a lobe moves all bins around it, which a layer with a row for every bin would learn one by one.
        """
        natural, weight = (2 * lobes).unflatten(-1, (LOBES, 4)).split((3, 1), -1)
        kappa = natural.norm(dim=-1, keepdim=True).clamp(min=1e-3)
        # log(sinh κ / κ), without overflow.
        scale = kappa + torch.log(-torch.expm1(-2 * kappa)) - torch.log(2 * kappa)
        return torch.logsumexp(natural @ self.places.T + torch.log_softmax(weight, 1) - scale, 1)

    def _votes(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """What the places in the picture say of the directions there: (B, 642).

        A lamp that is seen is where it is seen; so the network need not learn the lens anew for every direction.
        """
        near = torch.exp(_VOTE_KAPPA * (seen @ self.places.T) - _VOTE_KAPPA)
        return (self.vote(tokens).float().transpose(1, 2) @ near)[:, 0]


def probe_features(lens: Tensor, probe: Tensor) -> Tensor:
    """Whether there is a probe, and the ray through it: (B, 4), zero without one."""
    known = (~probe.isnan().any(-1, keepdim=True)).float()
    towards = rays(lens, probe.nan_to_num(0.5)[:, None])[:, 0]
    return torch.cat([known, towards * known], -1)


def encode_values(key: Tensor, key_to_fill: Tensor, size_deg: Tensor) -> Tensor:
    """Targets (..., 5), each about −1 to 1: log2 of the key's luminance to the fill's, of its irradiance (..., 3)
    as green, red to green, blue to green, and of its diameter in degrees."""
    r, g, b = key.clamp(min=1e-4).unbind(-1)
    ratio, size = key_to_fill.clamp(1e-3, 1e4), size_deg.clamp(0.5, 80)
    return torch.stack([ratio.log2() / 3, g.log2() / 3 - 0.5, (r / g).log2(), (b / g).log2(), size.log2() / 2 - 2], -1)


def decode_values(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of :func:`encode_values`: irradiance (..., 3), ratio (...), diameter in degrees (...)."""
    ratio, green, red, blue, size = values.unbind(-1)
    green = torch.exp2(3 * (green + 0.5).clamp(-5, 5))
    key = torch.stack([green * torch.exp2(red.clamp(-3, 3)), green, green * torch.exp2(blue.clamp(-3, 3))], -1)
    return key, torch.exp2(3 * ratio.clamp(-4, 4.4)), torch.exp2(2 * (size + 2)).clamp(0.5, 80)
