# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes for the path tracer: a builder for people, flat float32 arrays for the kernels.

World frame, z up, metres. Radiance linear Rec.709.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import arithmetic
from .hierarchy import build_nodes
from .patterns import TEXTURES
from .solids import Solid, Vector, ball, tilt

#: Textures that start elsewhere on every solid, so that no two look alike.
VARIED = ("planks", "grain", "noise", "patches", "marble", "grass")
REC709 = np.array([0.2126, 0.7152, 0.0722])


class Scene(NamedTuple):
    """What the kernels read. Columns of each array:

    ``nodes`` as :func:`.hierarchy.build_nodes` makes them, over all that follows but the room; ``solids`` centre 3,
    half box 3, axes 9 (rows, in the world), material, shape, radius at a drum's ends 2; ``spheres`` centre 3, radius,
    material; ``rects`` centre 3, half edges u 3 and v 3, unit normal 3, radiance or tint 3, 1 for a window onto the
    sky, area; ``room`` low 3, high 3, 1 where there is one, materials of −x −y −z +x +y +z; ``materials`` colour 3,
    second colour 3, texture, repeats a metre, roughness, reflectance at normal incidence, metal, radiance 3, lamp, share
    of a thin sheet's light that goes through, 1 where clear, 1 where each solid has its own piece of the texture;
    ``lights`` kind, index, power; ``sun`` direction 3, radiance 3, cosine of the angular radius, solid angle; ``sky``
    (N, 2N, 3) panorama in the world frame.
    """

    nodes: np.ndarray
    solids: np.ndarray
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
    solids: list[list[float]] = field(default_factory=list)
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
        glow: Vector | None = None,
        sheet: float = 0.0,
        clear: bool = False,
    ) -> int:
        """Add a material and return its number. Colours in [0, 1]; ``specular`` is the reflectance at 0°.

        ``radiance``: of a sphere that is a lamp. ``glow``: of a solid that shines dimly, times the texture's share of
        the second colour where it has one; paths find it by chance. ``sheet``: share of the light that a thin thing
        scatters through. ``clear``: a thin pane that reflects by ``specular`` and passes the rest, tinted.
        """
        second = colour if second is None else second
        numbers = [TEXTURES[texture], scale, roughness, specular, float(metal)]
        self.materials.append([*colour, *second, *numbers, *(radiance if glow is None else glow)])
        self.materials[-1] += [float(luminance(radiance) > 0), sheet, float(clear), float(texture in VARIED)]
        return len(self.materials) - 1

    def group(
        self, solids: Sequence[tuple[Vector, Vector, int] | Solid], at: Vector = (0, 0, 0), yaw: float = 0.0
    ) -> None:
        """Add solids, or boxes (low corner, high corner, material), given around the origin, turned, moved to ``at``."""
        frame = tilt(yaw)
        for item in solids:
            solid = item if isinstance(item, Solid) else Solid(*item)
            low, high = np.asarray(solid.low, float), np.asarray(solid.high, float)
            centre, half = np.asarray(at, float) + frame @ ((low + high) / 2), np.maximum(abs(high - low) / 2, 1e-4)
            axes = (frame if solid.turn is None else frame @ solid.turn).T
            self.solids.append([*centre, *half, *axes.ravel(), solid.material, solid.shape, solid.start, solid.end])

    def sphere(self, centre: Vector, radius: float, material: int) -> None:
        """Add a sphere; one of a radiant material is a lamp."""
        if not self.materials[material][14]:
            self.group([ball(centre, radius, material)])
            return
        self.spheres.append([*centre, radius, material])
        power = luminance(self.materials[material][11:14]) * math.pi * radius**2
        self.lights.append([arithmetic.SPHERE, len(self.spheres) - 1, power])

    def rect(self, centre: Vector, u: Vector, v: Vector, radiance: Vector, *, window: bool = False) -> None:
        """Add a rectangle of half edges ``u``, ``v`` that shines towards u × v; a window tints the sky by ``radiance``."""
        cross = np.cross(u, v)
        length = float(np.linalg.norm(cross))
        area = 4 * length
        self.rects.append([*centre, *u, *v, *(cross / length), *radiance, float(window), area])
        shine = luminance(radiance) * (self._mean_sky(cross / length) if window else 1.0)
        if shine > 0:
            self.lights.append([arithmetic.RECT, len(self.rects) - 1, shine * area])

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
        self.lights.append([arithmetic.SKY, 0, luminance(irradiance)])

    def build(self) -> Scene:
        """Pack into contiguous float32 arrays."""

        def table(rows: list[list[float]], columns: int) -> np.ndarray:
            return np.array(rows, np.float32).reshape(-1, columns)

        solids, spheres, rects = table(self.solids, 19), table(self.spheres, 5), table(self.rects, 17)
        return Scene(
            _nodes(solids, spheres, rects), solids, spheres, rects, table([self.room], 13),
            table(self.materials or [[0.0] * 18], 18), table(self.lights, 3),
            np.array(self.sun, np.float32), np.ascontiguousarray(self.sky, np.float32),
        )  # fmt: skip


def _nodes(solids: np.ndarray, spheres: np.ndarray, rects: np.ndarray) -> np.ndarray:
    """A tree over the solids and rectangles, then one over the spheres that shine: a walk goes on from one to the other.

    Apart, as a room that is lit by one lamp after another keeps its first tree.
    """
    nodes = _fixed_nodes(solids[:, :15].tobytes(), rects[:, :9].tobytes())
    if not len(spheres):
        return nodes
    half = np.repeat(spheres[:, 3:4], 3, 1) + 1e-4
    kinds = np.full(len(spheres), arithmetic.SPHERE)
    lamps = build_nodes(spheres[:, :3] - half, spheres[:, :3] + half, kinds, np.arange(len(spheres)))
    lamps[:, 6] += len(nodes)
    return np.concatenate([nodes, lamps])


@lru_cache(maxsize=4)
def _fixed_nodes(solid_rows: bytes, rect_rows: bytes) -> np.ndarray:
    """The tree over solids (centre 3, half 3, axes 9) and rectangles (centre 3, half edges 6), float32 rows."""
    solids = np.frombuffer(solid_rows, np.float32).reshape(-1, 15)
    rects = np.frombuffer(rect_rows, np.float32).reshape(-1, 9)
    reach = np.einsum("nij,ni->nj", abs(solids[:, 6:15].reshape(-1, 3, 3)), solids[:, 3:6])
    reaches = [reach, abs(rects[:, 3:6]) + abs(rects[:, 6:9])]
    centre = np.concatenate([table[:, :3] for table in (solids, rects)])
    kinds = np.repeat([arithmetic.SOLID, arithmetic.RECT], [len(r) for r in reaches])
    indices = np.concatenate([np.arange(len(r)) for r in reaches])
    # A hair wider than exact: a flat rectangle's bounds must not be missed by rounding.
    half = np.concatenate(reaches) + 1e-4
    return build_nodes(centre - half, centre + half, kinds, indices)
