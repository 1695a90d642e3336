# SPDX-License-Identifier: GPL-3.0-or-later
"""Places to look at a cloud from."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics.camera import Camera
from .raster import SplatCamera
from .shading.visibility import directions

#: Horizontal field of view, degrees: long enough that all sides of an object are seen, not only the front.
FOV = 40.0
_MARGIN = 1.05


def looking_at(eye: Tensor, at: Tensor) -> Tensor:
    """(4, 4): the camera's place (camera to world) of an eye (3,) that looks at a point (3,), z up where it can be."""
    back = F.normalize(eye - at, dim=0)
    up = eye.new_tensor([0.0, 1.0, 0.0] if abs(float(back[2])) > 0.999 else [0.0, 0.0, 1.0])
    right = F.normalize(torch.linalg.cross(up, back), dim=0)
    pose = torch.eye(4, dtype=eye.dtype)
    pose[:3, :3] = torch.stack([right, torch.linalg.cross(back, right), back], 1)
    pose[:3, 3] = eye
    return pose


def all_around(middle: Tensor, radius: float, count: int, size: int) -> list[SplatCamera]:
    """Cameras on a sphere, evenly, whose square pictures hold a ball of ``radius`` about ``middle`` (3,)."""
    distance = _MARGIN * radius / math.sin(math.radians(FOV / 2))
    lens = Camera.from_fov(size, size, FOV)
    eyes = middle + distance * directions(count).to(middle)
    return [SplatCamera.from_pose(lens, looking_at(eye, middle)) for eye in eyes]
