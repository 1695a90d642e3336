# SPDX-License-Identifier: GPL-3.0-or-later
"""A pinhole camera in the camera frame: x right, y up, looking along −z."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import BadInput


@dataclass(frozen=True)
class Camera:
    """Picture size and intrinsics in pixels; the principal point counts from the top-left corner."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @classmethod
    def from_fov(cls, width: int, height: int, fov_x_deg: float) -> Camera:
        """Square pixels and a centred principal point. ``fov_x_deg``: horizontal field of view in degrees."""
        if not 1.0 <= fov_x_deg <= 170.0:
            raise BadInput(
                f"The field of view is {fov_x_deg:g} degrees; a pinhole camera has between 1 and 170.",
                "Give the horizontal field of view in degrees, e.g. 50.",
            )
        focal = 0.5 * width / math.tan(math.radians(fov_x_deg) / 2)
        return cls(width, height, focal, focal, width / 2, height / 2)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Camera:
        """Read ``{width, height, fx, fy, cx, cy}`` in pixels, or ``{width, height, fov_x_deg}``."""
        try:
            size = (int(data["width"]), int(data["height"]))
            if "fx" in data:
                fx = float(data["fx"])
                camera = cls(
                    *size,
                    fx,
                    float(data.get("fy", fx)),
                    float(data.get("cx", size[0] / 2)),
                    float(data.get("cy", size[1] / 2)),
                )
            else:
                camera = cls.from_fov(*size, float(data["fov_x_deg"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(
                f"The camera description is incomplete or malformed ({type(error).__name__}: {error}).",
                "It needs width, height and either fov_x_deg or fx, fy, cx, cy in pixels.",
            ) from error
        numbers = (camera.fx, camera.fy, camera.cx, camera.cy)
        if min(size) < 1 or not all(math.isfinite(n) for n in numbers) or min(camera.fx, camera.fy) <= 0:
            raise BadInput(
                f"The camera has size {size[0]}×{size[1]} and focal length {camera.fx:g}, {camera.fy:g} pixels.",
                "Sizes and focal lengths must be positive and finite.",
            )
        return camera

    def to_dict(self) -> dict[str, float]:
        """The JSON form that :meth:`from_dict` reads."""
        return asdict(self)

    @property
    def fov_x_deg(self) -> float:
        """Horizontal field of view in degrees (exact for a shifted principal point too)."""
        return math.degrees(math.atan(self.cx / self.fx) + math.atan((self.width - self.cx) / self.fx))

    def resized(self, width: int, height: int) -> Camera:
        """The same view at another picture size."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy
        )

    def unit_depth_points(self) -> Tensor:
        """Where each pixel's centre ray crosses the plane z = −1: (H, W, 3), camera frame."""
        x = (torch.arange(self.width) + 0.5 - self.cx) / self.fx
        y = -(torch.arange(self.height) + 0.5 - self.cy) / self.fy
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        return torch.stack([grid_x, grid_y, -torch.ones_like(grid_x)], -1)

    def rays(self) -> Tensor:
        """Unit view directions through the pixel centres: (H, W, 3), camera frame."""
        return torch.nn.functional.normalize(self.unit_depth_points(), dim=-1)

    def unproject(self, depth: Tensor) -> Tensor:
        """Points seen by the pixels: planar depth (H, W) in metres to (H, W, 3), camera frame; +inf stays infinite."""
        return self.unit_depth_points() * depth[..., None]

    def point(self, u: float, v: float, depth: float) -> Tensor:
        """The point (3,) at picture position (u, v) in [0, 1] (origin top left) and planar depth in metres."""
        x = (u * self.width - self.cx) / self.fx
        y = -(v * self.height - self.cy) / self.fy
        return torch.tensor([x * depth, y * depth, -depth], dtype=torch.float32)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Points (..., 3) to picture positions (..., 2) in [0, 1] and planar depth (...), negative behind it."""
        depth = -points[..., 2]
        safe = torch.where(depth.abs() < 1e-12, torch.full_like(depth, 1e-12), depth)
        u = (self.fx * points[..., 0] / safe + self.cx) / self.width
        v = (self.cy - self.fy * points[..., 1] / safe) / self.height
        return torch.stack([u, v], -1), depth
