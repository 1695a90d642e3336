# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded depth network: log depth, sky, field of view and the horizon from one small picture.

Convolutions down to 1/16, attention there, convolutions up to 1/2. Shapes are (B, C, H, W), H and W multiples of 16.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Picture values 3, pixel places 2, ray slopes 2 and a flag: zeros where the field of view is not known.
CHANNELS = 8
#: Logarithms of the focal length over the square root of the picture's area that the bins stand for.
FOCAL_BINS = torch.linspace(math.log(0.28), math.log(4.5), 32)
#: About how many pixels the network looks at, and the multiple that its sides must have.
AREA, MULTIPLE = 9216, 16


@dataclass(frozen=True)
class DepthConfig:
    """Sizes: channels at 1/2, 1/4, 1/8 and 1/16, blocks at the last three, heads of the attention."""

    widths: tuple[int, int, int, int] = (20, 48, 96, 192)
    blocks: tuple[int, int, int] = (1, 2, 4)
    heads: int = 6

    def to_dict(self) -> dict[str, Any]:
        """For the weights' header."""
        return asdict(self)


class Answer(NamedTuple):
    """What the network says. ``shape`` (B, H/2, W/2): log depth with mean 0; ``sky`` (B, H/2, W/2): logit;
    ``scale`` (B): mean log depth in metres; ``focal`` (B, 32): logits of :data:`FOCAL_BINS`; ``up`` (B, 3): unit vector
    against gravity, camera frame."""

    shape: Tensor
    sky: Tensor
    scale: Tensor
    focal: Tensor
    up: Tensor


def input_size(width: int, height: int) -> tuple[int, int]:
    """Width and height at which the network looks at a picture; longer strips than 1 : 2.5 are squeezed."""
    aspect = min(max(width / height, 0.4), 2.5)
    wide, high = math.sqrt(AREA * aspect), math.sqrt(AREA / aspect)
    return (max(2, round(wide / MULTIPLE)) * MULTIPLE, max(2, round(high / MULTIPLE)) * MULTIPLE)


def encode(values: Tensor, slopes: Tensor, known: Tensor) -> Tensor:
    """Input channels (B, 8, H, W).

    ``values`` (B, 3, H, W) display values in [0, 1]; ``slopes`` (B, 2), tangents of half the field of view across and
    down; ``known`` (B) 1 where the network may see them.
    """
    count, _, height, width = values.shape
    x = (torch.arange(width, device=values.device) + 0.5) / width * 2 - 1
    y = 1 - (torch.arange(height, device=values.device) + 0.5) / height * 2
    places = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])[None].expand(count, -1, -1, -1)
    flag = known[:, None, None, None].expand(-1, 1, height, width)
    longest = max(width, height)
    unit = places.new_tensor([width / longest, height / longest])[:, None, None]
    rays = places * slopes[:, :, None, None] * flag
    return torch.cat([values * 4 - 2, places * unit, rays, flag], 1)


class _Norm(nn.LayerNorm):
    """Layer norm over the channels of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Block(nn.Module):
    """ConvNeXt block: depthwise 5×5, norm, expansion by three."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = _Norm(width)
        self.grow, self.shrink = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(3 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shrink(F.gelu(self.grow(self.norm(self.spread(x)))))


class _Look(nn.Module):
    """Attention over all places of (B, C, H, W), then a local block that also tells places apart."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.ask, self.leave = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.block = _Block(width)

    def forward(self, x: Tensor) -> Tensor:
        count, width, rows, columns = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        parts = self.ask(self.norm(tokens)).reshape(count, rows * columns, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        tokens = tokens + self.leave(seen.transpose(1, 2).flatten(2))
        return self.block(tokens.transpose(1, 2).reshape(count, width, rows, columns))


class _Rise(nn.Module):
    """Twice as fine: the coarse features enlarged, joined with the skip's."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.narrow, self.skip = nn.Conv2d(coarse, fine, 1), nn.Conv2d(fine, fine, 1)
        self.mix = nn.Sequential(nn.Conv2d(fine, fine, 3, padding=1), nn.GELU(), nn.Conv2d(fine, fine, 3, padding=1))

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        risen = F.interpolate(self.narrow(coarse), scale_factor=2.0, mode="bilinear", align_corners=False)
        joined = risen + self.skip(fine)
        return joined + self.mix(joined)


class DepthNet(nn.Module):
    """forward(channels (B, 8, H, W) of :func:`encode`) -> :class:`Answer`."""

    def __init__(self, config: DepthConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DepthConfig()
        w1, w2, w3, w4 = config.widths
        n2, n3, n4 = config.blocks
        self.enter = nn.Sequential(nn.Conv2d(CHANNELS, w1, 5, stride=2, padding=2), nn.GELU())
        self.down2 = nn.Sequential(nn.Conv2d(w1, w2, 3, stride=2, padding=1), *(_Block(w2) for _ in range(n2)))
        self.down3 = nn.Sequential(_Norm(w2), nn.Conv2d(w2, w3, 2, stride=2), *(_Block(w3) for _ in range(n3)))
        self.down4 = nn.Sequential(_Norm(w3), nn.Conv2d(w3, w4, 2, stride=2))
        self.look = nn.Sequential(*(_Look(w4, config.heads) for _ in range(n4)), _Norm(w4))
        self.rise3, self.rise2, self.rise1 = _Rise(w4, w3), _Rise(w3, w2), _Rise(w2, w1)
        self.leave = nn.Conv2d(w1, 2, 3, padding=1)
        self.coarse = nn.Conv2d(w3, 2, 1)
        self.tell = nn.Sequential(nn.Linear(2 * w4, w4), nn.GELU(), nn.Linear(w4, len(FOCAL_BINS) + 4))

    def forward(self, channels: Tensor) -> Answer:
        h1 = self.enter(channels)
        h2 = self.down2(h1)
        h3 = self.down3(h2)
        h4 = self.look(self.down4(h3))
        g3 = self.rise3(h4, h3)
        maps = self.leave(self.rise1(self.rise2(g3, h2), h1)).float()
        # The layout comes from 1/8, the finer steps only add to it.
        maps = maps + F.interpolate(self.coarse(g3).float(), maps.shape[-2:], mode="bilinear", align_corners=False)
        pooled = torch.cat([h4.mean((2, 3)), h4.amax((2, 3))], 1)
        told = self.tell(pooled).float()
        shape = maps[:, 0] - maps[:, 0].mean((1, 2), keepdim=True)
        bins = len(FOCAL_BINS)
        up = F.normalize(told[:, bins + 1 :] + told.new_tensor([0.0, 1.0, 0.0]), dim=-1)
        return Answer(shape, maps[:, 1], told[:, bins], told[:, :bins], up)


def focal_of(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B) of the log focal length over √area, by the soft-argmax of ``logits`` (B, 32)."""
    chances, bins = logits.float().softmax(-1), FOCAL_BINS.to(logits.device)
    mean = (chances * bins).sum(-1)
    return mean, ((chances * (bins - mean[:, None]) ** 2).sum(-1)).clamp(min=0).sqrt()
