# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors on a fixed validation set, and the temperature that makes the spread honest."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...backend.devices import autocast
from ...backend.direction import bins
from ...backend.direction.key_light import DOMINANT
from .augment import Batch, plain
from .examples import Shards


@torch.no_grad()
def answers(net: nn.Module, examples: Shards, batch: int = 64) -> tuple[Tensor, Batch]:
    """Logits (N, 642), or vectors (N, 3), averaged over both mirror images, and what was true.

    Every example is asked for the whole view and for one probe, by true depth and by a guess of it in turn.
    """
    device = next(net.parameters()).device
    found, batches = [], []
    for start in range(0, len(examples), batch):
        picked = examples.pick(torch.arange(start, min(start + batch, len(examples))))
        count, points = picked["ratio"].shape
        for asked in (torch.zeros(count, dtype=torch.long), 1 + torch.arange(count) % (points - 1)):
            wanted = plain(picked, asked, torch.arange(count) // (points - 1) % 2)
            with autocast(device):
                there, turned = (net(b.to(device).inputs)[0].float().cpu() for b in (wanted, wanted.flipped()))
            back = turned * torch.tensor([-1.0, 1, 1]) if turned.shape[-1] == 3 else turned[:, bins.mirrored()]
            found.append((there + back) / 2)
            batches.append(wanted)
    return torch.cat(found), Batch.joined(batches)


def errors(answer: Tensor, truth: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Angular error and expected error (N) each in degrees; a vector answer expects nothing (NaN)."""
    if answer.shape[-1] == 3:
        guess = torch.nn.functional.normalize(answer, dim=-1)
        return bins.angle_deg(guess, truth), torch.full_like(guess[:, 0], torch.nan)
    guess, expected = bins.best_guess(torch.softmax(answer / temperature, -1))
    return bins.angle_deg(guess, truth), expected


def validate(net: nn.Module, examples: Shards) -> dict[str, float]:
    """Mean and median error in degrees, of all and where one light dominates; and the mean expected error.

    What no example tells is left out.
    """
    answer, truth = answers(net, examples)
    error, expected = errors(answer, truth.towards)
    strong = error[truth.ratio >= DOMINANT]
    found = {
        "mean": float(error.mean()),
        "median": float(error.median()),
        "mean_dominant": float(strong.mean()),
        "median_dominant": float(strong.median()),
        "expected": float(expected.mean()),
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def fit_temperature(answer: Tensor, truth: Tensor) -> float:
    """The temperature at which the mean expected error equals the mean observed one: bisection in log scale."""
    low, high = 0.25, 8.0
    for _ in range(24):
        middle = (low * high) ** 0.5
        error, expected = errors(answer, truth, middle)
        low, high = (middle, high) if float(expected.mean()) < float(error.mean()) else (low, middle)
    return (low * high) ** 0.5
