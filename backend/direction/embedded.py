# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded network with its trained weights: logits and values of a picture, averaged with its mirror image's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..weights import opened, parameters
from . import bins
from .network import DirectionConfig, DirectionNet, Inputs

WEIGHTS = Path(__file__).resolve().parent / "weights" / "direction_embedded.safetensors"


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network ready to run, and the temperature that its logits are divided by."""

    network: torch.nn.Module
    temperature: float


@lru_cache(maxsize=2)
def load_network(weights: Path = WEIGHTS, device: str = "cpu") -> Loaded:
    """The embedded network; kept in memory until :func:`unload`."""
    missing = "Install the extension again, train the model, or use --model shading."
    with opened(weights, "direction", missing=missing) as file:
        header = file.metadata()
        sizes = json.loads(header["config"])
        sizes["widths"] = tuple(sizes["widths"])
        network = DirectionNet(DirectionConfig(**sizes))
        network.load_state_dict(parameters(file))
        temperature = float(header.get("temperature", 1.0))
    return Loaded(network.eval().to(device), temperature)


def unload() -> None:
    """Free the network's memory."""
    load_network.cache_clear()


@torch.inference_mode()
def predict(loaded: Loaded, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Probabilities of the bins (B, 642) and encoded values (B, 5): a picture and its mirror image agree exactly."""
    device = next(loaded.network.parameters()).device
    answers = []
    for seen in (inputs, inputs.flipped()):
        logits, values = loaded.network(seen.to(device))
        answers.append((logits.cpu(), values.cpu()))
    (logits, values), (turned, again) = answers
    mean = (logits + turned[:, bins.mirrored()]) / 2
    return torch.softmax(mean / loaded.temperature, -1), (values + again) / 2
