# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the paper-scale Latent Intrinsics on pairs of one scene under two lights (methods.md §3.2); resumable.

One picture is painted from the other's intrinsics and its own light code, so that intrinsics hold the scene and codes
the light. ``python -m limelight.training.luminet.intrinsics --data SCENES --out RUN``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ...backend.luminet.diffusion.intrinsics import IntrinsicsConfig, LatentIntrinsics
from ...backend.weights import write
from ..resumable import Resumable
from .diffusion import Pairs, pairs_of
from .losses import picture_loss, spread_loss

WEIGHTS = "intrinsics.safetensors"
#: Weights of the coding rate and of the intrinsics' agreement; how often a picture is painted from its own intrinsics.
_RATE, _AGREE, _OWN = 1e-4, 0.1, 0.1
#: Mean and deviation of the logarithm of the noise on the inputs in the first half of the training.
_NOISE = (-1.2, 1.2)
#: Pixels of a level whose coding rate is measured.
_VECTORS = 512


@dataclass(frozen=True)
class IntrinsicsRecipe:
    """The paper's settings; its 120 epochs over 25 pictures of each scene come to about so many steps."""

    out: Path
    data: Path | None = None
    steps: int = 40_000
    batch: int = 64
    size: int = 256
    learning_rate: float = 2e-4
    ema: float = 0.999
    seed: int = 0
    device: str = "cpu"
    save_every: int = 1000
    network: IntrinsicsConfig = field(default_factory=IntrinsicsConfig)


class PairLoss(nn.Module):
    """What the training makes small, of sources and targets (N, 3, S, S) in [−1, 1] with noise of the same shape."""

    def __init__(self, net: LatentIntrinsics) -> None:
        super().__init__()
        self.net = net

    def forward(self, source: Tensor, target: Tensor, noise: Tensor, own: Tensor) -> Tensor:
        """``own`` (N,) tells the examples that are painted from their own intrinsics."""
        levels, codes = self.net.encode(torch.cat([source, target]) + noise)
        theirs, ours = zip(*(level.chunk(2) for level in levels), strict=True)
        shown = [torch.where(own[:, None, None, None], b, a) for a, b in zip(theirs, ours, strict=True)]
        painted = self.net.decode(shown, codes[len(source) :])
        agreement = torch.stack([(a * b).sum(1).mean() for a, b in zip(theirs, ours, strict=True)]).mean()
        rate = spread_loss(codes) + torch.stack([spread_loss(_some(level)) for level in levels]).mean()
        # The loss is of display values in [0, 1].
        return picture_loss(painted / 2 + 0.5, target / 2 + 0.5) - _AGREE * agreement + _RATE * rate


def _some(level: Tensor) -> Tensor:
    """At most 512 of the vectors of a level (N, C, h, w): (V, C)."""
    vectors = level.movedim(1, -1).flatten(0, -2)
    return vectors[torch.randperm(len(vectors), device=vectors.device)[:_VECTORS]]


def train_intrinsics(
    recipe: IntrinsicsRecipe, pairs: Pairs | None = None, report: Callable[[str], None] = print
) -> Path:
    """Train until ``recipe.steps``, continuing from a checkpoint in ``recipe.out``; returns the averaged weights."""
    torch.manual_seed(recipe.seed)
    accelerator = Accelerator(cpu=recipe.device == "cpu")
    several = accelerator.num_processes > 1
    device = accelerator.device if several else torch.device(recipe.device)
    pairs = pairs or pairs_of(recipe.data, recipe.size)
    net = LatentIntrinsics(recipe.network).to(device)
    loss = accelerator.prepare_model(PairLoss(net), device_placement=False)
    recipe.out.mkdir(parents=True, exist_ok=True)
    checkpoint = recipe.out / "checkpoint.safetensors"
    state = Resumable(accelerator, dict(net.named_parameters()), recipe.learning_rate, checkpoint, recipe.ema)

    def update() -> Tensor:
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + state.step)
        torch.manual_seed(recipe.seed * 7_919 + state.step)
        source, target = (x * 2 - 1 for x in pairs.draw(recipe.batch, generator))
        sigma = torch.exp(_NOISE[0] + _NOISE[1] * torch.randn(2, recipe.batch, 1, 1, 1, generator=generator))
        noise = sigma * torch.randn(2, *source.shape, generator=generator) * (2 * state.step < recipe.steps)
        own = torch.rand(recipe.batch, generator=generator) < _OWN
        mine = slice(accelerator.process_index, None, accelerator.num_processes)
        rows = [x.to(device) for x in (source[mine], target[mine], noise[:, mine].flatten(0, 1), own[mine])]
        return state.descend([lambda: loss(*rows)])

    weights = recipe.out / WEIGHTS
    header = {"intrinsics": json.dumps(recipe.network.to_dict())}
    state.run(recipe.steps, recipe.save_every, update, lambda: write(weights, state.average, header), report)
    return weights


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Train the paper-scale Latent Intrinsics.")
    for name in ("data", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=IntrinsicsRecipe.steps)
    parser.add_argument("--batch", type=int, default=IntrinsicsRecipe.batch)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    train_intrinsics(IntrinsicsRecipe(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
