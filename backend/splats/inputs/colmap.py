# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's sparse models, text and binary: cameras, images and points3D (colmap.github.io/format.html)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import BadInput
from . import colmap_binary, colmap_text
from .pictures import Distortion, found
from .pose import Pose, checked

_PLACES = ("sparse/0", "sparse", "colmap/sparse/0", ".")
#: Where in a model's parameters fx, fy, cx, cy, k1, k2, p1, p2 are.
_LAYOUT = {
    "SIMPLE_PINHOLE": (0, 0, 1, 2),
    "PINHOLE": (0, 1, 2, 3),
    "SIMPLE_RADIAL": (0, 0, 1, 2, 3),
    "RADIAL": (0, 0, 1, 2, 3, 4),
    "OPENCV": (0, 1, 2, 3, 4, 5, 6, 7),
}


class Lens(NamedTuple):
    """COLMAP's camera: a model's name, the picture's size in pixels and the model's parameters."""

    model: str
    width: int
    height: int
    numbers: tuple[float, ...]


class Shot(NamedTuple):
    """COLMAP's image: its name, quaternion and shift (world to camera, y down, z forward) and its camera's number."""

    name: str
    quat: tuple[float, ...]
    shift: tuple[float, ...]
    camera: int


def _model(path: Path) -> tuple[Path, str] | None:
    """The folder of the sparse model and whether it is ``bin`` or ``txt``."""
    for place in _PLACES:
        for kind in ("bin", "txt"):
            if all((path / place / f"{name}.{kind}").is_file() for name in ("cameras", "images")):
                return path / place, kind
    return None


def is_scene(path: Path) -> bool:
    """Whether :func:`read_poses` is for it."""
    return path.is_dir() and _model(path) is not None


def read_poses(path: Path) -> tuple[list[Pose], list[Pose], tuple[Tensor, Tensor] | None]:
    """Poses to train on, by name; COLMAP keeps none for tests; points (P, 3) with display colours 0..1."""
    model = _model(path)
    assert model is not None
    folder, kind = model
    reader = colmap_binary if kind == "bin" else colmap_text
    try:
        lenses = {number: Lens(*rest) for number, *rest in reader.cameras(folder / f"cameras.{kind}")}
        shots = [Shot(*parts) for parts in reader.images(folder / f"images.{kind}")]
        cloud = folder / f"points3D.{kind}"
        points = reader.points(cloud) if cloud.is_file() else torch.empty(0, 6)
        images = next((root / "images" for root in (path, path.parent, folder) if (root / "images").is_dir()), path)
        poses = [_pose(shot, lenses[shot.camera], images) for shot in sorted(shots)]
    except (struct.error, ValueError, IndexError, KeyError, UnicodeDecodeError, OverflowError) as error:
        raise BadInput(
            f"COLMAP's model in {folder} is damaged ({type(error).__name__}: {error}).", "Export the model again."
        ) from error
    return poses, [], (points[:, :3], points[:, 3:] / 255) if len(points) else None


def _pose(shot: Shot, lens: Lens, images: Path) -> Pose:
    layout = _LAYOUT.get(lens.model)
    if layout is None:
        raise BadInput(
            f"The camera model {lens.model} of {shot.name} is not a pinhole with simple distortion.",
            "Undistort the pictures ('colmap image_undistorter') and give its output.",
        )
    fx, fy, cx, cy, *k = (lens.numbers[index] for index in layout)
    w, x, y, z = torch.nn.functional.normalize(torch.tensor(shot.quat, dtype=torch.float64), dim=0)
    turn = torch.stack([
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]),
    ])  # fmt: skip
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3], matrix[:3, 3] = turn, torch.tensor(shot.shift, dtype=torch.float64)
    matrix[1:3] *= -1
    picture = found(images, shot.name)
    masks = images.parent / "masks"
    names = (f"{shot.name}.png", Path(shot.name).with_suffix(".png").as_posix())
    mask = next((masks / name for name in names if (masks / name).is_file()), None)
    shares = fx / lens.width, fy / lens.height, cx / lens.width, cy / lens.height
    return Pose(picture, mask, checked(matrix, shot.name), shares, 0.0, Distortion(*k), (lens.width, lens.height))
