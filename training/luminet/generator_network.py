# SPDX-License-Identifier: GPL-3.0-or-later
"""A small variational generator of rooms under light: G(z) and q(z|x), z being a scene's part and a light's.

The paper's synthetic pairs come from StyleGAN2 with an encoder into its latent space (methods.md §3.4). No StyleGAN
ships here; this is a variational autoencoder (Kingma & Welling 2014) of the same use: to draw several lights for one
scene.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from ...backend.errors import MissingPart
from ...backend.luminet.network import ResBlock

#: Pixels a side of what it sees and makes.
SIZE = 64
#: Where the logarithm of a posterior's variance starts, narrow, and what bounds it.
_NARROW, _LIMITS = -3.0, (-12.0, 4.0)


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes; ``widths`` are channels at 32, 16, 8 and 4 pixels, multiples of 8."""

    scene: int = 128
    light: int = 16
    widths: tuple[int, ...] = (32, 64, 96, 128)
    embedding: int = 128

    def to_dict(self) -> dict[str, object]:
        """The JSON form kept in the weights' header."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Independent normal distributions: mean and logarithm of the variance, (N, D) each."""

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        """One draw of each, (N, D), through which gradients flow."""
        return self.mean + (self.log_variance / 2).exp() * torch.randn_like(self.mean)

    def divergence(self) -> Tensor:
        """Kullback–Leibler divergence (D,) from the standard normal, in nats, averaged over N."""
        return ((self.mean.square() + self.log_variance.exp() - 1 - self.log_variance) / 2).mean(0)


class Posterior(nn.Module):
    """q(z|x): display pictures (N, 3, 64, 64) to the distributions of scene (N, 128) and light (N, 16)."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        widths, self.sizes = config.widths, (config.scene, config.light)
        self.enter = nn.Conv2d(12, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(ResBlock(w, w) for w in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))
        self.leave = nn.Linear(widths[-1] * _smallest(config) ** 2, 2 * sum(self.sizes))
        with torch.no_grad():
            self.leave.bias[sum(self.sizes) :] = _NARROW

    def forward(self, pictures: Tensor) -> tuple[Gaussian, Gaussian]:
        h = self.enter(F.pixel_unshuffle(2 * pictures - 1, 2))
        for level, block in enumerate(self.blocks):
            h = block(self.shrink[level - 1](h) if level else h)
        mean, log_variance = self.leave(F.silu(h).flatten(1)).float().chunk(2, 1)
        parts = zip(mean.split(self.sizes, 1), log_variance.clamp(*_LIMITS).split(self.sizes, 1), strict=True)
        scene, light = (Gaussian(*part) for part in parts)
        return scene, light


class Generator(nn.Module):
    """G(z): scene (N, 128) and light (N, 16) to the display picture (N, 3, 64, 64); light modulates every block too."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        widths, e, self.side = tuple(reversed(config.widths)), config.embedding, _smallest(config)
        # Where a lamp's light falls depends on the room, so that the modulation knows both. Each has layers of its own:
        # in a common one the scene's many numbers would drown the light's few.
        self.scene, self.light = nn.Linear(config.scene, e), nn.Linear(config.light, e)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(e, e), nn.SiLU())
        seed = widths[0] * self.side**2
        self.enter, self.enter_light = nn.Linear(config.scene, seed), nn.Linear(config.light, seed)
        self.blocks = nn.ModuleList(ResBlock(w, w, e) for w in widths)
        self.grow = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.leave = nn.Sequential(nn.GroupNorm(8, widths[-1]), nn.SiLU(), nn.Conv2d(widths[-1], 12, 3, padding=1))

    def forward(self, scene: Tensor, light: Tensor) -> Tensor:
        modulation = self.modulation(self.scene(scene) + self.light(light))
        h = (self.enter(scene) + self.enter_light(light)).unflatten(1, (-1, self.side, self.side))
        for level, block in enumerate(self.blocks):
            h = block(self.grow[level - 1](F.interpolate(h, scale_factor=2.0)) if level else h, modulation)
        return torch.sigmoid(F.pixel_shuffle(self.leave(h), 2).float())


def _smallest(config: GeneratorConfig) -> int:
    """Pixels a side at the last level."""
    return SIZE // 2 ** len(config.widths)


class RoomGenerator(nn.Module):
    """Both, as they are trained and kept."""

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GeneratorConfig()
        self.posterior, self.generator = Posterior(config), Generator(config)

    @torch.inference_mode()
    def relight(self, scenes: Tensor, count: int, seed: int) -> Tensor:
        """Each of scenes (N, D) under ``count`` lights drawn from the prior: (N, count, 3, 64, 64)."""
        lights = torch.randn(len(scenes) * count, self.config.light, generator=torch.Generator().manual_seed(seed))
        repeated = scenes.repeat_interleave(count, 0)
        return self.generator(repeated, lights.to(repeated)).unflatten(0, (len(scenes), count))


def load_generator(weights: Path) -> RoomGenerator:
    """A generator as the recipe exports it. Raises :class:`MissingPart`."""
    try:
        with safe_open(weights, "pt") as file:
            sizes = json.loads(file.metadata()["config"])
            network = RoomGenerator(GeneratorConfig(**{**sizes, "widths": tuple(sizes["widths"])}))
            network.load_state_dict({name: file.get_tensor(name).float() for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise MissingPart(
            f"{weights} holds no room generator ({type(error).__name__}).",
            "Train one: python -m limelight.training.luminet.generator --data LIGHT_SETS --out RUN",
        ) from error
    return network.eval()
