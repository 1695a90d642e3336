# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the embedded sphere painter by flow matching; resumable, reproducible, on the CPU, one GPU or several.

Several by ``torchrun --nproc_per_node N bridge/launch.py training.limo …``, or by ``accelerate launch``: each takes its
part of every batch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from ...backend.devices import autocast
from ...backend.errors import BadInput
from ...backend.limo.embedded.encode import flip, to_code
from ...backend.limo.embedded.model import PainterConfig, SphereUNet
from ...backend.limo.embedded.paint import shifted
from ...backend.weights import write
from ..resumable import Entry, Resumable, whole, write_recipe
from ..trainer import OTHER_START, warm_cosine
from ..trainer import Recipe as BaseRecipe
from .examples import Example, Shards, by_source

#: Weights of the code's channels in the loss: brightness matters more than colour, and has the same spread.
IMPORTANCE = (1.8, 0.8, 0.4) * 2


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """As every recipe; ``data`` holds the shards of :mod:`.examples`, and the weights to begin from lack nothing.

    ``shares``: how often a kind of shards is drawn from, compared with the others, which count 1: few scenes, often
    drawn, would be learnt by heart.
    """

    learning_rate: float = 4e-4
    ema: float = 0.999
    save_every: int = 100
    shares: dict[str, float] = field(default_factory=dict)
    network: PainterConfig = field(default_factory=PainterConfig)


class Trainer(Resumable):
    """The painter, each process on its part of every batch."""

    def __init__(self, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        accelerator = Accelerator(cpu=recipe.device == "cpu")
        self.device = accelerator.device if accelerator.num_processes > 1 else torch.device(recipe.device)
        layout = torch.channels_last
        self.net = SphereUNet(recipe.network).to(self.device, memory_format=layout)  # type: ignore[call-overload]
        self.flow_loss = accelerator.prepare_model(FlowLoss(self.net), device_placement=False)
        if recipe.start is not None:
            with whole(recipe.start, OTHER_START):
                self.net.load_state_dict(load_file(recipe.start))
        learnt, checkpoint = dict(self.net.named_parameters()), recipe.out / "checkpoint.safetensors"
        adam: dict[str, Any] = {"betas": (0.9, 0.98), "weight_decay": 0.01}
        super().__init__(accelerator, learnt, recipe.learning_rate, checkpoint, recipe.ema, **adam)
        self.go_by(recipe.steps, recipe.seconds)

    def learning_rate(self) -> float:
        """Linear warm-up, then cosine to a twentieth."""
        return warm_cosine(self.recipe.learning_rate, self.step, self.steps, self.recipe.warmup, 0.05)

    def update(self, example: Example) -> Tensor:
        """One optimiser step on this process's part of a batch; returns the loss over all parts."""
        parts = [example[name].to(self.device, memory_format=torch.channels_last) for name in BATCH]
        return self.descend([lambda: self.flow_loss(*parts, example["time"].to(self.device))])

    def part(self, batch: Example) -> Example:
        """What of a batch this process trains on."""
        return {
            name: value[self.accelerator.process_index :: self.accelerator.num_processes]
            for name, value in batch.items()
        }

    def export(self, path: Path) -> None:
        """The averaged weights in half precision, as they ship, with the network's sizes in the header."""
        header = {"config": json.dumps(self.net.config.to_dict()), "steps": str(self.step)}
        write(path, {k: v.half() for k, v in self.average.items()}, header)


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
        with autocast(clean.device):
            flow = self.net((1 - at) * clean + at * noise, time, sphere, self.net.encode_context(context))
        mask = sphere[:, :1] * torch.tensor(self.importance, device=clean.device)[:, None, None]
        return ((flow.float() - (noise - clean)) ** 2 * mask).sum() / mask.sum()


#: The tensors of a batch but for the flow times, in the order of :class:`FlowLoss`.
BATCH = ("sphere", "context", "target", "noise")


def batch_of(examples: Shards, count: int, seed: int) -> Example:
    """A random batch, half of it mirrored left–right, with its noise and flow times, where the examples are."""
    generator = torch.Generator().manual_seed(seed)
    batch = examples.draw(count, generator)
    device = batch["target"].device
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(seed)
    sphere, context, target = batch["sphere"], batch["context"], to_code(batch["target"])
    half = count // 2
    turned = flip(sphere[:half], context[:half], target[:half])
    joined = [torch.cat([a, b[half:]]) for a, b in zip(turned, (sphere, context, target), strict=True)]
    joined.append(torch.randn(target.shape, generator=generator, device=device))
    time = torch.rand(count, generator=generator, device=device)
    return {**dict(zip(BATCH, joined, strict=True)), "time": shifted(time)}


@torch.inference_mode()
def loss_on(net: SphereUNet, examples: Shards, count: int) -> float:
    """The flow loss on ``count`` examples, the same ones with the same noise and flow times each time."""
    batch = batch_of(examples, count, 0)
    parts = zip(*(batch[name].split(32) for name in (*BATCH, "time")), strict=True)
    losses = [float(FlowLoss(net)(*part)) for part in parts]
    return sum(losses) / len(losses)


def validation_loss(trainer: Trainer, kept: Shards, count: int = 64) -> float:
    """The averaged weights' :func:`loss_on` kept examples."""
    with trainer.averaged():
        return loss_on(trainer.net, kept, count)


def find_shards(folder: Path) -> tuple[list[Path], list[Path]]:
    """Shards to train on, and those kept for validation: every twelfth of a source."""
    paths = sorted(folder.glob("*.safetensors"))
    numbers = [re.search(r"_(\d+)_\d+$", path.stem) for path in paths]
    kept = [path for path, number in zip(paths, numbers, strict=True) if number and int(number[1]) % 12 == 5]
    return [path for path in paths if path not in kept], kept


def train(recipe: Recipe, report: Callable[[str], None] = print) -> Path:
    """Train until ``recipe.steps``, continuing from a checkpoint in ``recipe.out``; returns the exported weights.

    Curves go to loss.jsonl beside them. Shards that appear meanwhile are taken in every ``recipe.save_every`` steps.
    """
    write_recipe(recipe)
    trainer = Trainer(recipe)
    weights = recipe.out / "limo_embedded.safetensors"
    paths, kept = find_shards(recipe.data)
    if not paths:
        raise BadInput(f"{recipe.data} holds no training shards.", "Make some with training.limo.prepare.")
    examples = Shards(paths, trainer.device, recipe.shares)
    unseen = {kind: Shards(part, trainer.device) for kind, part in by_source(kept).items()}

    def update() -> Tensor:
        if trainer.step % recipe.save_every == 0:
            examples.take_in(find_shards(recipe.data)[0])
        return trainer.update(trainer.part(batch_of(examples, recipe.batch, recipe.seed * 1_000_003 + trainer.step)))

    def errors() -> Iterator[Entry]:
        losses = {kind: validation_loss(trainer, shards) for kind, shards in unseen.items()}
        if losses:
            yield {"validation": sum(losses.values()) / len(losses), **losses}

    trainer.run(recipe.steps, recipe.save_every, update, lambda: trainer.export(weights), report, errors)
    return weights
