# SPDX-License-Identifier: GPL-3.0-or-later
"""Where what a sphere shows was a frame ago: true motion of mirrored scenes, by distance, and pictures moved along."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from . import panorama as pano
from .sphere import SphereView, mirror_point

#: A surface is the same one if its distance differs by at most this share and, in metres, by this much more.
_SAME, _NEAR = 0.05, 0.05
#: Stands for the distance of the sky.
_SKY = 1e5


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a probe is in one frame: ``position`` (3,) in the camera frame, ``camera_to_world`` (4, 4)."""

    position: Tensor
    camera_to_world: Tensor


@dataclass(frozen=True, eq=False)
class Motion:
    """For each pixel of a frame its place in the frame before.

    grid: (S, S, 2) in [−1, 1] as torch's grid_sample wants it; seen: (S, S) bool, false where it was hidden or off.
    """

    grid: Tensor
    seen: Tensor

    def moved(self, picture: Tensor) -> Tensor:
        """The picture before (S, S, C), bilinear, as it would look now if nothing but place had changed."""
        found = F.grid_sample(
            picture.permute(2, 0, 1)[None], self.grid[None], padding_mode="border", align_corners=False
        )
        return found[0].permute(1, 2, 0)


def seen_before(d: Tensor, distance: Tensor, now: Placement, before: Placement) -> tuple[Tensor, Tensor]:
    """Unit directions (..., 3) and distances (...) in ``before`` of what is seen along ``d`` (..., 3) in ``now``.

    Both in their own camera's frame, metres, from the probe's place then; +inf, the sky, only turns.
    """
    there = torch.linalg.inv(before.camera_to_world) @ now.camera_to_world
    turn, shift = there[:3, :3], there[:3, 3]
    far = distance.clamp(max=_SKY)[..., None]
    offset = (now.position + far * d) @ turn.T + shift - before.position
    offset = torch.where(torch.isinf(distance)[..., None], d @ turn.T, offset)
    length = offset.norm(dim=-1)
    return offset / length.clamp(min=1e-9)[..., None], torch.where(torch.isinf(distance), distance, length)


def mirror_motion(
    view: SphereView, now: Placement, before: Placement, distance_now: Tensor, distance_before: Tensor
) -> Motion:
    """True motion of what a mirror sphere shows, in a static scene.

    distance_*: (N, 2N) metres from the probe, camera frame, +inf sky. Both pictures are ``view``'s. Pixels whose
    surface was hidden from the probe before, by its distance then, do not count.
    """
    d = view.reflected
    distance = _nearest(distance_now, d)
    towards, length = seen_before(d, distance, now, before)
    grid, inside = place_of(view, mirror_point(view, towards))
    there = _nearest(distance_before, towards)
    same = torch.isinf(there) & torch.isinf(length)
    same |= (there - length).abs() <= _SAME * length + _NEAR
    return Motion(grid, view.mask & inside & same)


def diffuse_motion(view: SphereView, now: Placement, before: Placement) -> Motion:
    """Motion of a diffuse sphere's light under light that stays: it turns against the camera, and no more."""
    far = torch.full(view.mask.shape, torch.inf)
    normals, _ = seen_before(view.normals, far, now, before)
    grid, inside = place_of(view, normals)
    towards = F.normalize(view.center + view.radius * normals, dim=-1)
    return Motion(grid, view.mask & inside & ((normals * towards).sum(-1) < 0))


def place_of(view: SphereView, normals: Tensor) -> tuple[Tensor, Tensor]:
    """Where the sphere's surface with these unit normals (..., 3) is in the picture: grid (..., 2) and inside (...).

    ``inside`` leaves out the last pixel and a half at the outline, into which everything behind is squeezed.
    """
    local = (view.center + view.radius * normals) @ view.axes.T
    plane = local[..., :2] / -local[..., 2:] / view.half_width
    grid = torch.stack([plane[..., 0], -plane[..., 1]], -1)
    return grid, plane.norm(dim=-1) <= 0.95 - 3 / view.size


def _nearest(distance: Tensor, d: Tensor) -> Tensor:
    """The distance (N, 2N) along directions (..., 3), never mixed from two surfaces."""
    height, width = distance.shape
    uv = pano.uv_from_direction(d)
    row = (uv[..., 1] * height).long().clamp(0, height - 1)
    return distance[row, (uv[..., 0] * width).long() % width]
