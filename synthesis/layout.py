# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things may stand in a room that is centred on the z axis."""

from __future__ import annotations

import math

import numpy as np

from .scene import SceneBuilder

#: (axis, side) of the four walls −x, −y, +x, +y.
WALLS = ((0, -1), (1, -1), (0, 1), (1, 1))
#: Yaw that turns a thing which faces −y so that its back is at that wall.
YAWS = {(1, 1): 0.0, (0, -1): 0.5 * math.pi, (1, -1): math.pi, (0, 1): 1.5 * math.pi}


def on_wall(
    half: np.ndarray, axis: int, side: int, along: float, z: float, gap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A point ``gap`` metres off a wall, the unit vector along the wall and the inward normal, each (3,)."""
    inward, tangent = np.zeros(3), np.zeros(3)
    inward[axis], tangent[1 - axis] = -side, 1.0
    point = tangent * along - inward * (half[axis] - gap)
    point[2] = z
    return point, tangent, inward


def free_spot(
    rng: np.random.Generator, builder: SceneBuilder, half: np.ndarray, radius: float, *, wall: float | None = None
) -> tuple[float, float, float] | None:
    """(x, y, yaw) of a free place for something of bounding ``radius``; ``wall``: with its middle so far off a wall."""
    for _ in range(12):
        x, y = rng.uniform(-1, 1, 2) * np.maximum(half - radius, 0.05)
        yaw = rng.uniform(0, 2 * math.pi)
        if wall is not None:
            axis, side = WALLS[rng.integers(4)]
            along = rng.uniform(-1, 1) * max(0.05, half[1 - axis] - radius)
            point, _, _ = on_wall(half, axis, side, along, 0, wall)
            x, y, yaw = point[0], point[1], YAWS[(axis, side)]
        if all(math.hypot(x - p[0], y - p[1]) > radius + p[3] for p in builder.placed):
            builder.placed.append((x, y, 0.0, radius))
            return x, y, yaw
    return None
