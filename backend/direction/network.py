# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded network: a small convolutional encoder, attention over its tokens, a distribution over directions.

It sees the picture in space: the plane, normal and distance of every pixel, and where that lies as seen from the probe.
Lengths are told in units of the probe's depth, so the scale of the scene does not matter.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..limo.view import View
from ..optics.camera import Camera
from ..optics.exposure import luminance, srgb_oetf
from . import bins

#: Pictures are squeezed to so many pixels squared.
SIZE = 128
#: Their depth, to so many.
DEPTH_SIZE = 32
#: Places that the encoder sees the picture in, eight squared.
_SIDE = 8
_TOKENS = _SIDE * _SIDE
#: Depths that the sky is told to have, and that everything has at most, in units of the probe's.
_FAR = 50.0
#: What is told beside the direction: see :func:`encode_values`.
VALUES = 5
#: Each place in the picture votes for its own direction, in a lobe of this concentration.
_VOTE_KAPPA = 60.0
#: Lobes of the mixture that tells of all other directions.
LOBES = 8


@dataclass(frozen=True)
class DirectionConfig:
    """Sizes of the network: channels at 32², 16² and 8² places, attention layers and their heads."""

    widths: tuple[int, int, int] = (32, 64, 128)
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1

    def to_dict(self) -> dict[str, object]:
        """The JSON form kept in the weights' header."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Inputs:
    """A batch: ``picture`` (B, 3, 128, 128) linear radiance in [0, 1]; ``depth`` (B, 32, 32) planar, +inf = sky, in
    any unit; ``lens`` (B, 4): fx/W, fy/H, cx/W, cy/H; ``probe`` (B, 3): its position in the camera frame and the
    depth's unit, NaN where the light of the whole view is wanted."""

    picture: Tensor
    depth: Tensor
    lens: Tensor
    probe: Tensor

    @classmethod
    def of(cls, view: View, probe: Tensor | None = None) -> Inputs:
        """One view, and the position (3,) of a probe in it."""
        picture = squeezed(view.radiance.clamp(0, 1).permute(2, 0, 1))[None]
        depth = squeezed_depth(view.depth)[None]
        position = torch.full((3,), torch.nan) if probe is None else probe
        return cls(picture, depth, lens_of(view.camera)[None], position[None])

    def flipped(self) -> Inputs:
        """The same scene in a mirror, left for right."""
        fx, fy, cx, cy = self.lens.unbind(-1)
        lens, mirror = torch.stack([fx, fy, 1 - cx, cy], -1), self.probe.new_tensor([-1.0, 1.0, 1.0])
        return Inputs(self.picture.flip(-1), self.depth.flip(-1), lens, self.probe * mirror)

    def to(self, device: torch.device | str) -> Inputs:
        """On another device."""
        return Inputs(*(tensor.to(device) for tensor in vars(self).values()))


def squeezed(picture: Tensor, size: int = SIZE) -> Tensor:
    """A picture (C, H, W) at the size that the network sees, (C, N, N)."""
    return F.interpolate(picture[None], (size, size), mode="bilinear", antialias=True)[0]


def squeezed_depth(depth: Tensor) -> Tensor:
    """Planar depth (H, W) likewise, (32, 32). Planes' inverse depth is linear in the picture, so they stay planes."""
    return 1 / squeezed(1 / depth[None], DEPTH_SIZE)[0]


def lens_of(camera: Camera) -> Tensor:
    """Focal lengths and principal point in picture widths and heights: (4,)."""
    w, h = camera.width, camera.height
    return torch.tensor([camera.fx / w, camera.fy / h, camera.cx / w, camera.cy / h])


def plane(lens: Tensor, uv: Tensor) -> Tensor:
    """Where picture positions (B or 1, N, 2) of lenses (B, 4) lie on the plane at depth 1: x right, y up."""
    fx, fy, cx, cy = lens[:, None].unbind(-1)
    return torch.stack([(uv[..., 0] - cx) / fx, (cy - uv[..., 1]) / fy], -1)


def grid(size: int) -> Tensor:
    """Picture positions (1, size², 2) of the centres of size × size cells, row by row."""
    at = (torch.arange(size) + 0.5) / size
    v, u = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([u, v], -1).reshape(1, -1, 2)


def spread_out(cells: Tensor) -> Tensor:
    """Values (B, N², C) of cells row by row as pictures (B, C, N, N)."""
    side = math.isqrt(cells.shape[1])
    return cells.transpose(1, 2).unflatten(2, (side, side))


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


@dataclass(frozen=True, eq=False)
class Space:
    """Where everything in the picture is, at the depth's resolution N: ``plane`` (B, 2, N, N), x right, y up at depth
    1; ``normal`` (B, 3, N, N); ``towards`` (B, 3, N, N), unit vectors from the probe; ``distance`` from it and
    ``depth`` (B, 1, N, N), half of the logarithms of both in units of the probe's depth."""

    plane: Tensor
    normal: Tensor
    towards: Tensor
    distance: Tensor
    depth: Tensor

    @classmethod
    def of(cls, inputs: Inputs) -> Space:
        """Without a probe, as if one hung in the middle of the picture, at its mean depth."""
        across = spread_out(plane(inputs.lens, grid(DEPTH_SIZE).to(inputs.lens)))
        log = inputs.depth.log()
        near = torch.isfinite(log)
        middle = (torch.where(near, log, 0).sum((1, 2)) / near.sum((1, 2)).clamp(min=1)).exp()
        stand_in = torch.stack([0 * middle, 0 * middle, -middle], -1)
        probe = torch.where(inputs.probe.isnan(), stand_in, inputs.probe)
        unit = -probe[:, 2]
        depth = (inputs.depth / unit[:, None, None]).clamp(1 / _FAR, _FAR)[:, None]
        points = torch.cat([across, -torch.ones_like(depth)], 1) * depth
        offset = points - (probe / unit[:, None])[..., None, None]
        distance = offset.square().sum(1, keepdim=True).sqrt().clamp(min=1e-3)
        return cls(across, _normals(points), offset / distance, distance.log() / 2, depth.log() / 2)


def _normals(points: Tensor) -> Tensor:
    """Unit normals (B, 3, H, W), towards the camera, of a surface's points (B, 3, H, W): to the nearer neighbour on
    either axis, so that edges keep theirs."""

    def slope(axis: int) -> Tensor:
        ahead = points.diff(dim=axis)
        first, last = ahead.narrow(axis, 0, 1), ahead.narrow(axis, ahead.shape[axis] - 1, 1)
        before, after = torch.cat([first, ahead], axis), torch.cat([ahead, last], axis)
        nearer = before.square().sum(1, keepdim=True) < after.square().sum(1, keepdim=True)
        return torch.where(nearer, before, after)

    across = torch.linalg.cross(slope(2), slope(3), dim=1)
    return across / across.square().sum(1, keepdim=True).sqrt().clamp(min=1e-12)


class DirectionNet(nn.Module):
    """forward(:class:`Inputs`) -> logits of the bins (B, 642) and values (B, 5)."""

    places: Tensor

    def __init__(self, config: DirectionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DirectionConfig()
        w0, w1, w2 = config.widths
        self.look, self.space = nn.Conv2d(5, w0, 4, stride=4), nn.Conv2d(8, w0, 1)
        self.body = nn.Sequential(
            Block(w0),
            nn.Conv2d(w0, w1, 2, stride=2), Block(w1),
            nn.Conv2d(w1, w2, 2, stride=2), Block(w2), PixelNorm(w2),
        )  # fmt: skip
        self.place = nn.Linear(7, w2)
        self.probe = nn.Linear(4, w2)
        self.ask = nn.Parameter(torch.randn(w2) * 0.02)
        self.mix = nn.Sequential(*(Attention(w2, config.heads) for _ in range(config.layers)))
        self.norm, self.drop = nn.LayerNorm(w2), nn.Dropout(config.dropout)
        self.lobes, self.values = nn.Linear(w2, 4 * LOBES), nn.Linear(w2, VALUES)
        self.prior = nn.Parameter(torch.zeros(bins.BINS))
        self.vote = nn.Linear(w2, 1)
        # Where in the picture something is says more of the light than how much of it there is.
        last = nn.Linear(16 * _TOKENS, w2)
        nn.init.zeros_(last.weight)
        self.read = nn.Sequential(nn.Linear(w2, 16), nn.GELU(), nn.Flatten(), last)
        self.register_buffer("places", bins.directions(), persistent=False)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        space, across = Space.of(inputs), spread_out(plane(inputs.lens, grid(SIZE).to(inputs.lens)))
        looked = self.look(torch.cat([srgb_oetf(inputs.picture) * 2 - 1, across], 1))
        features = self.body(
            looked + self.space(torch.cat([space.normal, space.towards, space.distance, space.depth], 1))
        )
        # A place lies where its brightest part does: a lamp is smaller than what is looked at together.
        bright = luminance(inputs.picture.movedim(1, -1))[:, None].square() + 1e-3
        bright, side = F.avg_pool2d(bright, SIZE // DEPTH_SIZE), DEPTH_SIZE // _SIDE
        whole = F.avg_pool2d(bright, side)

        def placed(x: Tensor) -> Tensor:
            return (F.avg_pool2d(x * bright, side) / whole).flatten(2).transpose(1, 2)

        towards = F.normalize(placed(space.towards), dim=-1)
        where = torch.cat([towards, placed(space.plane), placed(space.distance), placed(space.depth)], -1)
        tokens = features.flatten(2).transpose(1, 2) + self.place(where)
        query = self.ask + self.probe(probe_features(inputs.probe))
        mixed = self.norm(self.mix(torch.cat([query[:, None], tokens], 1)))
        answer = self.drop(mixed[:, 0] + mixed[:, 1:].mean(1) + self.read(mixed[:, 1:]))
        logits = self._mixture(self.lobes(answer).float()) + self.prior + self._votes(mixed[:, 1:], towards).float()
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

    def _votes(self, tokens: Tensor, towards: Tensor) -> Tensor:
        """What the places in the picture say of the directions in which they lie from the probe: (B, 642).

        A lamp that is seen is where it is seen; so the network need not learn the lens anew for every direction.
        """
        near = torch.exp(_VOTE_KAPPA * (towards @ self.places.T) - _VOTE_KAPPA)
        return (self.vote(tokens).float().transpose(1, 2) @ near)[:, 0]


def probe_features(probe: Tensor) -> Tensor:
    """Whether there is a probe (B, 3), and the ray towards it: (B, 4), zero without one."""
    known = (~probe.isnan().any(-1, keepdim=True)).float()
    return torch.cat([known, F.normalize(probe.nan_to_num(0.0), dim=-1)], -1)


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
