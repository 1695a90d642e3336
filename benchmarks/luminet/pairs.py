# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers with their truth, made of light sets: within a scene, and from one scene to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backend.errors import BadInput
from ...synthesis.light_mixtures import LightSet, draw_lighting, light_set_files, mix, photograph, read_light_set
from ...synthesis.samples import EVALUATION_SEEDS

#: Within a scene the reference is the truth itself, and baselines that copy its colours know a lot; lights may be the
#: room's own. Across scenes both stand under the rig with the same weights.
KINDS = ("same-scene", "cross-scene")


@dataclass(frozen=True, eq=False)
class Pair:
    """One transfer: display pictures (S, S, 3) in [0, 1], each exposed by itself as a camera would.

    source: scene A under light i. reference: scene A or B under light j. truth: scene A under j. albedo: (S, S, 3)
    of A. solid: (S, S) bool, the pixels of A that show a surface.
    """

    name: str
    kind: str
    scene: str
    source: Tensor
    reference: Tensor
    truth: Tensor
    albedo: Tensor
    solid: Tensor


def read_sets(folder: Path) -> list[LightSet]:
    """The light sets of a folder; at least two, of equal size, none of which training may have seen."""
    sets = [read_light_set(path) for path in light_set_files(folder)]
    seen = [s.seed for s in sets if s.seed < EVALUATION_SEEDS]
    remedy = f"'synthesize lights --seed {EVALUATION_SEEDS} --count 40' makes a set for evaluation."
    if seen:
        raise BadInput(f"Seed {seen[0]} in {folder} belongs to training.", remedy)
    if len(sets) < 2:
        raise BadInput(f"{folder} holds {len(sets)} light set, at least 2 are needed.", remedy)
    if len({s.lights.shape for s in sets}) > 1:
        raise BadInput(f"The light sets in {folder} have different sizes.", "Keep sets of one size in a folder.")
    return sets


def draw_pairs(sets: list[LightSet], kind: str, count: int, seed: int) -> Iterator[Pair]:
    """``count`` pairs of a kind of :data:`KINDS`, spread evenly over the scenes; the same seed gives the same pairs."""
    same = kind == "same-scene"
    for number in range(count):
        # Each pair has a generator of its own, so that more pairs leave the first ones as they are.
        rng = np.random.default_rng([seed, KINDS.index(kind), number])
        place = number % len(sets)
        here = sets[place]
        there = here if same else sets[(place + int(rng.integers(1, len(sets)))) % len(sets)]
        before = photograph(mix(here.lights, _lighting(rng, here.present, own=same)))
        light = _lighting(rng, here.present & there.present, own=same)
        truth = photograph(mix(here.lights, light))
        reference = truth if same else photograph(mix(there.lights, light))
        name = f"{kind} {number}: {here.seed}" + ("" if same else f" like {there.seed}")
        yield Pair(
            name, kind, str(here.seed), before, reference, truth, here.albedo.float(), torch.isfinite(here.depth)
        )


def _lighting(rng: np.random.Generator, present: Tensor, own: bool) -> Tensor:
    return torch.from_numpy(draw_lighting(rng, present, own))
