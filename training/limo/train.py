# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the embedded sphere painter by flow matching; resumable, reproducible, on the CPU, one GPU or several.

Several by ``torchrun --nproc_per_node N bridge/launch.py training.limo …``, or by ``accelerate launch``: each takes its
part of every batch.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import AdamW

from ...backend.limo.embedded.encode import flip, to_code
from ...backend.limo.embedded.model import PainterConfig, SphereUNet
from ...backend.limo.embedded.paint import shifted
from ...backend.weights import pack, unpack
from .examples import Example, Shards
from .loss import PainterLoss

#: Optimiser steps between lines of the log.
LOG_EVERY = 20


#: What is mirrored together.
PICTURES = ("sphere", "context", "around", "near", "target", "environment")
MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long. ``data`` holds the shards of :mod:`.examples`.

    The first share ``reading`` of the steps trains the encoder and the light reader alone, at a third of the cost.
    ``start`` names exported weights to begin from; a checkpoint in ``out`` goes before it.
    """

    data: Path
    out: Path
    steps: int = 10000
    reading: float = 0.3
    batch: int = 32
    learning_rate: float = 4e-4
    warmup: int = 200
    ema: float = 0.999
    seed: int = 0
    device: str = "cpu"
    save_every: int = 100
    start: Path | None = None
    network: PainterConfig = field(default_factory=PainterConfig)

    @property
    def reading_steps(self) -> int:
        """The step at which painting begins."""
        return round(self.reading * self.steps)


class Trainer:
    """Network, optimiser and average weights, with a checkpoint in safetensors that restores all of them exactly."""

    def __init__(self, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.step = recipe, 0
        # While it learns to read, the painting half of the network gets no gradient.
        partly = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(cpu=recipe.device == "cpu", kwargs_handlers=[partly])
        several = self.accelerator.num_processes > 1
        self.device = self.accelerator.device if several else torch.device(recipe.device)
        layout = torch.channels_last
        self.net = SphereUNet(recipe.network).to(self.device, memory_format=layout)  # type: ignore[call-overload]
        self.loss = self.accelerator.prepare_model(PainterLoss(self.net), device_placement=False)
        if recipe.start is not None:
            self.net.load_state_dict(unpack(load_file(recipe.start, device=str(self.device))))
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.names = [name for name, _ in self.net.named_parameters()]
        self.optimiser = AdamW(self.net.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.checkpoint = recipe.out / "checkpoint.safetensors"
        if self.checkpoint.exists():
            self.restore()

    def learning_rate(self) -> float:
        """Linear warm-up, then cosine to a twentieth; for reading, and once more for painting."""
        r = self.recipe
        first, last = (0, r.reading_steps) if self.step < r.reading_steps else (r.reading_steps, r.steps)
        step, steps = self.step - first, last - first
        if step < r.warmup:
            return r.learning_rate * (step + 1) / r.warmup
        done = min(1.0, (step - r.warmup) / max(1, steps - r.warmup))
        return r.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))

    def update(self, example: Example) -> float:
        """One optimiser step on this process's part of a batch; returns the loss over all parts."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        self.net.train()
        loss = self.loss(self.move(example), painting=self.step >= self.recipe.reading_steps).sum()
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        # The average starts with a short memory, so that it is useful from the first hundred steps.
        keep = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.net.state_dict().items():
            self.average[name].lerp_(value, 1 - keep)
        return float(self.accelerator.reduce(loss.detach(), "mean"))

    def move(self, example: Example) -> Example:
        """An example's tensors on the device, pictures in the layout of the convolutions."""
        layouts = {4: torch.channels_last}
        return {
            name: value.to(self.device, memory_format=layouts.get(value.ndim, torch.preserve_format))
            for name, value in example.items()
        }

    def part(self, batch: Example) -> Example:
        """What of a batch this process trains on."""
        return {
            name: value[self.accelerator.process_index :: self.accelerator.num_processes]
            for name, value in batch.items()
        }

    def save(self) -> None:
        """Write the checkpoint, whole or not at all; one process does it for all."""
        if not self.accelerator.is_main_process:
            return
        state: dict[str, Tensor] = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        state |= {f"average.{k}": v for k, v in self.average.items()}
        for name, parameter in zip(self.names, self.net.parameters(), strict=True):
            # What has had no gradient yet has no moments.
            for moment in MOMENTS if self.optimiser.state[parameter] else ():
                state[f"{moment}.{name}"] = self.optimiser.state[parameter][moment]
        partial = self.checkpoint.with_suffix(".partial")
        save_file({k: v.contiguous() for k, v in state.items()}, partial, {"step": str(self.step)})
        partial.replace(self.checkpoint)

    def restore(self) -> None:
        """Continue from the checkpoint."""
        with safe_open(self.checkpoint, "pt", device=str(self.device)) as file:
            self.step = int(file.metadata()["step"])
            known = set(file.keys())
            self.net.load_state_dict({k: file.get_tensor(f"net.{k}") for k in self.average})
            self.average = {k: file.get_tensor(f"average.{k}") for k in self.average}
            for name, parameter in zip(self.names, self.net.parameters(), strict=True):
                if f"{MOMENTS[0]}.{name}" in known:
                    moments = {m: file.get_tensor(f"{m}.{name}") for m in MOMENTS}
                    self.optimiser.state[parameter] = {"step": self.steps_of(name), **moments}

    def steps_of(self, name: str) -> Tensor:
        """How often a parameter has been changed: what only paints began later."""
        reads = name.startswith(("encoder.", "reader."))
        return torch.tensor(float(self.step if reads else self.step - self.recipe.reading_steps))

    def export(self, path: Path) -> None:
        """The averaged weights in half precision, as they ship, with the network's sizes in the header."""
        if not self.accelerator.is_main_process:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        header = {"config": json.dumps(self.net.config.to_dict()), "steps": str(self.step)}
        save_file(pack(self.average), path, header)


def batch_of(examples: Shards, recipe: Recipe, generator: torch.Generator) -> Example:
    """A random batch, half of it mirrored left–right, with its noise and flow times.

    Of what :func:`.examples.example` makes, ``target`` in the painter's code, ``environment`` channels first.
    """
    batch = examples.draw(recipe.batch, generator)
    batch["target"], batch["environment"] = to_code(batch["target"]), batch["environment"].movedim(-1, 1)
    half = recipe.batch // 2
    turned = flip(*(batch[name][:half] for name in PICTURES))
    for name, first in zip(PICTURES, turned, strict=True):
        batch[name] = torch.cat([first, batch[name][half:]])
    batch["noise"] = torch.randn(batch["target"].shape, generator=generator)
    return {**batch, "time": shifted(torch.rand(recipe.batch, generator=generator))}


def validation_loss(trainer: Trainer, kept: Shards, count: int = 64) -> tuple[float, ...]:
    """The averaged weights' losses (:class:`PainterLoss`) on the same examples, noise and flow times each time."""
    generator = torch.Generator().manual_seed(0)
    batch = batch_of(kept, replace(trainer.recipe, batch=count), generator)
    now = {name: value.clone() for name, value in trainer.net.state_dict().items()}
    trainer.net.load_state_dict(trainer.average)
    trainer.net.eval()
    with torch.inference_mode():
        parts = [{name: value[i : i + 32] for name, value in batch.items()} for i in range(0, count, 32)]
        losses = torch.stack([PainterLoss(trainer.net)(trainer.move(part)) for part in parts])
    trainer.net.load_state_dict(now)
    return tuple(losses.mean(0).tolist())


def find_shards(folder: Path) -> tuple[list[Path], list[Path]]:
    """Shards to train on, and those kept for validation: every twelfth of a source."""
    paths = sorted(folder.glob("*.safetensors"))
    numbers = [re.search(r"_(\d+)_\d+$", path.stem) for path in paths]
    kept = [path for path, number in zip(paths, numbers, strict=True) if number and int(number[1]) % 12 == 5]
    return [path for path in paths if path not in kept], kept


def train(recipe: Recipe, report: Callable[[str], None] = print) -> Path:
    """Train until ``recipe.steps``, continuing from a checkpoint in ``recipe.out``; returns the exported weights.

    Curves go to loss.jsonl beside them. Shards that appear meanwhile are taken in at the next checkpoint.
    """
    recipe.out.mkdir(parents=True, exist_ok=True)
    (recipe.out / "recipe.json").write_text(json.dumps(asdict(recipe), default=str, indent=1))
    trainer = Trainer(recipe)
    weights = recipe.out / "limo_embedded.safetensors"
    paths, kept = find_shards(recipe.data)
    if not paths:
        raise FileNotFoundError(f"{recipe.data} holds no training shards; make them with training.limo.examples first.")
    examples, unseen = Shards(paths), Shards(kept) if kept else None
    start, losses = time.monotonic(), []
    with (recipe.out / "loss.jsonl").open("a") as log:

        def note(**entry: float) -> None:
            if trainer.accelerator.is_main_process:
                log.write(json.dumps({"step": trainer.step, **entry, "seconds": time.monotonic() - start}) + "\n")
                log.flush()
                report(f"step {trainer.step}  " + "  ".join(f"{name} {value:.4f}" for name, value in entry.items()))

        while trainer.step < recipe.steps:
            generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + trainer.step)
            losses.append(trainer.update(trainer.part(batch_of(examples, recipe, generator))))
            if trainer.step % LOG_EVERY == 0:
                note(loss=sum(losses[-LOG_EVERY:]) / len(losses[-LOG_EVERY:]))
            if trainer.step % recipe.save_every == 0:
                trainer.save()
                trainer.export(weights)
                if unseen is not None:
                    note(**dict(zip(("reading", "validation"), validation_loss(trainer, unseen), strict=True)))
                if find_shards(recipe.data)[0] != paths:
                    paths, _ = find_shards(recipe.data)
                    examples = Shards(paths)
    trainer.save()
    trainer.export(weights)
    trainer.accelerator.wait_for_everyone()
    return weights
