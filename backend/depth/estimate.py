# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of a photo without a depth map: a guess from perspective alone, and it says so.

A level camera at standing height sees the floor recede below the horizon as d = h / tan(angle below it) and the ceiling
above it likewise; whatever is farther is taken for a wall, and a bright region along the upper border for the sky.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import BadInput
from ..optics import exr
from ..optics.camera import Camera
from ..optics.exposure import luminance
from ..optics.photo import read_photo


@dataclass(frozen=True)
class Perspective:
    """The guess's constants, fitted to ray-traced scenes by benchmarks/depth_guess.py.

    In metres: the camera is ``floor`` over the floor, or the furniture on it, ``ceiling`` under the ceiling, ``wall``
    from the wall. Sky is brighter than ``sky_luminance`` (display white 1), more than ``sky_blue`` times as blue as
    red, fills more than the share ``sky_share`` of the picture, and reaches no lower than ``sky_lowest``, the tangent
    of the angle over the horizon.
    """

    floor: float = 0.9
    ceiling: float = 1.6
    wall: float = 4.25
    sky_luminance: float = 0.25
    sky_blue: float = 0.8
    sky_share: float = 0.04
    sky_lowest: float = -0.15


GUESS = Perspective()
WARNING = "The depth is a guess from perspective (a room's shell), not an estimate: give a depth map if you have one."


def estimate_depth(radiance: Tensor, camera: Camera, guess: Perspective = GUESS) -> tuple[Tensor, list[str]]:
    """Planar depth (H, W) in metres, +inf = sky, of a photo (H, W, 3) linear; and warnings for the artist."""
    height = camera.unit_depth_points()[..., 1]
    floor = guess.floor / (-height).clamp(min=1e-4)
    ceiling = guess.ceiling / height.clamp(min=1e-4)
    depth = torch.minimum(floor, ceiling).clamp(max=guess.wall)
    return torch.where(_sky(radiance, height, guess), torch.inf, depth), [WARNING]


def _sky(radiance: Tensor, height: Tensor, guess: Perspective) -> Tensor:
    """Bright pixels that reach the upper border without a break in their column and are not warmer than white.

    ``height`` (H, W): of the pixels' rays over the horizon at depth 1.
    """
    plain = (luminance(radiance) > guess.sky_luminance) & (radiance[..., 2] > guess.sky_blue * radiance[..., 0])
    unbroken = plain.float().cumprod(0) > 0
    # A lamp or a window cut by the border is not the sky, and a white wall goes on below the horizon.
    small = float(unbroken.float().mean()) <= guess.sky_share
    if small or float(height[unbroken].min()) < guess.sky_lowest:
        return torch.zeros_like(unbroken)
    return unbroken


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
