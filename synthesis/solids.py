# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes that things are made of, each inscribed in a box. Metres, floor of the thing at z = 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import geometry

Vector = Sequence[float] | np.ndarray


class Solid(NamedTuple):
    """Box corners, material, shape of :mod:`.geometry`, shares of the radius at a drum's ends, own rotation (3, 3)."""

    low: Vector
    high: Vector
    material: int
    shape: int = geometry.BLOCK
    start: float = 1.0
    end: float = 1.0
    turn: np.ndarray | None = None


def box(low: Vector, high: Vector, material: int, turn: np.ndarray | None = None) -> Solid:
    """A block."""
    return Solid(low, high, material, turn=turn)


def ball(centre: Vector, half: Vector | float, material: int, turn: np.ndarray | None = None) -> Solid:
    """An ellipsoid of half axes ``half``."""
    c, h = np.asarray(centre, float), np.broadcast_to(np.asarray(half, float), 3)
    return Solid(c - h, c + h, material, geometry.BALL, turn=turn)


def drum(low: Vector, high: Vector, material: int, start: float = 1.0, end: float = 1.0, axis: int = 2) -> Solid:
    """A cylinder or cone along ``axis``; ``start`` and ``end``: its radius there as shares in [0, 1] of the box's."""
    return Solid(low, high, material, geometry.DRUM + axis, start, end)


def post(
    x: float, y: float, z0: float, z1: float, radius: float, material: int, start: float = 1.0, end: float = 1.0
) -> Solid:
    """An upright drum."""
    return drum((x - radius, y - radius, z0), (x + radius, y + radius, z1), material, start, end)


def shade(x: float, y: float, z0: float, z1: float, radius: float, material: int, end: float = 0.6) -> Solid:
    """An open mantle about z, as of a lampshade, narrower above by ``end``."""
    low, high = (x - radius, y - radius, z0), (x + radius, y + radius, z1)
    return Solid(low, high, material, geometry.SHELL, 1.0, end)


def tilt(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Rotation (3, 3): first roll about x, then pitch about y, then yaw about z; radians."""
    (cy, sy), (cp, sp), (cr, sr) = ((math.cos(a), math.sin(a)) for a in (yaw, pitch, roll))
    turn = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    return turn @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
