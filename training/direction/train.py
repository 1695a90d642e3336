# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a direction network; resumable, reproducible, on CPU or, through accelerate, one or many devices."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from ...backend.direction import bins
from ...backend.errors import BadInput
from .augment import Batch, augmented
from .examples import Shards
from .prepare import by_kind
from .validate import validate

LOG_EVERY = 20
#: Weight of ratio, colour, strength and size beside the direction's cross-entropy.
_VALUES = 0.5


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long. ``data`` holds the shards of :mod:`.examples`.

    ``start`` names exported weights to begin from, what they lack being new; a checkpoint in ``out`` goes before it.
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


def direction_loss(net: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy with a von Mises–Fisher label, and the other values; networks that answer a vector: its MSE."""
    answer, values = net(batch.inputs)
    if answer.shape[-1] == 3:
        return F.mse_loss(answer, batch.towards)
    label = bins.soft_label(batch.towards)
    entropy = -(label * F.log_softmax(answer, -1)).sum(-1)
    # Where no light stands out, its direction is little more than noise.
    weight = (batch.ratio / 0.5).clamp(0.2, 1)
    return (entropy * weight).sum() / weight.sum() + _VALUES * F.smooth_l1_loss(values, batch.values, beta=0.3)


class Trainer:
    """Network, optimiser and average weights, with a checkpoint in safetensors that restores all of them exactly."""

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        self.recipe, self.step = recipe, 0
        self.accelerator = Accelerator(mixed_precision="bf16", cpu=recipe.device == "cpu")
        if recipe.start is not None:
            net.load_state_dict({k: v.float() for k, v in load_file(recipe.start).items()}, strict=False)
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        learnt = [p for p in net.parameters() if p.requires_grad]
        optimiser = AdamW(learnt, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
        self.net, self.optimiser = self.accelerator.prepare(net, optimiser)
        self.plain = self.accelerator.unwrap_model(self.net)
        self.names = [name for name, p in self.plain.named_parameters() if p.requires_grad]
        self.average = {name: self._state()[name].clone() for name in self._state()}
        self.checkpoint = recipe.out / "checkpoint.safetensors"
        if self.checkpoint.exists():
            self.restore()

    def _state(self) -> dict[str, Tensor]:
        """Learnt parameters by name; a frozen backbone is not among them, and nothing here has buffers."""
        return {name: p.detach() for name, p in self.plain.named_parameters() if p.requires_grad}

    def learning_rate(self) -> float:
        """Linear warm-up for at most an eighth of all steps, then cosine to a fiftieth."""
        r = self.recipe
        warmup = min(r.warmup, r.steps // 8)
        if self.step < warmup:
            return r.learning_rate * (self.step + 1) / warmup
        done = min(1.0, (self.step - warmup) / max(1, r.steps - warmup))
        return r.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))

    def loss(self, batch: Any) -> Tensor:
        """What is made small; recipes of other models put theirs here."""
        return direction_loss(self.net, batch)

    def update(self, batch: Any) -> float:
        """One optimiser step; returns the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        self.net.train()
        with self.accelerator.autocast():
            loss = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_([p for p in self.plain.parameters() if p.requires_grad], 1.0)
        self.optimiser.step()
        self.step += 1
        keep = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for name, value in self._state().items():
            self.average[name].lerp_(value, 1 - keep)
        return float(loss.detach())

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        if not self.accelerator.is_main_process:
            return
        state = {f"net.{k}": v for k, v in self._state().items()}
        state |= {f"average.{k}": v for k, v in self.average.items()}
        for name, parameter in self._learnt():
            for moment in ("exp_avg", "exp_avg_sq"):
                state[f"{moment}.{name}"] = self.optimiser.state[parameter][moment]
        partial = self.checkpoint.with_suffix(".partial")
        save_file({k: v.contiguous() for k, v in state.items()}, partial, {"step": str(self.step)})
        partial.replace(self.checkpoint)

    def restore(self) -> None:
        """Continue from the checkpoint."""
        with safe_open(self.checkpoint, "pt", device=str(self.accelerator.device)) as file:
            self.step = int(file.metadata()["step"])
            for name, parameter in self._learnt():
                parameter.data.copy_(file.get_tensor(f"net.{name}"))
                moments = {m: file.get_tensor(f"{m}.{name}") for m in ("exp_avg", "exp_avg_sq")}
                self.optimiser.state[parameter] = {"step": torch.tensor(float(self.step)), **moments}
            self.average = {name: file.get_tensor(f"average.{name}") for name in self.average}

    def _learnt(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.plain.named_parameters() if p.requires_grad]

    def averaged(self) -> nn.Module:
        """The network with the averaged weights in place; :meth:`back` undoes it."""
        self._kept = {name: p.detach().clone() for name, p in self._learnt()}
        self._load(self.average)
        return self.plain.eval()

    def back(self) -> None:
        """The weights in training again."""
        self._load(self._kept)

    def _load(self, state: dict[str, Tensor]) -> None:
        for name, parameter in self._learnt():
            parameter.data.copy_(state[name])

    def export(self, path: Path, header: dict[str, str]) -> None:
        """The averaged weights in half precision, as they ship; ``header`` goes into the file's."""
        if self.accelerator.is_main_process:
            self.save_weights(path, self.average, header)

    def save_weights(self, path: Path, state: dict[str, Tensor], header: dict[str, str]) -> None:
        """Some weights in half precision, whole or not at all."""
        partial = path.with_suffix(".partial")
        save_file({k: v.half().contiguous() for k, v in state.items()}, partial, {"steps": str(self.step), **header})
        partial.replace(path)


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

    ``log.jsonl`` gets the loss, and at every save the errors on the validation shards.
    """
    kinds = [Shards(paths) for paths in by_kind(recipe.data, validation=False).values()]
    if not kinds:
        raise BadInput(f"{recipe.data} holds no training shards.", "Make them with training.direction.prepare.")
    held = {kind: Shards(paths) for kind, paths in by_kind(recipe.data, validation=True).items()}
    recipe.out.mkdir(parents=True, exist_ok=True)
    (recipe.out / "recipe.json").write_text(json.dumps(asdict(recipe), default=str, indent=1), encoding="utf-8")
    torch.manual_seed(recipe.seed)
    trainer = Trainer(make(), recipe)
    weights = recipe.out / "direction_embedded.safetensors"
    start, losses = time.monotonic(), []
    share, rank = trainer.accelerator.num_processes, trainer.accelerator.process_index
    with (recipe.out / "log.jsonl").open("a", encoding="utf-8") as log:

        def tell(entry: dict[str, object]) -> None:
            line = {"step": trainer.step, **entry, "seconds": round(time.monotonic() - start)}
            log.write(json.dumps(line) + "\n")
            log.flush()
            report("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items()))

        while trainer.step < recipe.steps:
            generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + trainer.step * share + rank)
            torch.manual_seed(recipe.seed * 7_919 + trainer.step * share + rank)
            batch = draw(kinds, recipe.batch, generator).to(trainer.accelerator.device)
            losses.append(trainer.update(batch))
            if trainer.step % LOG_EVERY == 0:
                tell({"loss": sum(losses[-LOG_EVERY:]) / LOG_EVERY})
            if trainer.step % recipe.save_every == 0 or trainer.step == recipe.steps:
                trainer.save()
                trainer.export(weights, header)
                net = trainer.averaged()
                for kind, examples in held.items():
                    tell({"validation": kind, **validate(net, examples)})
                trainer.back()
    trainer.export(weights, header)
    return weights
