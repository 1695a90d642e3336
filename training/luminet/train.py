# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the embedded relighting model in two stages; resumable, reproducible, on one device or, by accelerate, many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from ...backend.luminet.embedded import Embedded, apply_ratio
from ...backend.luminet.network import SIZE, LumiNet
from ..resumable import Entry, write_recipe
from ..trainer import Recipe as BaseRecipe
from ..trainer import Trainer
from .examples import Batch, LightSets
from .losses import IntrinsicsLoss, RatioLoss

#: Pairs of the fixed validation set.
_VALIDATION_PAIRS = 64
WEIGHTS = "luminet_embedded.safetensors"
#: What each stage learns, by the beginning of its parameters' names, and its loss.
STAGES: dict[str, tuple[tuple[str, ...], Callable[[LumiNet], nn.Module]]] = {
    "intrinsics": (("encoder.", "decoder."), IntrinsicsLoss),
    "ratio": (("adaptor.", "diffusion."), RatioLoss),
}


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """As every recipe; ``data`` holds light sets, ``stage`` is a name of :data:`STAGES`, each in an ``out`` of its
    own, the second's ``start`` being the weights of the first. ``size``: pixels a side of the pictures; the networks
    learn most on small ones, four times as many in the same time."""

    stage: str = "intrinsics"
    size: int = SIZE
    steps: int = 6000
    batch: int = 16
    learning_rate: float = 1e-3
    warmup: int = 100
    ema: float = 0.995
    save_every: int = 100


class LumiNetTrainer(Trainer):
    """The house's trainer on one stage; what ships is always the whole model."""

    def __init__(self, recipe: Recipe) -> None:
        net = LumiNet()
        if recipe.start is not None:
            net.load_state_dict({k: v.float() for k, v in load_file(recipe.start).items()})
        names, loss = STAGES[recipe.stage]
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith(names))
        super().__init__(loss(net), replace(recipe, start=None))

    def export(self, path: Path, header: dict[str, str]) -> None:
        """All parameters in half precision, those of this stage averaged."""
        with self.averaged():
            state = {name: p.detach() for name, p in self.plain.net.named_parameters()}
            self.save_weights(path, state, header)


@torch.no_grad()
def validate(net: LumiNet, batch: Batch) -> dict[str, float]:
    """RMSE over all values in [0, 1] of the source unchanged, the decoder alone and the diffusion, given the other
    scene's code; how often the nearest of ten codes of other scenes shares the light; the intrinsics' mean cosine."""
    model = Embedded(net)
    source, reference = model.intrinsics(batch.source), model.intrinsics(batch.reference)
    target = model.intrinsics(batch.target)
    decoded = torch.stack([model.decode(s, c) for s, c in zip(batch.source, reference.code, strict=True)])
    ratios = torch.cat(
        [model.relight(s, c, steps=1, seeds=[0]).ratio for s, c in zip(batch.source, reference.code, strict=True)]
    )
    pictures = {"unchanged": batch.source, "decoded": decoded, "relit": apply_ratio(batch.source, ratios)}
    found = {name: float((p - batch.target).square().mean().sqrt()) for name, p in pictures.items()}
    hits = [
        int((target.code[i : i + 10] @ reference.code[i + k]).argmax()) == k
        for i in range(0, len(batch.source) - 9, 10)
        for k in range(10)
    ]
    cosine = torch.stack([(a * b).sum(1).mean() for a, b in zip(source.maps, target.maps, strict=True)]).mean()
    return {**found, "retrieval": sum(hits) / len(hits), "intrinsics_cosine": float(cosine)}


def train(recipe: Recipe, report: Callable[[str], None] = print) -> Path:
    """Train one stage until ``recipe.steps``, on from a checkpoint in ``recipe.out``; returns the weights.

    ``log.jsonl`` gets the loss, and at every save the errors on pairs of scenes that are not trained on.
    """
    data, held = (LightSets(recipe.data, validation=side, size=recipe.size) for side in (False, True))
    torch.manual_seed(0)
    fixed = held.draw(_VALIDATION_PAIRS, np.random.default_rng(0))
    write_recipe(recipe)
    torch.manual_seed(recipe.seed)
    trainer = LumiNetTrainer(recipe)

    def draw(number: int) -> Batch:
        return data.draw(recipe.batch, np.random.default_rng([recipe.seed, number]))

    def errors(loss: IntrinsicsLoss | RatioLoss) -> Iterator[Entry]:
        yield validate(loss.net, fixed)

    header = {"config": json.dumps(trainer.plain.net.config.to_dict())}
    return trainer.fit(draw, errors, recipe.out / WEIGHTS, header, report)
