# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model will need, told by its files' headers, and what a device has free: compared before anything loads."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import psutil
import torch
from safetensors import SafetensorError, safe_open

#: A component's own weights: the copies in other precisions that some folders hold beside them are not loaded.
_WEIGHTS = re.compile(r"(diffusion_pytorch_model|model)(-\d+-of-\d+)?\.safetensors")


def component(folder: Path, name: str) -> list[Path]:
    """The weight files of one component."""
    return [path for path in sorted((folder / name).glob("*.safetensors")) if _WEIGHTS.fullmatch(path.name)]


def elements(paths: Collection[Path]) -> int:
    """How many numbers safetensors files hold, by their headers; a file that cannot be read counts nothing."""
    total = 0
    for path in paths:
        try:
            with safe_open(path, "pt") as file:
                names = list(file.keys())
                total += sum(int(torch.Size(file.get_slice(name).get_shape()).numel()) for name in names)
        except (OSError, SafetensorError):
            continue
    return total


def free(device: str) -> int:
    """Bytes that a device has free for us: on a GPU also what torch keeps for reuse."""
    if device == "cpu":
        return int(psutil.virtual_memory().available)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept
