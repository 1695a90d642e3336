# SPDX-License-Identifier: GPL-3.0-or-later
"""Latent Intrinsics at the paper's scale: a picture is split into its scene, level by level, and its light (§3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..relighter import CODE


@dataclass(frozen=True)
class IntrinsicsConfig:
    """Sizes of the network; the defaults are the paper's (methods.md §3.2).

    Level i has ``base · multipliers[i]`` channels and ``blocks[i]`` residual blocks at 1/2^i of the picture's size.
    All levels but the first give intrinsics; ``hint`` counts among these: the one that LumiNet's ControlNet sees.
    """

    base: int = 32
    multipliers: tuple[int, ...] = (1, 2, 4, 4, 8, 16)
    blocks: tuple[int, ...] = (1, 2, 2, 4, 4, 4)
    embedding: int = 128
    modulation: float = 5e-3
    hint: int = 2

    @property
    def widths(self) -> list[int]:
        """Channels of every level."""
        return [self.base * multiplier for multiplier in self.multipliers]

    @property
    def hint_channels(self) -> int:
        """Channels of the ControlNet's hint: the intrinsics' level and the tiled code."""
        return self.widths[self.hint + 1] + CODE

    @property
    def hint_stride(self) -> int:
        """Pixels of the picture to a pixel of the hint, each way."""
        return int(2 ** (self.hint + 1))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a file's header."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> IntrinsicsConfig:
        """The inverse of :meth:`to_dict`; raises TypeError or ValueError for what are no sizes of this network."""
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        config = cls(**given)
        levels = len(config.multipliers)
        if levels != len(config.blocks) or not 0 <= config.hint < levels - 1 or min(config.widths) < 1:
            raise ValueError(f"{values} are no sizes of a Latent Intrinsics network")
        return config


class LatentIntrinsics(nn.Module):
    """Pictures to intrinsics and light codes, and back. Pictures are (N, 3, S, S) display values in [−1, 1].

    S is a multiple of the deepest level's stride: 32 for the paper's six levels.
    """

    def __init__(self, config: IntrinsicsConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or IntrinsicsConfig()
        widths = config.widths
        self.enter = nn.Conv2d(3, widths[0], 3, padding=1)
        down, up = [], []
        before = widths[0]
        for level, (width, count) in enumerate(zip(widths, config.blocks, strict=True)):
            layers = [Block(before, before, resample="down")] if level else []
            layers += [Block(before if i == 0 else width, width) for i in range(count)]
            down.append(nn.ModuleList(layers))
            before = width
        self.to_code = nn.Sequential(nn.Linear(before, before), nn.SiLU(), nn.Linear(before, CODE))
        self.light = nn.Sequential(
            nn.Linear(CODE, config.embedding), nn.SiLU(), nn.Linear(config.embedding, config.embedding), nn.SiLU()
        )
        light: dict[str, Any] = {"light": config.embedding, "modulation": config.modulation}
        before = 0
        for level in reversed(range(len(widths))):
            width, skip = widths[level], widths[level] if level else 0
            # As in EDM, the way up has one block more a level than the way down.
            sizes = [before + skip, *[width] * config.blocks[level]]
            layers = [Block(size, width, **light) for size in sizes]
            if level:
                layers.append(Block(width, width, resample="up", **light))
            up.append(nn.ModuleList(layers))
            before = width
        self.down: Any = nn.ModuleList(down)
        self.up: Any = nn.ModuleList(up)
        self.leave = nn.Sequential(_norm(before), nn.SiLU(), nn.Conv2d(before, 3, 3, padding=1))

    def encode(self, pictures: Tensor) -> tuple[list[Tensor], Tensor]:
        """The intrinsics, finest first: unit vectors at every pixel, (N, C, S/2^i, S/2^i); and the codes (N, 16)."""
        x = self.enter(pictures)
        levels = []
        for layers in self.down:
            for layer in layers:
                x = layer(x)
            levels.append(F.normalize(x, dim=1))
        return levels[1:], F.normalize(self.to_code(x.mean((2, 3))), dim=-1)

    def decode(self, intrinsics: Sequence[Tensor], codes: Tensor) -> Tensor:
        """The scenes of :meth:`encode` under the light of codes (N, 16): pictures, not clipped."""
        light = self.light(codes)
        # A unit vector of C channels has RMS 1/√C; the blocks want RMS 1.
        skips = [level * math.sqrt(level.shape[1]) for level in intrinsics]
        x: Tensor | None = None
        for layers in self.up:
            if skips:
                skip = skips.pop()
                x = skip if x is None else torch.cat([x, skip], 1)
            for layer in layers:
                x = layer(x, light)
        return self.leave(x)  # type: ignore[no-any-return]


def control_hint(intrinsics: Sequence[Tensor], codes: Tensor, level: int) -> Tensor:
    """What the ControlNet sees: a level of the source's intrinsics, and on channels the target's code at every pixel.

    intrinsics as :meth:`LatentIntrinsics.encode` gives them, codes (N, 16); returns (N, C + 16, h, w).
    """
    chosen = intrinsics[level]
    return torch.cat([chosen, codes[:, :, None, None].expand(-1, -1, *chosen.shape[-2:])], 1)


class Block(nn.Module):
    """EDM's residual block. Light modulates it after the second normalisation, weakly: by tanh(affine) · modulation."""

    def __init__(self, before: int, after: int, *, resample: str = "", light: int = 0, modulation: float = 0.0) -> None:
        super().__init__()
        self.resample, self.modulation = resample, modulation
        self.norm1, self.conv1 = _norm(before), nn.Conv2d(before, after, 3, padding=1)
        self.norm2, self.conv2 = _norm(after), nn.Conv2d(after, after, 3, padding=1)
        self.affine = nn.Linear(light, 2 * after) if light else None
        self.skip = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, light: Tensor | None = None) -> Tensor:
        """Features (N, C, h, w); light (N, E) if the block takes any."""
        h = self.norm2(self.conv1(self._resampled(F.silu(self.norm1(x)))))
        if self.affine is not None:
            scale, shift = (torch.tanh(self.affine(light)) * self.modulation)[:, :, None, None].chunk(2, 1)
            h = h * (1 + scale) + shift
        return (self.skip(self._resampled(x)) + self.conv2(F.silu(h))) * math.sqrt(0.5)  # type: ignore[no-any-return]

    def _resampled(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.resample == "up" else x


def _norm(channels: int) -> nn.GroupNorm:
    """EDM's: at most 32 groups, of at least four channels where the number allows it."""
    groups = min(32, max(1, channels // 4))
    return nn.GroupNorm(math.gcd(groups, channels), channels, eps=1e-5)
