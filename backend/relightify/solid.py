# SPDX-License-Identifier: GPL-3.0-or-later
"""A head as it stands in the light: its mesh with the eyeballs in it, and what of it another part of it hides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from .head import MATERIALS, HeadModel
from .raster import corner_normals, nearest_parallel

#: What a triangle of a :class:`Solid` is made of.
SOLID_MATERIALS = (*MATERIALS, "eye")
#: Rings and segments of an eyeball.
_RINGS, _SEGMENTS = 16, 32
#: Texels a side of a shadow map, and metres by which it may be wrong; the second is for what lies aslant to the lamp.
_SHADOW_SIZE, _BIAS, _SLANT = 384, 0.0015, 0.003
#: Cosine to a lamp from which on a surface throws no shadow on itself.
_TURNED = 0.15


@dataclass(frozen=True, eq=False)
class Solid:
    """``corners`` (N, 3) metres and unit ``normals`` (N, 3), ``triangles`` (T, 3) into them, ``material`` (T,) indices
    into :data:`SOLID_MATERIALS`. The head's own corners come first, in their order; then the right eye's, the left's.
    """

    corners: Tensor
    normals: Tensor
    triangles: Tensor
    material: Tensor

    def moved(self, rotation: Tensor, translation: Tensor) -> Solid:
        """The same in another frame: ``rotation`` (3, 3) and ``translation`` (3,) take points to it."""
        return Solid(self.corners @ rotation.T + translation, self.normals @ rotation.T, self.triangles, self.material)

    def eye_directions(self) -> Tensor:
        """(N, 3): of the corners of eyeballs, where they lie on a ball that looks along −y; zero for others."""
        ball, _ = _ball()
        return torch.cat([torch.zeros(len(self.corners) - 2 * len(ball), 3), ball, ball])


def solid(head: HeadModel, points: Tensor) -> Solid:
    """The solid of points (V, 3) in the head frame; the eyes look straight ahead."""
    corners = [head.corners(points)]
    normals = [corner_normals(head, points)]
    triangles, material = [head.triangles()], [head.material.repeat(2)]
    ball, faces = _ball()
    for centre in head.eyes(points):
        triangles.append(faces + sum(len(part) for part in corners))
        material.append(torch.full((len(faces),), SOLID_MATERIALS.index("eye")))
        corners.append(centre + head.eye_radius * ball)
        normals.append(ball)
    return Solid(torch.cat(corners), torch.cat(normals), torch.cat(triangles), torch.cat(material))


@lru_cache(maxsize=1)
def _ball() -> tuple[Tensor, Tensor]:
    """A unit ball: points (P, 3) whose first ring is the pole at −y, and triangles counter-clockwise from outside."""
    polar, around = torch.meshgrid(
        torch.linspace(0, math.pi, _RINGS + 1), torch.arange(_SEGMENTS + 1) * 2 * math.pi / _SEGMENTS, indexing="ij"
    )
    points = torch.stack([polar.sin() * around.cos(), -polar.cos(), polar.sin() * around.sin()], -1).reshape(-1, 3)
    ring, segment = torch.meshgrid(torch.arange(_RINGS), torch.arange(_SEGMENTS), indexing="ij")
    first = (ring * (_SEGMENTS + 1) + segment).reshape(-1)
    below = first + _SEGMENTS + 1
    quads = torch.stack([first, below, below + 1, first + 1], -1)
    return points, torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """A solid seen from a lamp far away: the least ``distance`` (S, S) to it, and ``axes`` (3, 3), rows right, up and
    towards the lamp, ``origin`` (2,) and ``scale`` that take points to its texels."""

    distance: Tensor
    axes: Tensor
    origin: Tensor
    scale: float

    def lit(self, points: Tensor, normals: Tensor) -> Tensor:
        """(…): how much of the light reaches points (…, 3) with unit normals (…, 3), 0..1, between four texels.

        What faces away counts as lit: the cosine tells how dark it is, and a wrapped one that it is not yet dark.
        """
        towards = normals @ self.axes[2]
        away = 1 - (towards / _TURNED).clamp(0, 1)
        towards = towards.clamp(0.05, 1)
        # A step along the normal keeps what lies aslant from shading itself.
        slant = (1 - towards**2).sqrt()
        seen = (points + normals * (_SLANT * slant)[..., None]) @ self.axes.T
        place = (seen[..., :2] - self.origin) * self.scale - 0.5
        corner = place.floor()
        part = place - corner
        free = torch.zeros_like(towards)
        for across in (0, 1):
            for down in (0, 1):
                x, y = (
                    (corner[..., axis] + step).long().clamp(0, _SHADOW_SIZE - 1)
                    for axis, step in ((0, across), (1, down))
                )
                share = (part[..., 0] if across else 1 - part[..., 0]) * (part[..., 1] if down else 1 - part[..., 1])
                free += share * (self.distance[y, x] > -seen[..., 2] - _BIAS)
        return torch.maximum(free, away)


def shadow_map(body: Solid, direction: Tensor) -> ShadowMap:
    """The shadow map of ``body`` for light from the unit ``direction`` (3,), in the body's frame."""
    helper = torch.tensor([0.0, 0, 1] if abs(float(direction[2])) < 0.9 else [1.0, 0, 0])
    right = F.normalize(torch.linalg.cross(helper, direction), dim=0)
    axes = torch.stack([right, torch.linalg.cross(direction, right), direction])
    seen = body.corners @ axes.T
    low, high = seen[:, :2].amin(0) - 1e-3, seen[:, :2].amax(0) + 1e-3
    scale = _SHADOW_SIZE / float((high - low).max())
    size = (_SHADOW_SIZE, _SHADOW_SIZE)
    distance = nearest_parallel((seen[:, :2] - low) * scale, -seen[:, 2], body.triangles, size)
    return ShadowMap(distance, axes, low, scale)
