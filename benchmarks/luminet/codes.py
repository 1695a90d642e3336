# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether light codes hold the light and intrinsics the scene, and neither the other's share."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.luminet.relighter import Relighter
from ...backend.optics.exposure import srgb_eotf
from ...synthesis.light_mixtures import LightSet, draw_lighting, mix, photograph
from ..limo.statistics import Row
from .methods import to_square

#: Lights among which the right one has to be found, and how often ten others are drawn.
LIGHTS, ROUNDS = 10, 3
#: Lightings of a scene between which intrinsics are compared.
_COMPARED = 4
CODE, COLOUR = "light code", "mean colour"


class Intrinsics(Protocol):
    """What a relighter takes for the scene: feature maps (N, C, H, W) of N pictures, at one scale or at several."""

    maps: list[Tensor]


@runtime_checkable
class HasIntrinsics(Protocol):
    """A relighter that also tells the scene apart from its light."""

    def intrinsics(self, pictures: Tensor) -> Intrinsics:
        """Of pictures (N, 3, S, S)."""


def measure_codes(relighter: Relighter, sets: list[LightSet], seed: int) -> tuple[list[Row], list[Row]]:
    """Rows of retrieval, one for each reference scene and round, and of the intrinsics' cosine, one a scene.

    Retrieval: among the pictures of another scene under ten lightings of the rig, does the one whose code is nearest to
    the reference's have its light? ``top1`` is the share over references and other scenes. "mean colour" asks the same
    of the pictures' mean light, whose direction in colour space is its chromaticity.
    Intrinsics: mean cosine over pixels and scales, ``across lightings`` of one scene, and ``across scenes`` under one
    lighting, which must be lower: features that are the same for every picture say nothing.
    """
    present = torch.stack([s.present for s in sets]).all(0)
    found, alike = [], []
    for number in range(ROUNDS):
        rng = np.random.default_rng([seed, 2, number])
        lightings = [torch.from_numpy(draw_lighting(rng, present, own=False)) for _ in range(LIGHTS)]
        pictures = torch.stack([_under(s, lightings, relighter.size) for s in sets])
        codes = torch.stack([relighter.light_codes(p).float().cpu() for p in pictures])
        colours = srgb_eotf(pictures).mean((3, 4))
        shares = {CODE: retrieve(codes), COLOUR: retrieve(colours)}
        found += [
            Row(f"{s.seed}/{number}", str(s.seed), {name: {"top1": float(v[i])} for name, v in shares.items()}, {})
            for i, s in enumerate(sets)
        ]
        if number == 0 and isinstance(relighter, HasIntrinsics):
            alike = _intrinsics(relighter, sets, pictures[:, :_COMPARED])
    return found, alike


def retrieve(codes: Tensor) -> Tensor:
    """Share (N,) of right answers for the references of each scene, by cosine, of codes (N scenes, L lights, C)."""
    unit = F.normalize(codes, dim=-1)
    nearest = torch.einsum("ikc,jlc->ijkl", unit, unit).argmax(-1)
    right = (nearest == torch.arange(codes.shape[1])).float().mean(-1)
    others = 1 - torch.eye(len(codes))
    return (right * others).sum(1) / others.sum(1)


def _under(room: LightSet, lightings: list[Tensor], size: int) -> Tensor:
    """The room's pictures (L, 3, size, size) under each lighting."""
    return torch.stack([to_square(photograph(mix(room.lights, lighting)), size) for lighting in lightings])


def _intrinsics(relighter: HasIntrinsics, sets: list[LightSet], pictures: Tensor) -> list[Row]:
    """One row a scene, compared with itself under other lightings and with the next scene under the same."""
    # The first scene is met again after the last.
    maps = [_maps(relighter, pictures[0])]
    rows = []
    for i, room in enumerate(sets):
        maps.append(_maps(relighter, pictures[(i + 1) % len(sets)]))
        here, there = maps[-2:]
        pairs = list(combinations(range(pictures.shape[1]), 2))
        same = np.mean([_cosine([m[a] for m in here], [m[b] for m in here]) for a, b in pairs])
        other = np.mean([_cosine([m[a] for m in here], [m[a] for m in there]) for a in range(pictures.shape[1])])
        scores: dict[str, Any] = {"intrinsics": {"across lightings": float(same), "across scenes": float(other)}}
        rows.append(Row(str(room.seed), str(room.seed), scores, {}))
        maps.pop(0)
    return rows


def _maps(relighter: HasIntrinsics, pictures: Tensor) -> list[Tensor]:
    return [m.float().cpu() for m in relighter.intrinsics(pictures).maps]


def _cosine(one: list[Tensor], other: list[Tensor]) -> float:
    """Mean over scales of the mean cosine between pixels' vectors of maps (C, H, W)."""
    return float(torch.stack([F.cosine_similarity(a, b, dim=0).mean() for a, b in zip(one, other, strict=True)]).mean())
