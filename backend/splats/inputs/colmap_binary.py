# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's models as bytes, little-endian."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

#: Name and count of parameters by the model's number.
_MODELS = {0: ("SIMPLE_PINHOLE", 3), 1: ("PINHOLE", 4), 2: ("SIMPLE_RADIAL", 4), 3: ("RADIAL", 5), 4: ("OPENCV", 8),
           5: ("OPENCV_FISHEYE", 8), 6: ("FULL_OPENCV", 12), 7: ("FOV", 5), 8: ("SIMPLE_RADIAL_FISHEYE", 4),
           9: ("RADIAL_FISHEYE", 5), 10: ("THIN_PRISM_FISHEYE", 12)}  # fmt: skip


def _take(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack("<" + layout, file.read(struct.calcsize("<" + layout)))


def cameras(path: Path) -> Iterator[tuple[Any, ...]]:
    """Number, model, width, height and parameters of each camera."""
    with path.open("rb") as file:
        for _ in range(_take(file, "Q")[0]):
            number, model, width, height = _take(file, "iiQQ")
            name, count = _MODELS[model]
            yield number, name, width, height, _take(file, f"{count}d")


def images(path: Path) -> Iterator[tuple[Any, ...]]:
    """Name, quaternion, shift and camera of each image; keypoints are passed over."""
    with path.open("rb") as file:
        for _ in range(_take(file, "Q")[0]):
            _, *pose, camera = _take(file, "i7di")
            name = bytearray()
            while (byte := _take(file, "c")[0]) != b"\0":
                name += byte
            file.seek(24 * _take(file, "Q")[0], 1)
            yield name.decode("utf-8"), tuple(pose[:4]), tuple(pose[4:]), camera


def points(path: Path) -> Tensor:
    """(P, 6): position and colour 0..255."""
    rows = []
    with path.open("rb") as file:
        for _ in range(_take(file, "Q")[0]):
            _, x, y, z, red, green, blue, _, track = _take(file, "Q3d3Bd" + "Q")
            rows.append((x, y, z, red, green, blue))
            file.seek(8 * track, 1)
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
