# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a picture was taken from, before its pixels are read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ...errors import BadInput
from ...optics.camera import Camera
from ...optics.photo import picture_size
from .pictures import Distortion


@dataclass(frozen=True, eq=False)
class Pose:
    """A picture, its mask or None, ``world_to_camera`` (4, 4) in architecture.md's camera frame, and its lens.

    ``lens``: fx, fy, cx, cy in shares of the picture's width and height, for any size; or ``fov_x``, radians.
    ``size``: the width and height of the picture that the lens was found with, where they are told.
    """

    picture: Path
    mask: Path | None
    world_to_camera: Tensor
    lens: tuple[float, float, float, float] | None
    fov_x: float = 0.0
    distortion: Distortion = field(default_factory=Distortion)
    size: tuple[float, float] | None = None

    @property
    def upright(self) -> bool:
        """Whether the lens is that of the picture as EXIF turns it. COLMAP and most others take it as it is stored."""
        return self.size is None or self._is_turned(picture_size(self.picture, upright=False))

    def _is_turned(self, stored: tuple[int, int]) -> bool:
        """Whether the lens is that of a picture on its other side than the one of this size."""
        return self.size is not None and (stored[0] > stored[1]) != (self.size[0] > self.size[1])

    def lens_for(self, width: int, height: int) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy in pixels of a picture of this size."""
        if self.lens is None:
            focal = 0.5 * width / math.tan(self.fov_x / 2)
            return focal, focal, width / 2, height / 2
        fx, fy, cx, cy = self.lens
        return fx * width, fy * height, cx * width, cy * height

    def camera_lens(self) -> Camera:
        """The lens at the size that the picture's file has."""
        size = picture_size(self.picture, upright=self.size is None)
        width, height = picture_size(self.picture) if self._is_turned(size) else size
        return Camera(width, height, *self.lens_for(width, height))


def checked(matrix: Tensor, source: str) -> Tensor:
    """A rigid world-to-camera matrix (4, 4), single precision, or the sentence why it is none."""
    turn = matrix[:3, :3]
    rigid = torch.isfinite(matrix).all() and torch.allclose(turn @ turn.T, torch.eye(3).to(turn), atol=1e-2)
    if not rigid or float(torch.linalg.det(turn)) < 0:
        raise BadInput(f"A camera in {source} is not a turn and a shift.", "Export the cameras again, without scaling.")
    return matrix.float()
