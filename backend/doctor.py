# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine examines itself: versions, devices, memory, models, disk."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from typing import Any

from .devices import pick_device
from .errors import LimelightError
from .models import listing

_PARTS = ("torch", "numpy", "scipy", "safetensors", "OpenEXR", "pillow", "scikit-image", "av", "tifffile",
          "imagecodecs", "typer", "rich")  # fmt: skip


def examine(device: str = "auto") -> dict[str, Any]:
    """All findings; ``missing`` names absent packages, ``problems`` are sentences, none when the engine is well.

    ``device`` is what a job on it would use, None if nothing can be computed there.
    """
    problems = []
    parts = {}
    missing = []
    for name in _PARTS:
        try:
            parts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            problems.append(f"The package {name} is missing: set the engine up again.")
    models = listing()
    problems += [f"The model {m['name']} is {m['state']}: install the extension again." for m in models
                 if m["state"] != "ok"]  # fmt: skip
    used = None
    if "torch" in parts:
        try:
            used = try_device(device)
        except (LimelightError, RuntimeError) as error:
            problems.append(f"The device {device} does not work ({str(error).splitlines()[0].rstrip('.')}).")
    free = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    if free < 1:
        problems.append(f"Only {free:.1f} GB of disk are free for temporary files.")
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "parts": parts,
        "missing": missing,
        "device": used,
        "devices": devices() if "torch" in parts else [],
        "models": models,
        "free_disk_gb": round(free, 1),
        "problems": problems,
    }


def try_device(name: str) -> str:
    """The torch device that ``name`` means, after a small computation there whose result is known."""
    import torch

    used = pick_device(name)
    ones = torch.ones(8, 8, device=used)
    if float((ones @ ones).sum()) != 512.0:
        raise RuntimeError("it computes wrongly")
    return used


def devices() -> list[dict[str, Any]]:
    """The devices a job may name: id, name, memory in GB (None where it cannot be told)."""
    import torch

    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        memory = None
    found: list[dict[str, Any]] = [{"id": "cpu", "name": platform.processor() or "CPU", "memory_gb": memory}]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        entry = {"id": f"cuda:{index}", "name": properties.name, "memory_gb": properties.total_memory / 2**30}
        found.append(entry)
    return found
