# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads with all their maps, of whose texture a random photo would show a part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from ...backend.errors import BadInput
from ...backend.relightify import head
from ...backend.relightify.maps import TEXTURE
from ...backend.relightify.records import PartialTexture
from ...synthesis.face_masks import draw_mask
from ...synthesis.samples import EVALUATION_SEEDS

#: Least and most hidden part of the skin.
HIDDEN = (0.3, 0.7)
_REMEDY = f"'synthesize faces --seed {EVALUATION_SEEDS} --count 96' makes heads for evaluation."


@dataclass(frozen=True, eq=False)
class Case:
    """A head: its true ``maps`` (10, 256, 256), the ``known`` part of its texture, the index of its skin ``tone``;
    ``points`` (V, 3) metres, head frame."""

    name: str
    tone: int
    maps: Tensor
    known: PartialTexture
    points: Tensor


def count_heads(folder: Path) -> int:
    """Heads in a folder's shards, none of which training may have seen."""
    total = 0
    for path in shards(folder):
        with safe_open(path, "pt") as file:
            seeds = file.get_tensor("seed")
        if int(seeds.min()) < EVALUATION_SEEDS:
            raise BadInput(f"Seed {int(seeds.min())} in {folder} belongs to training.", _REMEDY)
        total += len(seeds)
    return total


def read_cases(folder: Path, limit: int, seed: int) -> Iterator[Case]:
    """The heads in order, ``limit`` at most if it is not 0; the same ``seed`` hides the same parts of them."""
    model, number = head.load(), 0
    for path in shards(folder):
        with safe_open(path, "pt") as file:
            seeds, tones = file.get_tensor("seed").tolist(), file.get_tensor("tone").tolist()
            for row, (name, tone) in enumerate(zip(seeds, tones, strict=True)):
                if limit and number >= limit:
                    return
                identity, expression = (file.get_slice(key)[row].float() for key in ("identity", "expression"))
                maps = file.get_slice("maps")[row].float() / 255
                mask = draw_mask(np.random.default_rng([seed, number]), model, HIDDEN)
                known = PartialTexture(maps[TEXTURE] * mask, mask)
                yield Case(str(name), int(tone), maps, known, model.points(identity, expression))
                number += 1


def mean_maps(folder: Path) -> tuple[Tensor, int]:
    """The sum of all heads' maps (10, 256, 256), for means of all but one, and how many there are."""
    total, count = torch.zeros(()), 0
    for path in shards(folder):
        with safe_open(path, "pt") as file:
            for row in range(file.get_slice("maps").get_shape()[0]):
                total, count = total + file.get_slice("maps")[row].float() / 255, count + 1
    return total, count


def shards(folder: Path) -> list[Path]:
    """The files of heads in a folder, in order."""
    found = sorted(folder.glob("faces_*.safetensors"))
    if not found:
        raise BadInput(f"{folder} holds no heads.", _REMEDY)
    return found
