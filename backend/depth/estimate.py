# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of a photo without a depth map: a guess from perspective alone, and it says so.

A level camera at standing height sees the floor recede below the horizon as d = h / tan(angle below it); whatever is
farther is taken for a wall, and a bright region along the upper border for the sky.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..errors import BadInput
from ..optics import exr
from ..optics.camera import Camera
from ..optics.exposure import luminance
from ..optics.photo import read_photo

#: Height of the camera above the floor in metres.
EYE_HEIGHT = 1.5
#: Distance of what is taken for walls, in metres.
WALL = 5.0
#: Radiance above which the upper border's connected bright, bluish or white region counts as sky.
_SKY_LUMINANCE = 0.45

WARNING = (
    "The depth is a guess from perspective (a floor and a wall), not an estimate: give a depth map if you have one."
)


def estimate_depth(radiance: Tensor, camera: Camera) -> tuple[Tensor, list[str]]:
    """Planar depth (H, W) in metres, +inf = sky, of a photo (H, W, 3) linear; and warnings for the artist."""
    points = camera.unit_depth_points()
    drop = (-points[..., 1]).clamp(min=1e-4)
    floor = EYE_HEIGHT / drop
    depth = floor.clamp(max=WALL)
    depth = torch.where(_sky(radiance), torch.inf, depth)
    return depth, [WARNING]


def _sky(radiance: Tensor) -> Tensor:
    """Bright pixels that reach the upper border without a break in their column and are not warmer than white."""
    light = luminance(radiance)
    plain = (light > _SKY_LUMINANCE) & (radiance[..., 2] > 0.85 * radiance[..., 0])
    unbroken = plain.float().cumprod(0) > 0
    # A lamp or a window cut by the border is not the sky.
    return unbroken if float(unbroken.float().mean()) > 0.08 else torch.zeros_like(unbroken)


def estimate_depth_file(image: Path, out: Path, fov_deg: float | None = None) -> dict[str, object]:
    """Write the guessed depth of a photo as EXR (channel Z); returns field of view, range and warnings."""
    photo = read_photo(image)
    height, width = photo.radiance.shape[:2]
    warnings = list(photo.warnings)
    if fov_deg is None:
        fov_deg = 50.0
        warnings.append("The field of view is unknown; 50 degrees was assumed.")
    camera = Camera.from_fov(width, height, fov_deg)
    depth, notes = estimate_depth(photo.radiance, camera)
    if out.suffix.lower() != ".exr":
        raise BadInput(f"The depth file is called {out.name}.", "Give it the extension .exr.")
    exr.write_depth(out, depth)
    finite = depth[torch.isfinite(depth)]
    span = [float(finite.min()), float(finite.max())] if finite.numel() else []
    return {"depth": str(out), "fov_x_deg": camera.fov_x_deg, "range_m": span, "warnings": warnings + notes}
