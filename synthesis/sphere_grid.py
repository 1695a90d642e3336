# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the spheres of a view stand: a grid in the picture, LIMO's law in depth. Needs numpy alone."""

from __future__ import annotations

from typing import Any

import numpy as np

#: LIMO's law of a sphere's depth as a share of the nearest scene depth around it (methods.md §1.2).
DEPTH_MIN, DEPTH_MAX, DEPTH_GAMMA = 0.25, 0.98, 0.4
#: Sky counts as this far, metres.
FARTHEST = 20.0


def depth_share(u: np.ndarray | float) -> Any:
    """d_min + (d_max − d_min)·u^γ for uniform ``u``: mostly close to what is behind the sphere."""
    return DEPTH_MIN + (DEPTH_MAX - DEPTH_MIN) * np.asarray(u) ** DEPTH_GAMMA


def place_grid(
    depth: np.ndarray, focal: float, grid: tuple[int, int], diameter: float, rng: np.random.Generator,
    free_cells: bool = False,
) -> list[tuple[list[float], float]]:  # fmt: skip
    """Spheres (centre (3,) in the camera frame, radius), one a cell of ``grid`` = (columns, rows), none overlapping.

    ``depth``: planar depth (H, W) of the empty scene, ``focal`` in pixels, principal point in the middle. Each sphere
    has the ``diameter`` (pixels) in the middle of the picture, and the same solid radius at its depth elsewhere. With
    ``free_cells`` it stays before all that its cell shows, so that it can move anywhere in it.
    """
    height, width = depth.shape
    columns, rows = grid
    radius = min(diameter, 0.92 * width / columns, 0.92 * height / rows) / 2
    placed = []
    for row in range(rows):
        for column in range(columns):
            # Anywhere in the cell where the whole sphere, an ellipse off axis, still fits.
            spare_x, spare_y = width / columns / 2 - radius * 1.08, height / rows / 2 - radius * 1.08
            u = (column + 0.5) * width / columns + max(spare_x, 0) * rng.uniform(-1, 1)
            v = (row + 0.5) * height / rows + max(spare_y, 0) * rng.uniform(-1, 1)
            half = (height / rows / 2, width / columns / 2) if free_cells else (radius, radius)
            y, x = ((row + 0.5) * height / rows, (column + 0.5) * width / columns) if free_cells else (v, u)
            region = depth[
                max(0, int(y - half[0])) : int(y + half[0]) + 2, max(0, int(x - half[1])) : int(x + half[1]) + 2
            ]
            d = min(float(region.min()), FARTHEST) * float(depth_share(rng.random()))
            centre = [(u - width / 2) / focal * d, -(v - height / 2) / focal * d, -d]
            placed.append((centre, radius / focal * d))
    return placed
