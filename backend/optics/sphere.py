# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual sphere in front of the camera, by true ray–sphere intersection (methods.md §1.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

#: The part of the crop's width that the sphere's outline fills.
FILL = 0.95


@dataclass(frozen=True)
class Hit:
    """Where rays meet a sphere: mask (...) bool, distance t (...), unit normals (..., 3); zero where they miss."""

    mask: Tensor
    distance: Tensor
    normals: Tensor


def intersect(rays: Tensor, center: Tensor, radius: float) -> Hit:
    """First hit of unit rays (..., 3) from the origin with a sphere in front of it."""
    along = (rays * center).sum(-1)
    delta = along**2 - center.dot(center) + radius**2
    mask = (delta >= 0) & (along > 0)
    distance = torch.where(mask, along - delta.clamp(min=0).sqrt(), torch.zeros_like(along))
    normals = (rays * distance[..., None] - center) / radius
    return Hit(mask, distance, torch.where(mask[..., None], F.normalize(normals, dim=-1), torch.zeros_like(normals)))


def reflect(rays: Tensor, normals: Tensor) -> Tensor:
    """Mirror directions v − 2(v·n)n of unit view rays (..., 3)."""
    return rays - 2 * (rays * normals).sum(-1, keepdim=True) * normals


@dataclass(frozen=True, eq=False)
class SphereView:
    """A square close-up of the sphere: a camera at the photo's centre of projection that looks at ``center``.

    ``center`` (3,) and ``radius`` in metres, camera frame; ``size`` S in pixels. Seen head-on a sphere is a circle,
    so nothing is distorted whichever corner of the photo it stands in. All directions stay in the photo's camera frame,
    unless the view is :meth:`turned`; then ``given`` are its axes. Everything is as precise as ``center``.
    """

    center: Tensor
    radius: float
    size: int = 64
    given: Tensor | None = None

    def turned(self, rotation: Tensor) -> SphereView:
        """The same pixels, all directions in other axes; ``rotation`` (3, 3) takes the camera frame to those."""
        return SphereView(rotation @ self.center, self.radius, self.size, self.axes @ rotation.T)

    @cached_property
    def axes(self) -> Tensor:
        """(3, 3): rows are the close-up's right, up and backward axes in the camera frame."""
        if self.given is not None:
            return self.given
        back = -F.normalize(self.center, dim=0)
        right = torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]).to(back), back)
        if right.norm() < 1e-4:
            right = torch.tensor([1.0, 0.0, 0.0]).to(back)
        right = F.normalize(right, dim=0)
        return torch.stack([right, torch.linalg.cross(back, right), back])

    @cached_property
    def half_width(self) -> float:
        """Half of the close-up's width on its plane at distance 1."""
        sine = min(self.radius / float(self.center.norm()), 0.999)
        return sine / (1 - sine**2) ** 0.5 / FILL

    @cached_property
    def rays(self) -> Tensor:
        """Unit view directions (S, S, 3), camera frame."""
        return self.rays_at(1)

    def rays_at(self, supersample: int) -> Tensor:
        """Unit view directions on a grid ``supersample`` times finer: (k·S, k·S, 3), camera frame."""
        n = self.size * supersample
        place = (torch.arange(n) + 0.5) / n
        return self.rays_through(place[None, :].expand(n, n), place[:, None].expand(n, n))

    def rays_through(self, u: Tensor, v: Tensor) -> Tensor:
        """Unit view directions (..., 3), camera frame, through places (...) in [0, 1], origin at the top left."""
        x, y = ((place.to(self.center) * 2 - 1) * self.half_width for place in (u, v))
        return F.normalize(torch.stack([x, -y, -torch.ones_like(x)], -1) @ self.axes, dim=-1)

    @cached_property
    def hit(self) -> Hit:
        """Ray–sphere intersection of every pixel."""
        return intersect(self.rays, self.center, self.radius)

    @property
    def mask(self) -> Tensor:
        """(S, S) bool: pixels whose centre shows the sphere."""
        return self.hit.mask

    @property
    def normals(self) -> Tensor:
        """Outward unit normals (S, S, 3), camera frame, zero off the sphere."""
        return self.hit.normals

    @cached_property
    def reflected(self) -> Tensor:
        """Directions that a mirror shows (S, S, 3), camera frame, zero off the sphere."""
        return reflect(self.rays, self.normals) * self.mask[..., None]

    def pixel_angle(self, towards: Tensor) -> Tensor:
        """Radians (...) that a mirror's pixel spans, along its longer side, at unit directions ``towards`` (..., 3).

        Seen from afar, a mirror shows what lies φ from the way back to the camera at sin(φ/2) of its radius: towards
        its outline few pixels, long and narrow, show much. Nothing is shown straight behind it; the angle is 2π there.
        """
        cosine = ((1 + towards @ self.axes[2]) / 2).clamp(min=0).sqrt()
        return (4 / (FILL * self.size) / cosine.clamp(min=1e-6)).clamp(max=2 * math.pi)

    @cached_property
    def mirrored_moments(self) -> Tensor:
        """∫ ω dω over the directions that each pixel of a mirror shows: (S, S, 3), zero off the sphere.

        The length is their solid angle, less a little for their spread. What lies behind the sphere, or is squeezed
        into its outline, is missing from the sum, which else would be zero.
        """
        fine = 4
        place = torch.linspace(0, 1, self.size * fine + 1)
        corners = self.rays_through(*torch.meshgrid(place, place, indexing="xy"))
        hit = intersect(corners, self.center, self.radius)
        towards = reflect(corners, hit.normals)
        a, b, c, d = (towards[i : i - 1 or None, j : j - 1 or None] for i in (0, 1) for j in (0, 1))
        whole = -F.max_pool2d(-hit.mask[None].float(), 2, stride=1)[0]
        area = torch.linalg.cross(d - a, c - b).norm(dim=-1) / 2 * whole
        cells = F.normalize(a + b + c + d, dim=-1) * area[..., None]
        return cells.reshape(self.size, fine, self.size, fine, 3).sum((1, 3)) * self.mask[..., None]


def mirror_point(view: SphereView, towards: Tensor, rounds: int = 6) -> Tensor:
    """Where on the sphere the camera sees the directions ``towards`` (..., 3) mirrored: unit normals (..., 3).

    The mirror law n ∝ ω − v with the view ray v of the surface point c + r·n, iterated to its fixed point.
    """
    seen = F.normalize(view.center, dim=0)
    normal = F.normalize(towards - seen, dim=-1)
    for _ in range(rounds):
        ray = F.normalize(view.center + view.radius * normal, dim=-1)
        normal = F.normalize(towards - ray, dim=-1)
    return normal
