# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture that a large backbone paints into, and how the sphere is cut out of it (methods.md §1.2, §1.3)."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import BadInput
from ...optics import sphere
from ...optics.camera import Camera
from ...optics.sphere import SphereView
from ..conditions import conditions
from ..view import Probe, View
from .conventions import PAPER, Convention

#: How many condition pictures stand before the noisy one: image, depth, normals, distance, direction.
MAPS = 5
#: Both sides of the frame are multiples of this many pixels.
_MULTIPLE = 32
#: A sphere is cut out with at least and at most so many pixels a side (LIMO's own crops end at 256).
_SMALLEST, _LARGEST = 32, 256


def frame(view: View, side: int) -> View:
    """The view with its shorter side at ``side`` pixels, both sides multiples of 32."""
    scale = side / min(view.camera.width, view.camera.height)
    width, height = (
        max(_MULTIPLE, round(n * scale / _MULTIPLE) * _MULTIPLE) for n in (view.camera.width, view.camera.height)
    )
    return view.resized(width, height)


def condition_pictures(view: View, probe: Probe, convention: Convention = PAPER) -> Tensor:
    """LIMO's five maps as pictures for the VAE: (5, 3, H, W) in [−1, 1], in the order of the paper's code.

    In the training data no surface stands before a sphere, so none does here: what would hide it is pushed behind it.
    """
    rays = view.camera.rays()
    hit = sphere.intersect(rays, probe.position, probe.radius)
    behind = hit.distance * -rays[..., 2] * 1.0001
    maps = conditions(replace(view, depth=torch.where(hit.mask, view.depth.maximum(behind), view.depth)), probe)
    on = maps.mask > 0
    direction = convention.directed(maps.direction, hit.normals, on)
    image, normals = convention.pictured(maps.image, on), convention.faced(maps.normals)
    pictures = [image, maps.depth, normals, maps.distance, direction]
    shape = maps.image.shape
    return torch.stack([picture.expand(shape).permute(2, 0, 1) for picture in pictures])


def close_up(camera: Camera, probe: Probe) -> SphereView:
    """The view of the sphere that has about the painted frame's own resolution."""
    view = SphereView(probe.position, probe.radius)
    # Far from the axis a perspective picture is stretched: 1/cos² along the radius.
    stretch = float(probe.position.norm() / probe.position[2]) ** 2
    size = 2 * math.ceil(view.half_width * stretch * max(camera.fx, camera.fy))
    return replace(view, size=min(max(size, _SMALLEST), _LARGEST))


def check_inside(view: View, probe: Probe) -> None:
    """Raise :class:`BadInput` unless the whole sphere is in the picture: what lies outside cannot be painted."""
    head_on = SphereView(probe.position, probe.radius)
    uv, depth = view.camera.project(head_on.rays[head_on.mask])
    if not bool(((depth > 0) & (uv >= 0).all(-1) & (uv <= 1).all(-1)).all()):
        raise BadInput(
            f"The sphere of probe {probe.name} reaches beyond the picture's edge, where this model cannot paint.",
            "Move the probe inwards, give it a smaller radius, or use the embedded model.",
        )


def cut_out(painted: Tensor, camera: Camera, view: SphereView) -> Tensor:
    """The sphere in a painted frame (3, H, W) of display values, head-on: (S, S, 3) in [0, 1], 0 off the sphere."""
    uv, _ = camera.project(view.rays)
    grid = (uv * 2 - 1)[None].to(painted)
    sphere_pixels = F.grid_sample(painted[None], grid, "bilinear", "border", align_corners=False)[0]
    return sphere_pixels.clamp(0, 1).permute(1, 2, 0) * view.mask[..., None]
