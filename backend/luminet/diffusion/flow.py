# SPDX-License-Identifier: GPL-3.0-or-later
"""Inverting a rectified flow under control (RF-Inversion, arXiv 2410.10792), for any velocity field.

A flow runs along x_σ = (1 − σ) x₀ + σ ε from the picture (σ = 0) to noise (σ = 1), with velocity dx/dσ = ε − x₀, which
the field predicts. Inversion follows it from a picture to its noise, pulled towards a given noise by γ; sampling goes
back, pulled towards the picture by η in its first steps. Both pulls replace a part of the field's velocity by that of
the straight line to the goal, (ε − x) / (1 − σ) or (x − x₀) / σ: an LQR controller. With η = 1 throughout the picture
comes back exactly; with η = γ = 0 it is plain inversion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor


class VelocityField(Protocol):
    """The velocity dx/dσ (N, …) at samples x (N, …) of noise level σ in [0, 1]."""

    def __call__(self, x: Tensor, sigma: float, /) -> Tensor: ...


@dataclass(frozen=True)
class Controller:
    """How much either way is pulled. η acts on sampling's steps ``first`` to before ``end`` (methods.md §3.3)."""

    eta: float = 0.95
    gamma: float = 0.5
    first: int = 0
    end: int = 20


#: Steps of the clean-up; the paper's η is .99, that of its released code .95.
STEPS = 28


def invert(
    field: VelocityField,
    picture: Tensor,
    noise: Tensor,
    sigmas: Sequence[float],
    controller: Controller,
    after_step: Callable[[], None] = lambda: None,
) -> Tensor:
    """Follow a picture (N, …) to its noise along ``sigmas`` backwards: they fall from 1 to 0, as samplers list them."""
    x = picture
    rising = list(reversed(sigmas))
    for now, then in pairwise(rising):
        x = x + (then - now) * torch.lerp(field(x, now), (noise - x) / (1 - now), controller.gamma)
        after_step()
    return x


def regenerate(
    field: VelocityField,
    start: Tensor,
    picture: Tensor,
    sigmas: Sequence[float],
    controller: Controller,
    after_step: Callable[[], None] = lambda: None,
) -> Tensor:
    """Sample from noise (N, …) along falling ``sigmas``, pulled towards the picture."""
    x = start
    for index, (now, then) in enumerate(pairwise(sigmas)):
        eta = controller.eta if controller.first <= index < controller.end else 0.0
        x = x + (then - now) * torch.lerp(field(x, now), (x - picture) / now, eta)
        after_step()
    return x
