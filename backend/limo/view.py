# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine is given: a picture with depth and a camera, and the points whose light is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput
from ..optics.camera import Camera

#: A probe whose size nobody gave shows as a ball of this share of the picture's width.
DEFAULT_IMAGE_RADIUS = 0.06
#: And is of at most this share of its distance, which keeps it in front of even the widest lens.
_LARGEST_RADIUS = 0.4
#: Metres; what is nearer is in the camera.
_NEAREST = 1e-6


@dataclass
class View:
    """One picture of the scene.

    radiance: (H, W, 3) linear Rec.709, display white 1.0. depth: (H, W) planar metres, +inf = sky.
    camera: intrinsics for the same picture size. camera_to_world: (4, 4), columns are the camera's axes and position.
    """

    radiance: Tensor
    depth: Tensor
    camera: Camera
    camera_to_world: Tensor | None = None
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        for name, shape in (("picture", self.radiance.shape[:2]), ("depth", self.depth.shape)):
            if tuple(shape) != size:
                raise BadInput(
                    f"The {name} is {shape[1]}×{shape[0]} pixels, the camera {size[1]}×{size[0]}.",
                    "Give a depth map and a camera for the same picture.",
                )
        if not bool(torch.isfinite(self.radiance).all()):
            raise BadInput("The picture contains NaN or infinite values.", "Export it again without them.")
        if bool(torch.isnan(self.depth).any()) or bool((self.depth <= 0).any()):
            raise BadInput(
                "The depth map contains NaN, zero or negative distances.",
                "Depth is planar distance in metres, positive in front of the camera, +inf for sky.",
            )

    def resized(self, width: int, height: int) -> View:
        """The same view at another size: colour by area average, depth by the nearest pixel."""
        colour = self.radiance.permute(2, 0, 1)[None]
        smaller = width <= self.camera.width and height <= self.camera.height
        colour = (
            F.interpolate(colour, (height, width), mode="area")
            if smaller
            else F.interpolate(colour, (height, width), mode="bilinear", antialias=True)
        )
        depth = F.interpolate(self.depth[None, None], (height, width), mode="nearest-exact")[0, 0]
        return View(
            colour[0].permute(1, 2, 0), depth, self.camera.resized(width, height), self.camera_to_world, self.warnings
        )

    def depth_at(self, u: float, v: float) -> float:
        """Planar depth in metres at picture position (u, v) in [0, 1]; +inf where the sky is."""
        x = min(int(u * self.camera.width), self.camera.width - 1)
        y = min(int(v * self.camera.height), self.camera.height - 1)
        return float(self.depth[y, x])


@dataclass(frozen=True, eq=False)
class Probe:
    """A point whose incoming light is wanted: position (3,) in metres, camera frame; radius of the painted sphere."""

    name: str
    position: Tensor
    radius: float

    def __post_init__(self) -> None:
        x, y, z = (float(c) for c in self.position)
        if not all(math.isfinite(c) for c in (x, y, z, self.radius)):
            raise BadInput(f"Probe {self.name} has a position or radius that is not a number.", "Place it again.")
        if z > -_NEAREST:
            raise BadInput(f"Probe {self.name} is behind the camera, or in it.", "Move it in front of the camera.")
        if not 0 < self.radius < 0.5 * -z:
            raise BadInput(
                f"Probe {self.name} has radius {self.radius:g} m at {-z:g} m from the camera.",
                "Use a positive radius below half of the distance.",
            )

    @classmethod
    def from_pixel(
        cls,
        view: View,
        u: float,
        v: float,
        *,
        depth: float | None = None,
        radius: float | None = None,
        name: str = "Probe",
    ) -> Probe:
        """A probe at picture position (u, v) in [0, 1], in front of the surface seen there unless depth is given."""
        if not (0 <= u <= 1 and 0 <= v <= 1):
            raise BadInput(
                f"Probe {name} lies at ({u:g}, {v:g}), outside the picture.",
                "U and V go from 0 to 1 with the origin at the top left.",
            )
        if depth is not None and not (math.isfinite(depth) and depth > 0):
            raise BadInput(f"Probe {name} has depth {depth:g} m.", "Depth must be positive and finite.")
        surface = view.depth_at(u, v)
        if depth is None:
            depth = surface if math.isfinite(surface) else _far(view)
            size = radius if radius is not None else default_radius(view.camera, depth)
            depth = max(depth - size, 0.5 * depth)
        elif depth > 1.05 * surface:
            raise BadInput(
                f"Probe {name} at {depth:g} m lies behind the surface seen there at {surface:.3g} m.",
                "Give a smaller depth, or leave it out to use the surface's.",
            )
        if radius is None:
            radius = default_radius(view.camera, depth)
        return cls(name, view.camera.point(u, v, depth), radius)


def default_radius(camera: Camera, depth: float) -> float:
    """The radius of a probe ``depth`` metres deep whose size nobody gave, in metres."""
    return min(DEFAULT_IMAGE_RADIUS * camera.width / camera.fx, _LARGEST_RADIUS) * depth


def _far(view: View) -> float:
    """Where a probe marked on the sky goes: the median distance of what is not sky, or 10 m."""
    finite = view.depth[torch.isfinite(view.depth)]
    return float(finite.median()) if finite.numel() else 10.0
