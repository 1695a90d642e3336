# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's models as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from (line.rstrip("\r\n") for line in file if not line.startswith("#"))


def cameras(path: Path) -> Iterator[tuple[Any, ...]]:
    """Number, model, width, height and parameters of each camera."""
    for line in _lines(path):
        if line.strip():
            number, model, width, height, *rest = line.split()
            yield int(number), model, int(width), int(height), tuple(map(float, rest))


def images(path: Path) -> Iterator[tuple[Any, ...]]:
    """Name, quaternion, shift and camera of each image; its second line, the keypoints, may be empty."""
    lines = _lines(path)
    for line in lines:
        parts = line.split(maxsplit=9)
        if not parts:
            continue
        yield parts[9].strip(), tuple(map(float, parts[1:5])), tuple(map(float, parts[5:8])), int(parts[8])
        next(lines, None)


def points(path: Path) -> Tensor:
    """(P, 6): position and colour 0..255."""
    rows = [[float(x) for x in line.split(maxsplit=7)[1:7]] for line in _lines(path) if line.strip()]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
