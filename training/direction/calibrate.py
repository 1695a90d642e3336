# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the spread honest: fit the temperature on the validation shards and write it into the weights' header."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from ...backend.weights import write
from .examples import Shards
from .prepare import by_kind
from .validate import answers, errors, fit_temperature


def calibrate(network: nn.Module, weights: Path, data: Path, report: Callable[[str], None] = print) -> float:
    """Rewrite the ``weights`` of a network with the temperature at which expected and observed error agree; returns it.

    Captured and traced places count alike, however many of each there are.
    """
    found = [answers(network, Shards(paths)) for paths in by_kind(data, validation=True).values()]
    count = min((len(logits) for logits, _ in found), default=0)
    if count == 0:
        return 1.0
    spread = [torch.linspace(0, len(logits) - 1, count).long() for logits, _ in found]
    logits = torch.cat([answer[rows] for (answer, _), rows in zip(found, spread, strict=True)])
    truth = torch.cat([batch.towards[rows] for (_, batch), rows in zip(found, spread, strict=True)])
    temperature = fit_temperature(logits, truth)
    error, expected = errors(logits, truth, temperature)
    report(
        f"temperature {temperature:.3f}: expected {float(expected.mean()):.1f}°, observed {float(error.mean()):.1f}°"
    )
    with safe_open(weights, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = {**file.metadata(), "temperature": f"{temperature:.4f}", "mean_direction": json.dumps(mean(data))}
    write(weights, tensors, header)
    return temperature


def mean(data: Path) -> list[float]:
    """The mean of the training directions, captured and traced places alike: a baseline of the benchmark."""
    kinds = [torch.cat([load_file(p)["towards"][:, 0] for p in paths])
             for paths in by_kind(data, validation=False).values()]  # fmt: skip
    return torch.stack([towards.mean(0) for towards in kinds]).mean(0).tolist()
