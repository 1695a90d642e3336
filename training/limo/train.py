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
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW

from ...backend.limo.embedded.encode import flip, to_code
from ...backend.limo.embedded.model import PainterConfig, SphereUNet
from ...backend.limo.embedded.paint import shifted
from .examples import Example, Shards

#: Optimiser steps between lines of the log.
LOG_EVERY = 20
#: Weights of the code's channels in the loss: brightness matters more than colour, and has the same spread.
IMPORTANCE = (1.8, 0.8, 0.4) * 2


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long. ``data`` holds the shards of :mod:`.examples`.

    ``start`` names exported weights to begin from; a checkpoint in ``out`` goes before it.
    """

    data: Path
    out: Path
    steps: int = 8000
    batch: int = 32
    learning_rate: float = 4e-4
    warmup: int = 200
    ema: float = 0.999
    seed: int = 0
    device: str = "cpu"
    save_every: int = 100
    start: Path | None = None
    network: PainterConfig = field(default_factory=PainterConfig)


class Trainer:
    """Network, optimiser and average weights, with a checkpoint in safetensors that restores all of them exactly."""

    def __init__(self, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.step = recipe, 0
        self.accelerator = Accelerator(cpu=recipe.device == "cpu")
        several = self.accelerator.num_processes > 1
        self.device = self.accelerator.device if several else torch.device(recipe.device)
        layout = torch.channels_last
        self.net = SphereUNet(recipe.network).to(self.device, memory_format=layout)  # type: ignore[call-overload]
        self.flow_loss = self.accelerator.prepare_model(FlowLoss(self.net), device_placement=False)
        if recipe.start is not None:
            self.net.load_state_dict(load_file(recipe.start, device=str(self.device)))
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.names = [name for name, _ in self.net.named_parameters()]
        self.optimiser = AdamW(self.net.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.checkpoint = recipe.out / "checkpoint.safetensors"
        if self.checkpoint.exists():
            self.restore()

    def learning_rate(self) -> float:
        """Linear warm-up, then cosine to a twentieth."""
        r = self.recipe
        if self.step < r.warmup:
            return r.learning_rate * (self.step + 1) / r.warmup
        done = min(1.0, (self.step - r.warmup) / max(1, r.steps - r.warmup))
        return r.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))

    def update(self, example: Example) -> float:
        """One optimiser step on this process's part of a batch; returns the loss over all parts."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        parts = (example[name].to(self.device, memory_format=torch.channels_last) for name in BATCH)
        loss = self.flow_loss(*parts, example["time"].to(self.device))
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
            for moment in ("exp_avg", "exp_avg_sq"):
                state[f"{moment}.{name}"] = self.optimiser.state[parameter][moment]
        partial = self.checkpoint.with_suffix(".partial")
        save_file({k: v.contiguous() for k, v in state.items()}, partial, {"step": str(self.step)})
        partial.replace(self.checkpoint)

    def restore(self) -> None:
        """Continue from the checkpoint."""
        with safe_open(self.checkpoint, "pt", device=str(self.device)) as file:
            self.step = int(file.metadata()["step"])
            self.net.load_state_dict({k: file.get_tensor(f"net.{k}") for k in self.average})
            self.average = {k: file.get_tensor(f"average.{k}") for k in self.average}
            for name, parameter in zip(self.names, self.net.parameters(), strict=True):
                moments = {m: file.get_tensor(f"{m}.{name}") for m in ("exp_avg", "exp_avg_sq")}
                self.optimiser.state[parameter] = {"step": torch.tensor(float(self.step)), **moments}

    def export(self, path: Path) -> None:
        """The averaged weights in half precision, as they ship, with the network's sizes in the header."""
        if not self.accelerator.is_main_process:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        header = {"config": json.dumps(self.net.config.to_dict()), "steps": str(self.step)}
        save_file({k: v.half().contiguous() for k, v in self.average.items()}, path, header)


class FlowLoss(nn.Module):
    """Rectified flow: x_t = (1 − t)x₀ + tε, target ε − x₀, mean square over the sphere's pixels (methods.md §1.5).

    A module around the network, so that all of a step passes through what shares it among devices.
    """

    def __init__(self, net: SphereUNet) -> None:
        super().__init__()
        self.net = net
        painted = net.config.painted
        self.importance = IMPORTANCE if painted == len(IMPORTANCE) else (1.0,) * painted

    def forward(self, sphere: Tensor, context: Tensor, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """The loss (scalar) of inputs, code ``clean`` and unit ``noise`` (B, 6, S, S) at flow times (B,)."""
        at = time[:, None, None, None]
        with torch.autocast(clean.device.type, torch.bfloat16):
            flow = self.net((1 - at) * clean + at * noise, time, sphere, self.net.encode_context(context))
        mask = sphere[:, :1] * torch.tensor(self.importance, device=clean.device)[:, None, None]
        return ((flow.float() - (noise - clean)) ** 2 * mask).sum() / mask.sum()


#: The tensors of a batch but for the flow times, in the order of :class:`FlowLoss`.
BATCH = ("sphere", "context", "target", "noise")


def batch_of(examples: Shards, recipe: Recipe, generator: torch.Generator) -> Example:
    """A random batch, half of it mirrored left–right, with its noise and flow times."""
    batch = examples.draw(recipe.batch, generator)
    sphere, context, target = batch["sphere"], batch["context"], to_code(batch["target"])
    half = recipe.batch // 2
    turned = flip(sphere[:half], context[:half], target[:half])
    joined = [torch.cat([a, b[half:]]) for a, b in zip(turned, (sphere, context, target), strict=True)]
    joined.append(torch.randn(target.shape, generator=generator))
    return {**dict(zip(BATCH, joined, strict=True)), "time": shifted(torch.rand(recipe.batch, generator=generator))}


def validation_loss(trainer: Trainer, kept: Shards, count: int = 64) -> float:
    """The averaged weights' loss on the same examples, noise and flow times each time."""
    generator = torch.Generator().manual_seed(0)
    batch = batch_of(kept, replace(trainer.recipe, batch=count), generator)
    now = {name: value.clone() for name, value in trainer.net.state_dict().items()}
    trainer.net.load_state_dict(trainer.average)
    with torch.inference_mode():
        losses = [
            float(FlowLoss(trainer.net)(*(batch[name][i : i + 32].to(trainer.device) for name in (*BATCH, "time"))))
            for i in range(0, count, 32)
        ]
    trainer.net.load_state_dict(now)
    return sum(losses) / len(losses)


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
                    note(validation=validation_loss(trainer, unseen))
                if find_shards(recipe.data)[0] != paths:
                    paths, _ = find_shards(recipe.data)
                    examples = Shards(paths)
    trainer.save()
    trainer.export(weights)
    trainer.accelerator.wait_for_everyone()
    return weights
