# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recipes of this house's own small networks share; on CPU or, through accelerate, one or many devices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from ..backend.devices import half_precision
from ..backend.weights import write
from .resumable import Entry, Resumable, whole

#: What helps where the weights to begin from are damaged.
OTHER_START = "Give other weights to begin from, or remove these where a training made them."


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long.

    ``start`` names exported weights to begin from, what they lack being new; a checkpoint in ``out`` goes before it.
    With ``seconds``, as many steps as fit are made in one process, saved :data:`.pace.SAVES` times; the log tells how
    many it came to, and these ``steps`` without ``seconds`` have the same schedule.
    """

    data: Path
    out: Path
    steps: int = 8000
    batch: int = 32
    learning_rate: float = 1.5e-3
    warmup: int = 200
    ema: float = 0.998
    seed: int = 0
    device: str = "cpu"
    save_every: int = 500
    start: Path | None = None
    seconds: float | None = None


class Trainer(Resumable):
    """A network and what it learns by: bfloat16, a schedule, average weights, and chance that every step has anew."""

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        self.recipe = recipe
        # What is not in half precision may be in TF32; all batches have one size, so the best kernels are looked for.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        half = half_precision(recipe.device) == torch.bfloat16
        accelerator = Accelerator(mixed_precision="bf16" if half else "no", cpu=recipe.device == "cpu")
        if recipe.start is not None:
            with whole(recipe.start, OTHER_START):
                net.load_state_dict(self.exported(recipe.start), strict=False)
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net = accelerator.prepare(net)
        self.plain = accelerator.unwrap_model(self.net)
        # A frozen backbone is not among them, and nothing here has buffers.
        learnt = {name: p for name, p in self.plain.named_parameters() if p.requires_grad}
        adam: dict[str, Any] = {"betas": (0.9, 0.98), "weight_decay": 0.05}
        checkpoint = recipe.out / "checkpoint.safetensors"
        super().__init__(accelerator, learnt, recipe.learning_rate, checkpoint, recipe.ema, **adam)
        self.go_by(recipe.steps, recipe.seconds)

    def learning_rate(self) -> float:
        """Linear warm-up for at most an eighth of all steps, then cosine to a fiftieth."""
        r = self.recipe
        return warm_cosine(r.learning_rate, self.step, self.steps, min(r.warmup, self.steps // 8), 0.02)

    def loss(self, batch: Any) -> Tensor:
        """What is made small: the answer of a network that is its own loss, or what another class puts here."""
        return self.net(batch)

    def update(self, batch: Any) -> Tensor:
        """One optimiser step; returns the loss."""

        def loss() -> Tensor:
            with self.accelerator.autocast():
                return self.loss(batch)

        self.net.train()
        return self.descend([loss])

    def exported(self, path: Path) -> dict[str, Tensor]:
        """The weights that :meth:`export` wrote to a file, in single precision."""
        return {name: value.float() for name, value in load_file(path).items()}

    def export(self, path: Path, header: dict[str, str]) -> None:
        """The averaged weights in half precision, as they ship; ``header`` goes into the file's."""
        self.save_weights(path, self.average, header)

    def save_weights(self, path: Path, state: dict[str, Tensor], header: dict[str, str]) -> None:
        """Some weights in half precision, whole or not at all."""
        write(path, {k: v.half() for k, v in state.items()}, {"steps": str(self.step), **header})

    def fit(
        self,
        draw: Callable[[int], Any],
        validate: Callable[[Any], Iterable[Entry]],
        weights: Path,
        header: dict[str, str],
        report: Callable[[str], None],
    ) -> Path:
        """Train until the recipe's steps, on from a checkpoint in its ``out``; returns ``weights``.

        ``draw`` makes the batch of a number. At every save ``validate`` measures the network with its averaged weights;
        log.jsonl gets what it tells, and the loss.
        """
        recipe = self.recipe
        share, rank = self.accelerator.num_processes, self.accelerator.process_index

        def update() -> Tensor:
            # Every step has its own number, so that a run that goes on draws what an unbroken one would.
            number = self.step * share + rank
            torch.manual_seed(recipe.seed * 7_919 + number)
            return self.update(draw(number).to(self.accelerator.device))

        def errors() -> Iterator[Entry]:
            if self.pace is not None:
                yield {"steps": self.steps}
            with self.averaged():
                yield from validate(self.plain.eval())

        def export() -> None:
            self.export(weights, header)

        self.run(recipe.steps, recipe.save_every, update, export, report, errors, "log.jsonl")
        return weights


def warm_cosine(rate: float, step: int, steps: int, warmup: int, floor: float) -> float:
    """A learning rate that rises linearly in ``warmup`` steps, then falls by a cosine to ``floor`` of ``rate``."""
    if step < warmup:
        return rate * (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))
