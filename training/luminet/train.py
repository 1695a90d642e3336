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

from ...backend.luminet.embedded import apply_ratio
from ...backend.luminet.network import LARGEST_RATIO, RATIO_SCALE, SIZE, LumiNet
from ..resumable import Entry, whole, write_recipe
from ..trainer import OTHER_START, Trainer
from ..trainer import Recipe as BaseRecipe
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
            with whole(recipe.start, OTHER_START):
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


@torch.inference_mode()
def validate(net: LumiNet, batch: Batch) -> dict[str, float]:
    """RMSE over all values in [0, 1] of the source unchanged, the decoder alone and the diffusion, given the other
    scene's code; how often the nearest of ten codes of other scenes shares the light; the intrinsics' mean cosine."""
    seen = net.encoder(torch.cat([batch.source, batch.target, batch.reference]))
    maps = [m.chunk(3) for m in seen.maps]
    own, target, code = seen.code.chunk(3)
    decoded = net.decoder([m[0] for m in maps], code)
    # One step of the diffusion, as a picture is relit.
    noise = torch.randn(decoded.shape, generator=torch.Generator().manual_seed(0)).to(decoded.device)
    codes, tokens = torch.cat([own, code], 1), net.adaptor(code)
    found = net.diffusion(noise, noise.new_zeros(len(noise)), batch.source, decoded, maps[0][0], codes, tokens)
    relit = apply_ratio(batch.source, (found * RATIO_SCALE).clamp(-LARGEST_RATIO, LARGEST_RATIO))
    pictures = {"unchanged": batch.source, "decoded": decoded, "relit": relit}
    errors = {name: float((p - batch.target).square().mean().sqrt()) for name, p in pictures.items()}
    tens = len(code) // 10 * 10
    alike = torch.einsum("nic,njc->nij", code[:tens].unflatten(0, (-1, 10)), target[:tens].unflatten(0, (-1, 10)))
    hits = alike.argmax(2) == torch.arange(10, device=alike.device)
    cosine = torch.stack([(m[0] * m[1]).sum(1).mean() for m in maps]).mean()
    return {**errors, "retrieval": float(hits.float().mean()), "intrinsics_cosine": float(cosine)}


def train(
    recipe: Recipe, report: Callable[[str], None] = print, data: tuple[LightSets, LightSets] | None = None
) -> Path:
    """Train one stage until ``recipe.steps``, on from a checkpoint in ``recipe.out``; returns the weights.

    ``log.jsonl`` gets the loss, and at every save the errors on pairs of scenes that are not trained on, and how many
    are trained on: those that the folder gained meanwhile are taken in then. ``data``: what to train on and what to
    validate on, where they were read before (:func:`read_sets`).
    """
    write_recipe(recipe)
    torch.manual_seed(recipe.seed)
    trainer = LumiNetTrainer(recipe)
    trained, held = data or read_sets(recipe.data, recipe.size, trainer.accelerator.device)
    fixed = held.draw(_VALIDATION_PAIRS, np.random.default_rng(0))

    def draw(number: int) -> Batch:
        return trained.draw(recipe.batch, np.random.default_rng([recipe.seed, number]))

    def errors(loss: IntrinsicsLoss | RatioLoss) -> Iterator[Entry]:
        yield {"rooms": len(trained), **validate(loss.net, fixed)}
        trained.take_in()

    header = {"config": json.dumps(trainer.plain.net.config.to_dict())}
    return trainer.fit(draw, errors, recipe.out / WEIGHTS, header, report)


def read_sets(folder: Path, size: int, device: torch.device | str) -> tuple[LightSets, LightSets]:
    """A folder's light sets to train on and to validate on, in the memory of a device."""
    trained, held = (LightSets(folder, validation=side, size=size, device=device) for side in (False, True))
    return trained, held
