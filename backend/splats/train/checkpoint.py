# SPDX-License-Identifier: GPL-3.0-or-later
"""A training that may be broken off at any time: all of it in one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...errors import BadInput
from ..shading.visibility import Visibility
from .density import Density
from .learnt import MOMENTS, Learnt


def save(path: Path, learnt: Learnt, density: Density, visibility: Visibility | None, header: dict[str, Any]) -> None:
    """Write parameters, Adam's memory, watched gradients and baked visibility; the file appears whole or not at all."""
    state: dict[str, Tensor] = {"density.total": density.total, "density.seen": density.seen}
    counts: dict[str, float] = {}
    for name, value in learnt.values.items():
        state[f"value.{name}"] = value.detach()
        state |= {f"{key}.{name}": moment for key, moment in learnt.moments(name).items()}
        counts[name] = float(learnt.optimiser.state.get(value, {}).get("step", 0.0))
    if visibility is not None:
        state |= {"visibility.grid": visibility.grid, "visibility.low": visibility.low}
        header = {**header, "cell": visibility.cell}
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    told = json.dumps({**header, "counts": counts})
    save_file({k: v.cpu().contiguous() for k, v in state.items()}, partial, {"limelight": told})
    partial.replace(path)


def header(path: Path) -> dict[str, Any]:
    """What :func:`save` was told, without the arrays."""
    try:
        with safe_open(path, "pt") as file:
            return dict(json.loads(file.metadata()["limelight"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"The checkpoint {path} is damaged.", "Start again with --overwrite.") from error


def load(path: Path, device: str) -> tuple[Learnt, Density, Visibility | None]:
    """A training as it was saved."""
    told = header(path)
    with safe_open(path, "pt", device=device) as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    values = {name[6:]: value for name, value in state.items() if name.startswith("value.")}
    environment = values.pop("environment")
    learnt = Learnt(values, environment)
    for name, value in learnt.values.items():
        moments = {key: state[f"{key}.{name}"] for key in MOMENTS if f"{key}.{name}" in state}
        if moments:
            learnt.optimiser.state[value] = {"step": torch.tensor(told["counts"][name]), **moments}
    density = Density(learnt, int(told["most"]))
    density.total, density.seen = state["density.total"], state["density.seen"]
    seen = None
    if "visibility.grid" in state:
        seen = Visibility(state["visibility.grid"], state["visibility.low"], float(told["cell"]))
    return learnt, density, seen
