# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes for the path tracer: a builder for people, flat float32 arrays for the kernels.

World frame, z up, metres. Radiance linear Rec.709.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from . import geometry

Vector = Sequence[float] | np.ndarray
#: Texture numbers of :func:`.geometry.pattern`.
TEXTURES = {"plain": 0, "checker": 1, "tiles": 2, "noise": 3, "planks": 4, "bricks": 5, "patches": 6}
REC709 = np.array([0.2126, 0.7152, 0.0722])


class Scene(NamedTuple):
    """What the kernels read. Columns of each array:

    ``boxes`` low 3, high 3, material; ``groups`` cos and sin of the yaw, first and last box + 1, bounds low 3, high 3
    (boxes and bounds in axes turned by the yaw); ``spheres`` centre 3, radius, material; ``rects`` centre 3, half edges
    u 3 and v 3, unit normal 3, radiance or tint 3, 1 for a window onto the sky, area; ``room`` low 3, high 3, 1 where
    there is one, materials of −x −y −z +x +y +z; ``materials`` colour 3, second colour 3, texture, repeats a metre,
    roughness, reflectance at normal incidence, metal, radiance 3, lamp; ``lights`` kind, index, power; ``sun`` direction
    3, radiance 3, cosine of the angular radius, solid angle; ``sky`` (N, 2N, 3) panorama in the world frame.
    """

    boxes: np.ndarray
    groups: np.ndarray
    spheres: np.ndarray
    rects: np.ndarray
    room: np.ndarray
    materials: np.ndarray
    lights: np.ndarray
    sun: np.ndarray
    sky: np.ndarray


def luminance(rgb: Vector) -> float:
    """Luminance of one linear Rec.709 colour."""
    return float(np.dot(np.asarray(rgb, float), REC709))


@dataclass
class SceneBuilder:
    """Collects things, then :meth:`build` packs them."""

    materials: list[list[float]] = field(default_factory=list)
    boxes: list[list[float]] = field(default_factory=list)
    groups: list[list[float]] = field(default_factory=list)
    spheres: list[list[float]] = field(default_factory=list)
    rects: list[list[float]] = field(default_factory=list)
    lights: list[list[float]] = field(default_factory=list)
    room: list[float] = field(default_factory=lambda: [0.0] * 13)
    sun: list[float] = field(default_factory=lambda: [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    sky: np.ndarray = field(default_factory=lambda: np.zeros((2, 4, 3), np.float32))
    #: Bounding spheres (x, y, z, radius) of what was placed; for keeping things apart.
    placed: list[tuple[float, float, float, float]] = field(default_factory=list)

    def material(
        self,
        colour: Vector,
        second: Vector | None = None,
        *,
        texture: str = "plain",
        scale: float = 1.0,
        roughness: float = 0.6,
        specular: float = 0.0,
        metal: bool = False,
        radiance: Vector = (0.0, 0.0, 0.0),
    ) -> int:
        """Add a material and return its number. Colours in [0, 1]; ``specular`` is the reflectance at 0°."""
        second = colour if second is None else second
        numbers = [TEXTURES[texture], scale, roughness, specular, float(metal)]
        self.materials.append([*colour, *second, *numbers, *radiance, float(luminance(radiance) > 0)])
        return len(self.materials) - 1

    def group(self, boxes: Sequence[tuple[Vector, Vector, int]], at: Vector = (0, 0, 0), yaw: float = 0.0) -> None:
        """Add boxes (low corner, high corner, material) given around the origin, turned by ``yaw``, moved to ``at``."""
        c, s = math.cos(yaw), math.sin(yaw)
        moved = np.array([c * at[0] + s * at[1], c * at[1] - s * at[0], at[2]])
        rows = [[*(np.minimum(lo, hi) + moved), *(np.maximum(lo, hi) + moved), m] for lo, hi, m in boxes]
        start = len(self.boxes)
        self.boxes += rows
        bounds = np.array(rows)
        low, high = bounds[:, :3].min(0), bounds[:, 3:6].max(0)
        self.groups.append([c, s, start, len(self.boxes), *low, *high])

    def sphere(self, centre: Vector, radius: float, material: int) -> None:
        """Add a sphere; one of a radiant material is a lamp."""
        self.spheres.append([*centre, radius, material])
        power = luminance(self.materials[material][11:14]) * math.pi * radius**2
        if power > 0:
            self.lights.append([geometry.SPHERE, len(self.spheres) - 1, power])

    def rect(self, centre: Vector, u: Vector, v: Vector, radiance: Vector, *, window: bool = False) -> None:
        """Add a rectangle of half edges ``u``, ``v`` that shines towards u × v; a window tints the sky by ``radiance``."""
        cross = np.cross(u, v)
        length = float(np.linalg.norm(cross))
        area = 4 * length
        self.rects.append([*centre, *u, *v, *(cross / length), *radiance, float(window), area])
        shine = luminance(radiance) * (self._mean_sky(cross / length) if window else 1.0)
        if shine > 0:
            self.lights.append([geometry.RECT, len(self.rects) - 1, shine * area])

    def _mean_sky(self, inward: np.ndarray) -> float:
        """Mean luminance of the half of the sky that a window sees; set the sky before the windows."""
        height = self.sky.shape[0]
        lat = (0.5 - (np.arange(height) + 0.5) / height)[:, None] * np.pi
        lon = (0.5 - (np.arange(2 * height) + 0.5) / (2 * height))[None] * 2 * np.pi
        d = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon], -1)
        weight = np.cos(lat) * np.maximum(0, -(d @ inward))
        return float((self.sky @ REC709 * weight).sum() / max(weight.sum(), 1e-9)) + 1e-6

    def set_room(self, low: Vector, high: Vector, materials: Sequence[int]) -> None:
        """Enclose everything in a box; ``materials`` of the walls −x, −y, the floor, the walls +x, +y, the ceiling."""
        self.room = [*low, *high, 1.0, *materials]

    def set_sun(self, direction: Vector, irradiance: Vector, angular_radius: float) -> None:
        """Sun in the unit ``direction`` towards it; ``irradiance`` on a facing plane; angular radius in radians."""
        towards = np.asarray(direction, float) / np.linalg.norm(direction)
        cosine = math.cos(angular_radius)
        # 2π(1 − cos) loses its digits for a small disc; 4π sin²(r/2) does not.
        solid_angle = 4 * math.pi * math.sin(angular_radius / 2) ** 2
        self.sun = [*towards, *(np.asarray(irradiance, float) / solid_angle), cosine, solid_angle]
        self.lights.append([geometry.SKY, 0, luminance(irradiance)])

    def build(self) -> Scene:
        """Pack into contiguous float32 arrays."""

        def table(rows: list[list[float]], columns: int) -> np.ndarray:
            return np.array(rows, np.float32).reshape(-1, columns)

        return Scene(
            table(self.boxes, 7), table(self.groups, 10), table(self.spheres, 5), table(self.rects, 17),
            table([self.room], 13), table(self.materials or [[0.0] * 15], 15), table(self.lights, 3),
            np.array(self.sun, np.float32), np.ascontiguousarray(self.sky, np.float32),
        )  # fmt: skip
