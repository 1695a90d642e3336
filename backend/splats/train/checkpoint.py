# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning that may be broken off at any time: all of it in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...errors import BadInput
from ...weights import write

#: In a run's folder.
NAME = "checkpoint.safetensors"


def save(path: Path, state: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors by name, and what is told of them; the file appears whole or not at all."""
    write(path, state, {"limelight": json.dumps(header)})


def header(path: Path) -> dict[str, Any]:
    """What :func:`save` was told, without the tensors."""
    try:
        with safe_open(path, "pt") as file:
            return dict(json.loads(file.metadata()["limelight"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"The checkpoint {path} is damaged.", "Start again with --overwrite.") from error


def load(path: Path, device: str) -> dict[str, Tensor]:
    """The tensors as they were saved."""
    with safe_open(path, "pt", device=device) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
