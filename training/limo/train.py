# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the embedded sphere painter by flow matching; resumable, reproducible, on CPU or one GPU."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
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


class Trainer:
    """Network, optimiser and average weights, with a checkpoint in safetensors that restores all of them exactly."""

    def __init__(self, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.step = recipe, 0
        layout = torch.channels_last
        self.net = SphereUNet(PainterConfig()).to(recipe.device, memory_format=layout)  # type: ignore[call-overload]
        if recipe.start is not None:
            self.net.load_state_dict(load_file(recipe.start, device=recipe.device))
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
        """One optimiser step on a batch; returns the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        loss = flow_loss(self.net, example)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        # The average starts with a short memory, so that it is useful from the first hundred steps.
        keep = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.net.state_dict().items():
            self.average[name].lerp_(value, 1 - keep)
        return float(loss.detach())

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
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
        with safe_open(self.checkpoint, "pt", device=self.recipe.device) as file:
            self.step = int(file.metadata()["step"])
            self.net.load_state_dict({k: file.get_tensor(f"net.{k}") for k in self.average})
            self.average = {k: file.get_tensor(f"average.{k}") for k in self.average}
            for name, parameter in zip(self.names, self.net.parameters(), strict=True):
                moments = {m: file.get_tensor(f"{m}.{name}") for m in ("exp_avg", "exp_avg_sq")}
                self.optimiser.state[parameter] = {"step": torch.tensor(float(self.step)), **moments}

    def export(self, path: Path) -> None:
        """The averaged weights in half precision, as they ship, with the network's sizes in the header."""
        path.parent.mkdir(parents=True, exist_ok=True)
        header = {"config": json.dumps(self.net.config.to_dict()), "steps": str(self.step)}
        save_file({k: v.half().contiguous() for k, v in self.average.items()}, path, header)


def flow_loss(net: SphereUNet, example: Example) -> Tensor:
    """Rectified flow: x_t = (1 − t)x₀ + tε, target ε − x₀, mean square over the sphere's pixels (methods.md §1.5)."""
    sphere, context, clean = example["sphere"], example["context"], example["target"]
    noise = torch.randn_like(clean)
    t = shifted(torch.rand(len(clean), device=clean.device))
    at = t[:, None, None, None]
    with torch.autocast(clean.device.type, torch.bfloat16):
        flow = net((1 - at) * clean + at * noise, t, sphere, net.encode_context(context))
    mask = sphere[:, :1] * torch.tensor(IMPORTANCE, device=clean.device)[:, None, None]
    return ((flow.float() - (noise - clean)) ** 2 * mask).sum() / mask.sum()


def batch_of(examples: Shards, recipe: Recipe, generator: torch.Generator) -> Example:
    """A random batch, half of it mirrored left–right."""
    batch = examples.draw(recipe.batch, generator)
    sphere, context, target = batch["sphere"], batch["context"], to_code(batch["target"])
    half = recipe.batch // 2
    turned = flip(sphere[:half], context[:half], target[:half])
    joined = [torch.cat([a, b[half:]]) for a, b in zip(turned, (sphere, context, target), strict=True)]
    joined = [x.to(recipe.device, memory_format=torch.channels_last) for x in joined]
    return dict(zip(("sphere", "context", "target"), joined, strict=True))


def train(recipe: Recipe, report: Callable[[str], None] = print) -> Path:
    """Train until ``recipe.steps``, continuing from a checkpoint in ``recipe.out``; returns the exported weights."""
    recipe.out.mkdir(parents=True, exist_ok=True)
    (recipe.out / "recipe.json").write_text(json.dumps(asdict(recipe), default=str, indent=1))
    trainer = Trainer(recipe)
    weights = recipe.out / "limo_embedded.safetensors"
    paths = sorted(recipe.data.glob("*.safetensors"))
    if not paths:
        raise FileNotFoundError(f"{recipe.data} holds no training shards; make them with training.limo.examples first.")
    examples = Shards(paths)
    start, losses = time.monotonic(), []
    with (recipe.out / "loss.jsonl").open("a") as log:
        while trainer.step < recipe.steps:
            generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + trainer.step)
            torch.manual_seed(recipe.seed * 7_919 + trainer.step)
            losses.append(trainer.update(batch_of(examples, recipe, generator)))
            if trainer.step % LOG_EVERY == 0:
                recent = losses[-LOG_EVERY:]
                entry = {"step": trainer.step, "loss": sum(recent) / len(recent), "seconds": time.monotonic() - start}
                log.write(json.dumps(entry) + "\n")
                log.flush()
                report(f"step {entry['step']}  loss {entry['loss']:.4f}  {entry['seconds']:.0f} s")
            if trainer.step % recipe.save_every == 0:
                trainer.save()
                trainer.export(weights)
                newer = sorted(recipe.data.glob("*.safetensors"))
                if newer != paths:
                    paths, examples = newer, Shards(newer)
    trainer.save()
    trainer.export(weights)
    return weights
