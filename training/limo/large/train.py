# SPDX-License-Identifier: GPL-3.0-or-later
"""Train LIMO on FLUX.1-schnell or Wan2.2-TI2V-5B; resumable, on the CPU, one GPU, several, or shared out over many.

Several GPUs by ``accelerate launch``, shared out with the configurations in ``configs``; each takes its own examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from ....backend.errors import BadInput
from ....backend.limo.backbone.conventions import PAPER, SPHERES
from ....backend.limo.backbone.load import encode, family_of
from ....backend.limo.backbone.memory import component, elements
from ....backend.limo.backbone.parts import network_dtype, quiet
from ....backend.limo.backbone.plan import Work
from ....backend.limo.backbone.prompts import PromptCache
from ....backend.limo.backbone.stream import LIMO
from ....backend.weights import write
from ...eight_bit_adam import EightBitAdamW
from ...resumable import Entry, write_recipe
from ...trainer import warm_cosine
from . import budget
from .examples import Example, SphereSets
from .learner import SPHERE_WEIGHT, FlowLoss, encode_example, exported, flow_loss, make_learner
from .state import is_shared, learning_state

FAMILIES = ("flux", "wan")
STARTS = ("paper", "released", "zero", "weights")
#: Draws that validation takes, the same each time.
_VALIDATION = 8


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long (methods.md §1.5, §1.6); ``base`` is the base model's diffusers folder.

    ``rank`` 0 trains all of the network, else low-rank changes and the widened input. ``batch`` examples a step and
    device, one after another. ``dropped`` is the share of examples without conditions. Noise times are uniform, shifted
    by ``shift``. With ``eight_bit`` AdamW's moments take a byte each, as in the paper's training.
    """

    base: Path
    data: Path
    out: Path
    family: str = "flux"
    steps: int = 150_000
    batch: int = 1
    learning_rate: float = 1e-5
    warmup: int = 500
    decay: float = 1e-2
    dropped: float = 0.1
    sphere_weight: float = SPHERE_WEIGHT
    side: int = 512
    frames: int = 1
    shift: float = 1.0
    start: str = "paper"
    rank: int = 0
    seed: int = 0
    device: str = "cpu"
    save_every: int = 1000
    save_memory: bool = False
    eight_bit: bool = False


def recipe_for(family: str, **settings: Any) -> Recipe:
    """The paper's recipe of a family: 150 000 steps on pictures, 250 000 on clips of 21 frames with times shifted by 2.

    Low-rank changes learn ten times as fast as a whole network, unless a rate is given.
    """
    if family not in FAMILIES:
        raise BadInput(f"There is no recipe for '{family}'.", f"Known: {', '.join(FAMILIES)}.")
    own: dict[str, Any] = {"steps": 250_000, "frames": 21, "shift": 2.0} if family == "wan" else {}
    if settings.get("rank"):
        own["learning_rate"] = 1e-4
    return Recipe(family=family, **{**own, **settings})


class Trainer:
    """The network, its frozen companions, and a step on it."""

    def __init__(self, recipe: Recipe, accelerator: Accelerator) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.accelerator = recipe, accelerator
        self.device = accelerator.device if accelerator.num_processes > 1 else torch.device(recipe.device)
        frozen = network_dtype(str(self.device)) if recipe.rank else torch.float32
        where = "cpu" if is_shared(accelerator) else str(self.device)
        cache = PromptCache(recipe.base, lambda p: encode(recipe.family, recipe.base, p, torch.float32, "cpu"))
        words = [PAPER.wording(sphere, ev) for sphere in SPHERES for ev in PAPER.evs]
        self.words, self.texts = {word: i for i, word in enumerate(words)}, cache.get(words)
        self.denoiser, self.codec, learnt = make_learner(
            recipe.family, recipe.base, start=recipe.start, rank=recipe.rank, dtype=frozen, device=where
        )
        self.codec.vae.to(self.device)
        if recipe.save_memory:
            self.denoiser.network.enable_gradient_checkpointing()
        self.denoiser.network.train()
        adam: dict[str, Any] = {"betas": (0.9, 0.999), "weight_decay": recipe.decay}
        if recipe.eight_bit:
            adam["optimiser"] = EightBitAdamW
        rate = partial(warm_cosine, recipe.learning_rate, steps=recipe.steps, floor=0.0,
                       warmup=min(recipe.warmup, recipe.steps // 8))  # fmt: skip
        self.state = learning_state(accelerator, FlowLoss(self.denoiser), learnt, rate, recipe.out, adam)

    def update(self, sets: SphereSets) -> Tensor:
        """One optimiser step on this process's own examples; returns the loss over all processes."""
        number = self.state.step * self.accelerator.num_processes + self.accelerator.process_index
        rng = np.random.default_rng([self.recipe.seed, number])
        return self.state.descend([partial(self._share, sets, rng) for _ in range(self.recipe.batch)])

    def _share(self, sets: SphereSets, rng: np.random.Generator) -> Tensor:
        return self.loss(sets.draw(rng), rng) / self.recipe.batch

    def loss(self, example: Example, rng: np.random.Generator) -> Tensor:
        """The loss (scalar) of an example with noise, a time and a dropping of conditions by chance."""
        encoded = encode_example(self.codec, example, self.recipe.sphere_weight)
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        noise = torch.randn(encoded.clean.shape, generator=generator).to(encoded.clean)
        t, shift = float(rng.random()), self.recipe.shift
        time = torch.tensor(shift * t / (1 + (shift - 1) * t), device=noise.device)
        row = self.words[PAPER.wording(example.material, example.ev)]
        text = self.texts.at(slice(row, row + 1), self.denoiser.network.dtype, str(self.device))
        with self.accelerator.autocast():
            conditioned = bool(rng.random() >= self.recipe.dropped)
            return flow_loss(self.state.module, encoded, text, noise, time, conditioned=conditioned)

    def validate(self, kept: SphereSets) -> Iterator[Entry]:
        """The loss on examples that are not trained on, with the same noise and times each time."""
        rng = np.random.default_rng([self.recipe.seed, 2**31])
        with torch.no_grad():
            losses = [float(self.loss(kept.draw(rng), rng)) for _ in range(_VALIDATION)]
        yield {"validation": sum(losses) / len(losses)}

    def export(self, path: Path) -> None:
        """LIMO's own weights, to be put beside the base model's model_index.json."""
        header = {"convention": PAPER.name, "steps": str(self.state.step), "rank": str(self.recipe.rank)}
        tensors = exported(self.state.learnt_tensors())
        if self.accelerator.is_main_process:
            write(path, tensors, header)


def train(recipe: Recipe, report: Callable[[str], None] = print) -> Path:
    """Train until ``recipe.steps``, continuing from a checkpoint in ``recipe.out``; returns the exported weights.

    What it needs is told before anything loads, and refused if it does not fit.
    """
    _check(recipe)
    quiet()
    write_recipe(recipe)
    accelerator = Accelerator(cpu=recipe.device == "cpu", mixed_precision="no" if recipe.device == "cpu" else "bf16")
    shards = accelerator.num_processes if is_shared(accelerator) else 1
    work = Work(recipe.side, recipe.side, recipe.frames)
    frozen = network_dtype(recipe.device).itemsize
    parts = budget.budget(recipe.base, recipe.family, work, rank=recipe.rank, frozen=frozen, shards=shards,
                          save_memory=recipe.save_memory, eight_bit=recipe.eight_bit)  # fmt: skip
    report(budget.told(parts, recipe.device))
    budget.check(parts, recipe.base, recipe.device)
    sets = SphereSets(recipe.data, recipe.side, recipe.frames)
    kept = SphereSets(recipe.data, recipe.side, recipe.frames, kept=True)
    trainer = Trainer(recipe, accelerator)
    weights = recipe.out / LIMO
    trainer.state.run(
        recipe.steps, recipe.save_every, lambda: trainer.update(sets), lambda: trainer.export(weights), report,
        lambda: trainer.validate(kept),
    )  # fmt: skip
    return weights


def _check(recipe: Recipe) -> None:
    if family_of(recipe.base) != recipe.family:
        raise BadInput(
            f"The model {recipe.base.name} is of the family {family_of(recipe.base)}, expected {recipe.family}.",
            "Name the diffusers folder of FLUX.1-schnell for limo-flux, of Wan2.2-TI2V-5B for limo-wan.",
        )
    if recipe.start not in STARTS:
        raise BadInput(f"The widened input is to start as '{recipe.start}'.", f"Use one of: {', '.join(STARTS)}.")
    if recipe.start == "weights" and not (recipe.base / LIMO).is_file():
        raise BadInput(f"The model {recipe.base.name} has no {LIMO} to go on from.", "Adopt or train weights first.")
    if recipe.rank < 0:
        raise BadInput(f"The rank is {recipe.rank}.", "Use 0 for the whole network, or 4 to 128.")
    if not elements(component(recipe.base, "transformer")):
        raise BadInput(f"The model {recipe.base.name} has no weights of its network.", "Fetch it again.")
