# SPDX-License-Identifier: GPL-3.0-or-later
"""The light ratio of a small picture under another light code: the best of several candidates, or one of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import LimelightError
from .relighter import Relighter

#: Candidates by quality; a relighter without chance may return one for all of them.
CANDIDATES = {"draft": 1, "normal": 2, "high": 6}
#: Steps of the embedded model, which gains nothing by more and gets blotchy (its model card), and denoising steps of a
#: large one; 50 is the paper's.
STEPS = {"draft": 1, "normal": 1, "high": 2}
LARGE_STEPS = {"draft": 10, "normal": 25, "high": 50}
#: Bound of the natural logarithm of relit over source radiance, about 4.3 stops either way.
BOUND = 3.0
#: One minus the cosine of two codes that show the same light.
SAME = 1e-5


@dataclass(frozen=True, eq=False)
class Relighting:
    """ratio: (3, S, S) natural logarithm of relit over source radiance, linear Rec.709, within ±:data:`BOUND`;
    ``source`` (16,) the light code of the picture before."""

    ratio: Tensor
    source: Tensor


def estimate(
    picture: Tensor,
    target: Tensor,
    relighter: Relighter,
    *,
    strength: float = 1.0,
    quality: str = "normal",
    steps: int | None = None,
    seed: int = 0,
    take: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Relighting:
    """Bring the light of ``picture`` (3, S, S), display values, towards the code ``target`` (16,).

    Up to ``strength`` 1 the light goes along the sphere of codes, beyond it the ratio grows in the logarithm.
    ``take`` n is the n-th candidate, 0 the one whose code comes nearest. ``steps`` are by
    default the embedded model's for this quality. ``progress`` may raise to cancel.
    """
    source = light_code(picture, relighter)
    if strength == 0 or distance(source, target) < SAME:
        return Relighting(torch.zeros_like(picture), source)
    aim = slerp(source, target, min(strength, 1.0))
    seeds = [seed + take - 1] if take else [seed + i for i in range(CANDIDATES[quality])]
    found = relighter.relight(picture, aim, steps=steps or STEPS[quality], seeds=seeds, progress=progress)
    best = int((found.codes.cpu().float() @ aim).argmax())
    ratio = _finite(found.ratio[best].cpu().float())
    return Relighting((ratio * max(strength, 1.0)).clamp(-BOUND, BOUND), source)


def light_code(picture: Tensor, relighter: Relighter) -> Tensor:
    """The light of a picture (3, S, S), display values: a unit vector (16,)."""
    return _finite(relighter.light_codes(picture[None])[0].cpu().float())


def distance(a: Tensor, b: Tensor) -> float:
    """One minus the cosine of two light codes (16,)."""
    return max(0.0, 1.0 - float(torch.cosine_similarity(a.double(), b.double(), dim=0)))


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The unit vector (N,) at ``share`` of the way from ``a`` to ``b`` along the great circle."""
    a, b = a.double(), b.double()
    angle = math.acos(float((a @ b).clamp(-1, 1)))
    if math.sin(angle) < 1e-3:
        # Equal, or opposite with no one great circle between them: the nearer end.
        mixed = a if share < 0.5 else b
    else:
        mixed = math.sin((1 - share) * angle) * a + math.sin(share * angle) * b
    return (mixed / mixed.norm()).float()


def _finite(values: Tensor) -> Tensor:
    if not bool(torch.isfinite(values).all()):
        raise LimelightError("The relighting model gave numbers that are not finite.", "Try the CPU or another model.")
    return values
