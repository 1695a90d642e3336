# SPDX-License-Identifier: GPL-3.0-or-later
"""The variational relighting generator (methods.md §3.4) in small, on this house's own rooms; resumable.

``python -m limelight.training.luminet.generator --data LIGHT_SETS --out RUN --steps N`` trains it, says how varied its
lightings are, and with ``--draw N`` writes relit pairs of N rooms, which :mod:`.curation` can sift.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...backend.console import run
from ...backend.devices import pick_device
from ...backend.limo.output import write_json
from ...backend.luminet.embedded import WEIGHTS as LUMINET
from ...backend.luminet.embedded import load_relighter
from ...backend.luminet.network import Encoder
from ...synthesis.light_mixtures import draw_lighting, mix, photograph
from ..resumable import Entry, write_recipe
from ..trainer import Recipe as BaseRecipe
from ..trainer import Trainer
from .diversity import Diversity, dead_share, spread
from .examples import Batch, LightSets
from .generator_network import SIZE, RoomGenerator, load_generator
from .losses import picture_loss

WEIGHTS = "room_generator.safetensors"
#: Lightings drawn for a scene (methods.md §3.4).
LIGHTINGS = 7
#: Weights of the perceptual distance and, a nat each, of the divergence, beside :func:`.losses.picture_loss`.
_PERCEPTUAL, _DIVERGENCE = 0.5, 1e-4
#: The divergence's weight rises for this share of all steps: at once, it would silence a latent not yet used.
_RISE = 0.2
#: How often light comes from the picture of another room under that light: what tells rooms apart is no light.
_FOREIGN = 0.5
#: Scenes by which diversity is measured at most.
_MEASURED = 32


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """As every recipe; ``data`` holds light sets, ``features`` the LumiNet weights of the perceptual distance.

    ``perceptual`` 0 does without these.
    """

    steps: int = 4000
    batch: int = 16
    learning_rate: float = 1e-3
    warmup: int = 100
    ema: float = 0.995
    save_every: int = 200
    features: Path = LUMINET
    perceptual: float = _PERCEPTUAL


class Perceptual(nn.Module):
    """Distance of display pictures on features that stay fixed: those of LumiNet's own encoder, as no VGG or LPIPS
    weights ship.

    Its unit vectors at four scales are compared as LPIPS compares its own (Zhang et al. 2018). They are made to
    forget light, so that they tell structure; the light code's cosine tells the light.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)

    def forward(self, found: Tensor, truth: Tensor) -> Tensor:
        seen = self.encoder(torch.cat([found, truth]))
        structure = [(a - b).square().sum(1).mean() for a, b in (m.chunk(2) for m in seen.maps)]
        code, wanted = seen.code.chunk(2)
        return torch.stack(structure).mean() + (1 - (code * wanted).sum(1)).mean()


class GeneratorLoss(nn.Module):
    """Reconstruction with the parts of different pictures, perceptual distance, divergence from the prior."""

    def __init__(self, net: RoomGenerator, perceptual: Perceptual | None, weight: float = _PERCEPTUAL) -> None:
        super().__init__()
        self.net, self.perceptual, self.weight = net, perceptual, weight

    def forward(self, batch: Batch, divergence: float = 1.0) -> Tensor:
        """The target is made of the source's scene and of its own light, or that of another room under it; the source
        of the target's scene and its own light. ``divergence`` scales the KL term."""
        scene, light = self.net.posterior(torch.cat([batch.source, batch.target, batch.reference]))
        source, target, _ = scene.sample().chunk(3)
        own, code, foreign = light.sample().chunk(3)
        which = torch.rand(len(code), 1, device=code.device) < _FOREIGN
        lights = torch.cat([torch.where(which, foreign, code), own])
        found, truth = self.net.generator(torch.cat([source, target]), lights), torch.cat([batch.target, batch.source])
        loss = picture_loss(found, truth)
        if self.perceptual is not None:
            loss = loss + self.weight * self.perceptual(found, truth)
        nats = scene.divergence().sum() + light.divergence().sum()
        return loss + _DIVERGENCE * divergence * nats


class GeneratorTrainer(Trainer):
    """The house's trainer on the generator and its posterior."""

    def __init__(self, recipe: Recipe) -> None:
        perceptual = Perceptual(load_relighter(recipe.features).network.encoder) if recipe.perceptual else None
        net = load_generator(recipe.start) if recipe.start is not None else RoomGenerator()
        super().__init__(GeneratorLoss(net, perceptual, recipe.perceptual), replace(recipe, start=None))

    def loss(self, batch: Batch) -> Tensor:
        return self.net(batch, min(1.0, self.step / max(1.0, _RISE * self.recipe.steps)))

    def export(self, path: Path, header: dict[str, str]) -> None:
        """The averaged weights of generator and posterior in half precision."""
        self.save_weights(path, {name.removeprefix("net."): v for name, v in self.average.items()}, header)


def real_lightings(data: LightSets, seed: int, most: int = _MEASURED) -> Tensor:
    """Scenes under lightings drawn as for training, exact: (scenes, 7, 3, 64, 64) display values."""
    rng = np.random.default_rng(seed)
    scenes = []
    for index, present in enumerate(data.present[:most]):
        drawn = [torch.from_numpy(draw_lighting(rng, present, own=True)) for _ in range(LIGHTINGS)]
        scenes.append(torch.stack([photograph(mix(data.lights(index), w)) for w in drawn]).movedim(-1, 1))
    return torch.stack(scenes)


@torch.inference_mode()
def validate(net: RoomGenerator, real: Tensor, seed: int = 0) -> tuple[Diversity, dict[str, float]]:
    """Diversity, and the RMSE of pictures made of one picture's scene and another's light; ``real`` (scenes, 7, …)."""
    scene, light = net.posterior(real.flatten(0, 1))
    first = scene.mean.unflatten(0, real.shape[:2])[:, 0]
    made = net.generator(first.repeat_interleave(LIGHTINGS, 0), light.mean).unflatten(0, real.shape[:2])
    found = Diversity(
        drawn=spread(net.relight(first, LIGHTINGS, seed)),
        real=spread(real),
        dead_scene=dead_share(scene.divergence()),
        dead_light=dead_share(light.divergence()),
    )
    return found, {
        "relit": float((made - real)[:, 1:].square().mean().sqrt()),
        # A generator that shows every scene's mean lighting would reach this.
        "mean_light": float((real.mean(1, keepdim=True) - real)[:, 1:].square().mean().sqrt()),
    }


def train(recipe: Recipe, report: Callable[[str], None] = print) -> Path:
    """Train until ``recipe.steps``, on from a checkpoint in ``recipe.out``; returns the weights.

    ``log.jsonl`` gets the loss and, at every save, diversity and errors on scenes that are not trained on, which
    ``diversity.json`` tells at the end.
    """
    data, held = (LightSets(recipe.data, validation=side, size=SIZE) for side in (False, True))
    write_recipe(recipe)
    torch.manual_seed(recipe.seed)
    trainer = GeneratorTrainer(recipe)
    real = real_lightings(held, 0).to(trainer.accelerator.device)

    def draw(number: int) -> Batch:
        return data.draw(recipe.batch, np.random.default_rng([recipe.seed, number]))

    def measured(loss: GeneratorLoss) -> Iterator[Entry]:
        found, errors = validate(loss.net, real)
        yield {**errors, **told(found)}

    header = {"config": json.dumps(trainer.plain.net.config.to_dict())}
    weights = trainer.fit(draw, measured, recipe.out / WEIGHTS, header, report)
    found, errors = validate(load_generator(weights).to(real.device), real)
    write_json(recipe.out / "diversity.json", {**told(found), **errors, "warnings": found.warnings})
    for warning in found.warnings:
        report(warning)
    return weights


def told(found: Diversity) -> dict[str, float]:
    """As it is logged."""
    return {"diversity": found.relative, **asdict(found)}


@torch.inference_mode()
def write_pairs(net: RoomGenerator, data: LightSets, folder: Path, count: int, seed: int = 0) -> int:
    """The data's first ``count`` rooms, each under seven drawn lights, as PNG; ``pairs.json`` lists the pairs.

    Returns the number of pairs.
    """
    scene, _ = net.posterior(real_lightings(data, seed, count)[:, 0])
    pairs: list[tuple[str, str]] = []
    for number, lightings in enumerate(net.relight(scene.mean, LIGHTINGS, seed)):
        names = [f"room_{number:05d}/light_{i}.png" for i in range(LIGHTINGS)]
        (folder / names[0]).parent.mkdir(parents=True, exist_ok=True)
        for name, picture in zip(names, lightings, strict=True):
            pixels = (picture.movedim(0, -1) * 255).round().to(torch.uint8).numpy()
            Image.fromarray(pixels).save(folder / name)
        pairs += combinations(names, 2)
    (folder / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
    return len(pairs)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Train a variational generator of relit rooms.")
    parser.add_argument("--data", type=Path, required=True, help="light sets of 'synthesize lights'")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--features", type=Path, default=LUMINET, help="LumiNet weights of the perceptual distance")
    parser.add_argument("--perceptual", type=float, default=_PERCEPTUAL, help="its weight; 0 needs no features")
    parser.add_argument("--draw", type=int, default=0, help="write relit pairs of so many rooms into OUT/pairs")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    def work(report: Any) -> dict[str, Any]:
        recipe = Recipe(
            data=given.data, out=given.out, steps=given.steps, batch=given.batch, features=given.features,
            perceptual=given.perceptual, device=pick_device(given.device), seed=given.seed,
        )  # fmt: skip
        weights = train(recipe, report.log)
        rooms = LightSets(given.data, validation=False, size=SIZE)
        pairs = write_pairs(load_generator(weights), rooms, given.out / "pairs", given.draw) if given.draw else 0
        return {"weights": weights, "pairs": pairs}

    run(work, False, lambda answer: print(f"{answer['weights']}, {answer['pairs']} pairs"), given.device)


if __name__ == "__main__":
    main()
