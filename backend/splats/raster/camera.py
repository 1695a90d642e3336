# SPDX-License-Identifier: GPL-3.0-or-later
"""Where splats are looked at from: a pinhole lens and its place in the frame of the Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...optics.camera import Camera

#: Nearer Gaussians (planar depth, scene units) are not drawn; gsplat's default.
NEAR = 0.01


@dataclass(frozen=True, eq=False)
class SplatCamera:
    """``lens`` in pixels; ``world_to_camera`` (4, 4), rigid: the Gaussians' frame to the camera frame of
    architecture.md (x right, y up, looking along −z)."""

    lens: Camera
    world_to_camera: Tensor

    @classmethod
    def from_pose(cls, lens: Camera, camera_to_world: Tensor) -> SplatCamera:
        """From the camera's place (4, 4) in the Gaussians' frame, as transforms.json has it."""
        return cls(lens, torch.linalg.inv(camera_to_world.double()).to(camera_to_world.dtype))

    @cached_property
    def viewmat(self) -> Tensor:
        """(4, 4): the same with y down and z forward, as splatting programs want it."""
        flip = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=self.world_to_camera.dtype)
        return flip[:, None] * self.world_to_camera.cpu()

    @cached_property
    def intrinsics(self) -> Tensor:
        """(3, 3) matrix in pixels, y down."""
        c = self.lens
        return torch.tensor([[c.fx, 0.0, c.cx], [0.0, c.fy, c.cy], [0.0, 0.0, 1.0]], dtype=self.world_to_camera.dtype)

    @cached_property
    def position(self) -> Tensor:
        """(3,): the eye, in the Gaussians' frame."""
        return -self.world_to_camera[:3, :3].T @ self.world_to_camera[:3, 3]

    @cached_property
    def rays(self) -> Tensor:
        """(H, W, 3): unit directions through the pixels' centres, in the Gaussians' frame."""
        return self.lens.rays().to(self.world_to_camera) @ self.world_to_camera[:3, :3]

    def resized(self, width: int, height: int) -> SplatCamera:
        """The same view at another picture size."""
        return SplatCamera(self.lens.resized(width, height), self.world_to_camera)

    def limits(self) -> tuple[float, float, float, float]:
        """Slopes x/z (least, most) and y/z (least, most), y down, beyond which the projection's derivative is held
        (gsplat's margin of 0.3 of half the view)."""
        c = self.lens
        margin_x, margin_y = 0.15 * c.width / c.fx, 0.15 * c.height / c.fy
        return (
            -c.cx / c.fx - margin_x,
            (c.width - c.cx) / c.fx + margin_x,
            -c.cy / c.fy - margin_y,
            (c.height - c.cy) / c.fy + margin_y,
        )
