# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the maps and how much noise there is at a time t in 0..1, from clean to noise.

The cosine schedule (Nichol & Dhariwal 2021), shifted to more noise for large smooth pictures (Hoogeboom et al. 2023,
eq. 8): over many pixels of one colour noise averages out, and a network would be shown the answer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: A grid of 64 pixels carries as much of a head's smooth maps as one of 256: the ratio that the signal is shifted by.
SHIFT = 0.25


def signal_and_noise(t: Tensor) -> tuple[Tensor, Tensor]:
    """(a, s) with a² + s² = 1 of times t, any shape: what is seen at t is a · clean + s · noise."""
    angle = t * (math.pi / 2)
    signal, noise = SHIFT * angle.cos(), angle.sin()
    length = (signal**2 + noise**2).sqrt()
    return (signal / length).clamp(min=0), noise / length


def times(steps: int) -> list[float]:
    """Times (steps + 1) of a run from noise to clean."""
    return torch.linspace(1, 0, steps + 1).tolist()
