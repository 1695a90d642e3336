# SPDX-License-Identifier: GPL-3.0-or-later
"""transforms.json as NeRF, instant-ngp, nerfstudio and Blender add-ons write it.

``transform_matrix`` is camera to world with the camera looking along −z, y up: architecture.md's camera frame.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import BadInput
from .pictures import Distortion, found
from .pose import Pose, checked

_SINGLE, _TRAIN, _TESTS = "transforms.json", "transforms_train.json", ("transforms_test.json", "transforms_val.json")
#: What nerfstudio and others may call a lens that ``Distortion`` describes.
_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")


def is_scene(path: Path) -> bool:
    """Whether :func:`read_poses` is for it."""
    return path.suffix.lower() == ".json" or any((path / name).is_file() for name in (_SINGLE, _TRAIN))


def read_poses(path: Path) -> tuple[list[Pose], list[Pose], tuple[Tensor, Tensor] | None]:
    """Poses to train on, poses to test on (empty: the file does not say) and no points."""
    if path.is_dir():
        single = path / _SINGLE
        if (path / _TRAIN).is_file():
            tests = [path / name for name in _TESTS if (path / name).is_file()]
            return _poses(path / _TRAIN), _poses(tests[0]) if tests else [], None
        path = single
    return _poses(path), [], None


def _poses(path: Path) -> list[Pose]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"The file {path} cannot be read ({error.strerror}).", "Check the path.") from error
    except ValueError as error:
        raise BadInput(f"{path.name} is not JSON.", "Export the cameras again.") from error
    frames = data.get("frames") if isinstance(data, dict) else None
    if not isinstance(frames, list) or not frames:
        raise BadInput(f"{path.name} has no frames.", "It needs a list 'frames' of file_path and transform_matrix.")
    return [_pose(data, frame, path, number) for number, frame in enumerate(frames)]


def _pose(data: dict[str, Any], frame: Any, path: Path, number: int) -> Pose:
    where = f"frame {number} of {path.name}"
    try:
        settings = {**data, **frame}
        matrix = torch.tensor(frame["transform_matrix"], dtype=torch.float64)
        if matrix.shape == (3, 4):
            matrix = torch.cat([matrix, matrix.new_tensor([[0, 0, 0, 1]])])
        picture = found(path.parent, str(frame["file_path"]))
        mask = found(path.parent, str(frame["mask_path"])) if frame.get("mask_path") else None
        lens, fov = _lens(settings)
        distortion = Distortion(*(float(settings.get(k) or 0) for k in ("k1", "k2", "p1", "p2", "k3", "k4")))
        size = (float(settings["w"]), float(settings["h"])) if {"w", "h"} <= settings.keys() else None
        world_to_camera = torch.linalg.inv(matrix.reshape(4, 4))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"{where[0].upper()}{where[1:]} is incomplete or malformed ({type(error).__name__}: {error}).",
            "It needs file_path and a 4 × 4 transform_matrix, and camera_angle_x or fl_x with w and h somewhere.",
        ) from error
    model = "FISHEYE" if settings.get("is_fisheye") else str(settings.get("camera_model") or "OPENCV").upper()
    if model not in _MODELS:
        raise BadInput(
            f"The camera model {model} of {where} is not a pinhole with simple distortion.",
            "Undistort the pictures and export the cameras again.",
        )
    return Pose(picture, mask, checked(world_to_camera, where), lens, fov, distortion, size)


def _lens(data: dict[str, Any]) -> tuple[tuple[float, float, float, float] | None, float]:
    """fx, fy, cx, cy in shares of the picture; or nothing and the field of view in radians."""
    if "fl_x" in data:
        width, height, fx = float(data["w"]), float(data["h"]), float(data["fl_x"])
        fy, cx, cy = (float(data.get(key, other)) for key, other in
                      (("fl_y", fx), ("cx", width / 2), ("cy", height / 2)))  # fmt: skip
        if not min(width, height, fx, fy) > 0:
            raise ValueError("sizes and focal lengths must be positive")
        return (fx / width, fy / height, cx / width, cy / height), 0.0
    fov = float(data["camera_angle_x"])
    if not 0 < fov < math.pi:
        raise ValueError(f"camera_angle_x is {fov:g} radians")
    return None, fov
