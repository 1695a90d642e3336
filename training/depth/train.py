# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the depth network; resumable, reproducible, on CPU or, through accelerate, one or many devices."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...backend.depth.network import DepthNet
from ...backend.errors import BadInput
from ..resumable import Entry, write_recipe
from ..trainer import Recipe as BaseRecipe
from ..trainer import Trainer
from .batch import Batch, draw
from .examples import Shards
from .loss import depth_loss

#: How much of a batch each kind of view makes up: traced views of any camera, traced rooms, Blender's, panoramas.
SHARES = {"views": 0.35, "rooms": 0.35, "blender": 0.3, "crops": 0.15}
#: Batches of the fixed validation set, drawn once from shards that training does not see.
VALIDATION_BATCHES = 8


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """As every recipe; ``data`` holds the shards of :mod:`.examples`, KIND_WxH_NNNN and validation_WxH_NNNN."""

    steps: int = 2000
    learning_rate: float = 2e-3
    warmup: int = 60
    ema: float = 0.995
    save_every: int = 100


class DepthTrainer(Trainer):
    """The house's trainer with the depth network's loss."""

    def loss(self, batch: Batch) -> Tensor:
        return depth_loss(self.net(batch.channels.contiguous(memory_format=torch.channels_last)), batch)[0]


def kinds_in(data: Path) -> dict[str, Shards]:
    """The training shards of each kind that there are."""
    found = {kind: sorted(data.glob(f"{kind}_*.safetensors")) for kind in SHARES}
    return {kind: Shards(paths) for kind, paths in found.items() if paths}


@torch.no_grad()
def validate(net: nn.Module, batches: list[Batch]) -> dict[str, float]:
    """Mean parts of the loss over fixed batches."""
    rows = [depth_loss(net(batch.channels), batch)[1] for batch in batches]
    return {name: float(torch.stack([row[name] for row in rows]).mean()) for name in rows[0]}


def train(recipe: Recipe, report: Callable[[str], None] = print) -> Path:
    """Train until ``recipe.steps``, on from a checkpoint in ``recipe.out``; returns the weights.

    ``log.jsonl`` gets the loss, and at every save its parts on the validation shards.
    """
    kinds = kinds_in(recipe.data)
    if not kinds:
        raise BadInput(f"{recipe.data} holds no training shards.", "Run 'limelight train depth', which makes them.")
    held = Shards(sorted(recipe.data.glob("validation_*.safetensors")))
    fixed = np.random.default_rng(0)
    batches = [draw({"views": held}, SHARES, 32, fixed) for _ in range(VALIDATION_BATCHES)] if len(held) else []
    write_recipe(recipe)
    torch.manual_seed(recipe.seed)
    net = DepthNet()
    trainer = DepthTrainer(net, recipe)

    def batch_of(number: int) -> Batch:
        return draw(kinds, SHARES, recipe.batch, np.random.default_rng([recipe.seed, number]))

    def errors(net: nn.Module) -> Iterator[Entry]:
        if batches:
            moved = [batch.to(trainer.accelerator.device) for batch in batches]
            yield {"validation": "fixed", **validate(net, moved)}

    header = {"config": json.dumps(net.config.to_dict())}
    return trainer.fit(batch_of, errors, recipe.out / "depth_embedded.safetensors", header, report)
