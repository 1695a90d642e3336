# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines on this computer that share its cores and GPUs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ...bridge.process import Engine
from ..devices import pick_device

ROOT = Path(__file__).resolve().parents[2]


def engines(workers: int, device: str = "auto") -> list[Engine]:
    """So many engines, to be stopped by the caller; each starts with its first job.

    On processors they share the cores evenly. On GPUs, ``auto`` and ``cuda`` spread them over all that there are, so
    that a model is loaded once a device if there are as many engines as GPUs; ``cuda:N`` keeps them on one.
    """
    if workers == 1:
        return [Engine(Path(sys.executable), ROOT, device=device)]
    threads = max(1, (os.cpu_count() or 1) // workers)
    return [Engine(Path(sys.executable), ROOT, device=name, threads=threads) for name in spread(workers, device)]


def spread(workers: int, device: str) -> list[str]:
    """The device of each of so many engines."""
    if device not in ("auto", "cuda") or pick_device(device) == "cpu":
        return [device] * workers
    import torch

    return [f"cuda:{number % torch.cuda.device_count()}" for number in range(workers)]
