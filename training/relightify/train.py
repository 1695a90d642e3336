# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the UV prior; resumable, reproducible, on CPU or, through accelerate, one or many devices."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...backend.errors import BadInput
from ...backend.optics.metrics import psnr
from ...backend.relightify import head
from ...backend.relightify.linear import LinearModel
from ...backend.relightify.maps import DIFFUSE, SPECULAR, TEXTURE, skin_mask
from ...backend.relightify.network import PriorNet
from ...backend.relightify.prior import Effort, Prior, load_prior
from ...backend.relightify.quantised import pack, unpack
from ...backend.relightify.records import PartialTexture
from ...backend.weights import write
from ...synthesis.face_masks import draw_mask
from ..resumable import Entry, write_recipe
from ..trainer import Recipe as BaseRecipe
from ..trainer import Trainer
from .examples import Batch, Draw, Heads, Units, error_weight, find_heads, statistics

WEIGHTS = "prior_embedded.safetensors"
#: Heads that are not trained on, the last of the shards.
HELD = 20
#: Heads without which none would be held back.
LEAST = 10


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """As every recipe; ``data`` holds shards of heads ('synthesize faces')."""

    steps: int = 3600
    batch: int = 16
    learning_rate: float = 1.2e-3
    warmup: int = 100
    ema: float = 0.998
    save_every: int = 100


class PriorTrainer(Trainer):
    """The house's trainer with the prior's loss; what it exports has 8 bits a weight."""

    def __init__(self, net: PriorNet, recipe: Recipe, units: Units) -> None:
        super().__init__(net, recipe)
        self.units, self.weight = units, error_weight().bfloat16().to(self.accelerator.device)

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error of the clean maps, weighted."""
        # Batches come in bfloat16, which is what the network computes in where the hardware does.
        dtype = torch.bfloat16 if self.accelerator.mixed_precision == "bf16" else torch.float32
        noisy, hint, clean = (x.to(dtype) for x in (batch.noisy, batch.hint, batch.clean))
        difference = self.net(noisy, batch.time, hint) - clean
        return (difference * difference * self.weight).mean(dtype=torch.float32)

    def exported(self, path: Path) -> dict[str, Tensor]:
        """As the house's, of 8 bits a weight; the units are passed over."""
        return unpack(load_file(path))

    def export(self, path: Path, header: dict[str, str]) -> None:
        """The averaged weights, and the units that the network thinks in."""
        mean, deviation, linear = self.units
        told = pack({f"linear.{name}": getattr(linear, name) for name in ("centre", "basis", "rest")})
        write(
            path,
            pack(self.average) | told | {"mean": mean, "deviation": deviation},
            {"steps": str(self.step), **header},
        )


def hidden_half(heads: Heads, numbers: list[int]) -> list[tuple[Tensor, PartialTexture]]:
    """Each head's maps in 0..1, and the part of its texture that a fixed random mask shows."""
    rng, model = np.random.default_rng(0), head.load()
    found = []
    for number in numbers:
        maps, mask = heads[number].float() / 255, draw_mask(rng, model)
        found.append((maps, PartialTexture(maps[TEXTURE] * mask, mask)))
    return found


@torch.no_grad()
def validate(prior: Prior, cases: list[tuple[Tensor, PartialTexture]]) -> dict[str, float]:
    """PSNR in dB of the hidden texture, told and not told, and RMSE of the albedos on the skin (encoded)."""
    skin = skin_mask()[0] > 0
    rows = []
    for maps, known in cases:
        hidden = skin & (known.mask[0] < 0.5)
        told = prior.complete(known, Effort(1))
        row = {"hidden_psnr": psnr(told[TEXTURE].movedim(0, -1), maps[TEXTURE].movedim(0, -1), hidden)}
        for name, part in (("diffuse_rmse", DIFFUSE), ("specular_rmse", SPECULAR)):
            row[name] = float((told[part] - maps[part])[:, skin].square().mean().sqrt())
        rows.append(row)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def units_of(recipe: Recipe, heads: Heads, numbers: list[int]) -> Units:
    """Mean, deviation and linear model that a run began with, whatever heads were added since."""
    if (recipe.out / WEIGHTS).exists():
        begun = load_prior.__wrapped__(recipe.out / WEIGHTS)
        return begun.mean.flatten(), begun.deviation.flatten(), begun.linear
    mean, deviation, linear = statistics(heads, numbers)
    # As exactly as they are written, so that a run that goes on learns by the same.
    return mean, deviation, LinearModel(**unpack(pack(vars(linear))))


def train(recipe: Recipe, report: Callable[[str], None] = print) -> Path:
    """Train until ``recipe.steps``, on from a checkpoint in ``recipe.out``; returns the weights.

    ``log.jsonl`` gets the loss, and at every save the errors on heads that are not trained on, with the averaged
    weights; in the end with them as they ship, too. Heads that are added before a run goes on are learnt from.
    """
    heads = find_heads(recipe.data)
    held = min(HELD, len(heads) // LEAST)
    numbers, last = list(range(len(heads) - held)), list(range(len(heads) - held, len(heads)))
    if not held:
        raise BadInput(
            f"{recipe.data} holds {len(heads)} heads.", f"Make at least {LEAST} with 'limelight synthesize faces'."
        )
    units = units_of(recipe, heads, numbers)
    cases, draw = hidden_half(heads, last), Draw(heads, numbers, units, recipe.seed)
    write_recipe(recipe)
    torch.manual_seed(recipe.seed)
    net = PriorNet()
    trainer = PriorTrainer(net, recipe, units)

    def batch_of(number: int) -> Batch:
        return draw.batch(number, recipe.batch)

    def errors(net: nn.Module) -> Iterator[Entry]:
        device = str(trainer.accelerator.device)
        yield {"weights": "averaged", **validate(Prior(net, *units, device), cases)}  # type: ignore[arg-type]
        if trainer.step >= recipe.steps:
            small = PriorNet(net.config)  # type: ignore[arg-type]
            small.load_state_dict(unpack(pack(net.state_dict())))
            yield {"weights": "8 bits", **validate(Prior(small, *units, device), cases)}

    header = {"config": json.dumps(net.config.to_dict())}
    return trainer.fit(batch_of, errors, recipe.out / WEIGHTS, header, report)
