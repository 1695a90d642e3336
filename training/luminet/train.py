# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the embedded relighting model in two stages; resumable, reproducible, on one device or, by accelerate, many."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...backend.luminet.embedded import Embedded, apply_ratio
from ...backend.luminet.network import SIZE, LumiNet
from ..direction.train import LOG_EVERY, Trainer
from ..direction.train import Recipe as BaseRecipe
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
    """As the direction's; ``data`` holds light sets, ``stage`` is a name of :data:`STAGES`, each in an ``out`` of its
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
    """The direction's trainer on one stage; what ships is always the whole model."""

    def __init__(self, recipe: Recipe) -> None:
        net = LumiNet()
        if recipe.start is not None:
            net.load_state_dict({k: v.float() for k, v in load_file(recipe.start).items()})
        names, loss = STAGES[recipe.stage]
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(name.startswith(names))
        super().__init__(loss(net), BaseRecipe(**{**_base(recipe), "start": None}))

    def loss(self, batch: Batch) -> Tensor:
        return self.net(batch)

    def export(self, path: Path, header: dict[str, str]) -> None:
        """All parameters in half precision, those of this stage averaged."""
        if not self.accelerator.is_main_process:
            return
        self.averaged()
        net: Any = self.plain
        state = {name: p.detach() for name, p in net.net.named_parameters()}
        self.save_weights(path, state, header)
        self.back()


def _base(recipe: Recipe) -> dict[str, Any]:
    return {key: value for key, value in asdict(recipe).items() if key not in ("stage", "size")}


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
    recipe.out.mkdir(parents=True, exist_ok=True)
    (recipe.out / "recipe.json").write_text(json.dumps(asdict(recipe), default=str, indent=1), encoding="utf-8")
    torch.manual_seed(recipe.seed)
    trainer = LumiNetTrainer(recipe)
    net: Any = trainer.plain
    weights, header = recipe.out / WEIGHTS, {"config": json.dumps(net.net.config.to_dict())}
    start, losses = time.monotonic(), []
    share, rank = trainer.accelerator.num_processes, trainer.accelerator.process_index
    with (recipe.out / "log.jsonl").open("a", encoding="utf-8") as log:

        def tell(entry: dict[str, object]) -> None:
            line = {"step": trainer.step, **entry, "seconds": round(time.monotonic() - start)}
            log.write(json.dumps(line) + "\n")
            log.flush()
            report("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items()))

        while trainer.step < recipe.steps:
            # Every step has its own generators, so that a run that goes on draws what an unbroken one would.
            number = trainer.step * share + rank
            rng = np.random.default_rng([recipe.seed, number])
            torch.manual_seed(recipe.seed * 7_919 + number)
            losses.append(trainer.update(data.draw(recipe.batch, rng).to(trainer.accelerator.device)))
            if trainer.step % LOG_EVERY == 0:
                tell({"loss": sum(losses[-LOG_EVERY:]) / LOG_EVERY})
            if trainer.step % recipe.save_every == 0 or trainer.step == recipe.steps:
                trainer.save()
                trainer.export(weights, header)
                trainer.averaged()
                tell({**validate(net.net, fixed)})
                trainer.back()
    trainer.export(weights, header)
    return weights
