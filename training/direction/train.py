# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a direction network; resumable, reproducible, on CPU or, through accelerate, one or many devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...backend.direction import bins
from ...backend.errors import BadInput
from ..resumable import Entry, write_recipe
from ..trainer import Recipe, Trainer
from .augment import Batch, augmented
from .examples import Shards
from .prepare import by_kind
from .validate import validate

#: Weight of ratio, colour, strength and size beside the direction's cross-entropy.
_VALUES = 0.5
#: Half the light of the brightest direction is a sixteenth of its likelihood.
_SHARPNESS = 4


def direction_loss(net: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy with a von Mises–Fisher label, and the other values; networks that answer a vector: its MSE."""
    answer, values = net(batch.inputs)
    if answer.shape[-1] == 3:
        return F.mse_loss(answer, batch.towards)
    label = (bins.soft_label(batch.towards) + _spread(batch.light)) / 2
    entropy = -(label * F.log_softmax(answer, -1)).sum(-1)
    # Where no light stands out, its direction is little more than noise.
    weight = (batch.ratio / 0.5).clamp(0.2, 1)
    return (entropy * weight).sum() / weight.sum() + _VALUES * F.smooth_l1_loss(values, batch.values, beta=0.3)


def _spread(light: Tensor) -> Tensor:
    """A distribution (B, 642) of where keys may be: other openings that give nearly as much light as the first count
    nearly as much, so that a scene tells more than its one direction."""
    power = (light / light.amax(-1, keepdim=True)) ** _SHARPNESS
    return power / power.sum(-1, keepdim=True)


class DirectionTrainer(Trainer):
    """The house's trainer with the direction's loss."""

    def loss(self, batch: Batch) -> Tensor:
        return direction_loss(self.net, batch)


def draw(kinds: list[Shards], count: int, generator: torch.Generator) -> Batch:
    """A training batch with as many examples of each kind: a thousand crops of one panorama are still one place."""
    parts = []
    for i, examples in enumerate(kinds):
        share = count // len(kinds) + (i < count % len(kinds))
        chosen = torch.randint(len(examples), (share,), generator=generator)
        parts.append(augmented(examples.pick(chosen), generator))
    return Batch.joined(parts)


def train(
    make: Callable[[], nn.Module], recipe: Recipe, header: dict[str, str], report: Callable[[str], None] = print
) -> Path:
    """Train what ``make`` gives until ``recipe.steps``, on from a checkpoint in ``recipe.out``; returns the weights.

    ``recipe.data`` holds the shards of :mod:`.examples`. ``log.jsonl`` gets the loss, and at every save the errors on
    the validation shards.
    """
    kinds = [Shards(paths) for paths in by_kind(recipe.data, validation=False).values()]
    if not kinds:
        raise BadInput(f"{recipe.data} holds no training shards.", "Make them with training.direction.prepare.")
    held = {kind: Shards(paths) for kind, paths in by_kind(recipe.data, validation=True).items()}
    write_recipe(recipe)
    torch.manual_seed(recipe.seed)
    trainer = DirectionTrainer(make(), recipe)

    def batch_of(number: int) -> Batch:
        return draw(kinds, recipe.batch, torch.Generator().manual_seed(recipe.seed * 1_000_003 + number))

    def errors(net: nn.Module) -> Iterator[Entry]:
        for kind, examples in held.items():
            yield {"validation": kind, **validate(net, examples)}

    return trainer.fit(batch_of, errors, recipe.out / "direction_embedded.safetensors", header, report)
