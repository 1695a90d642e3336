# SPDX-License-Identifier: GPL-3.0-or-later
"""What every depth model answers, and what it has to be able to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from ..optics.camera import Camera


@dataclass(frozen=True, eq=False)
class Depth:
    """``depth`` (H, W): planar metres, +inf = sky; ``sky`` (H, W) in [0, 1], its probability.

    ``fov_x_deg`` horizontal field of view, ``fov_spread`` its standard deviation in degrees, 0 where it was given;
    ``scale_is_guess``: all metres may be wrong by one factor; ``up`` (3,): unit vector against gravity, camera frame,
    where the model tells it.
    """

    depth: Tensor
    fov_x_deg: float
    fov_spread: float
    sky: Tensor
    scale_is_guess: bool
    model: str
    warnings: list[str] = field(default_factory=list)
    up: Tensor | None = None

    @property
    def camera(self) -> Camera:
        """The camera that the depth goes with."""
        height, width = self.depth.shape
        return Camera.from_fov(width, height, self.fov_x_deg)


class DepthModel(Protocol):
    """Depth and field of view of a photo."""

    def estimate(self, radiance: Tensor, fov_x_deg: float | None) -> Depth:
        """``radiance`` (H, W, 3) linear, display white 1; ``fov_x_deg`` where it is known."""
        ...
