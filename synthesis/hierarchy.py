# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which a ray asks for a scene's things: a tree of boxes, laid out so that a walk needs no stack."""

from __future__ import annotations

import numpy as np

#: Things below one inner node.
LEAF = 3


def build_nodes(low: np.ndarray, high: np.ndarray, kinds: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Nodes (M, 9) float32 over N things with the bounds ``low``, ``high`` (N, 3), in the order of a depth-first walk.

    Columns: bounds low 3 and high 3, the node to go on with when the bounds are missed, kind of the thing (0 for an
    inner node) and its index. Split where the surface area heuristic says.
    """
    rows: list[list[float]] = []
    if not len(low):
        # A walk must end even over nothing, and a device array cannot be empty.
        return np.array([[0, 0, 0, 0, 0, 0, 1, 0, 0]], np.float32)
    _add(np.arange(len(low)), low.astype(np.float64), high.astype(np.float64), kinds, indices, rows)
    return np.array(rows, np.float32)


def _add(
    members: np.ndarray, low: np.ndarray, high: np.ndarray, kinds: np.ndarray, indices: np.ndarray,
    rows: list[list[float]],
) -> None:  # fmt: skip
    """Append the subtree of ``members``."""
    if len(members) == 1:
        i = members[0]
        rows.append([*low[i], *high[i], len(rows) + 1, kinds[i], indices[i]])
        return
    start = len(rows)
    rows.append([*low[members].min(0), *high[members].max(0), 0, 0, 0])
    parts = np.split(members, len(members)) if len(members) <= LEAF else _halves(members, low, high)
    for part in parts:
        _add(part, low, high, kinds, indices, rows)
    rows[start][6] = len(rows)


def _halves(members: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two groups of least area times number."""
    order = np.argsort(low[members] + high[members], 0, kind="stable")
    ordered = members[order]
    least, most = low[ordered], high[ordered]

    def areas(minimum: np.ndarray, maximum: np.ndarray) -> np.ndarray:
        x, y, z = np.moveaxis(maximum - minimum, -1, 0)
        return x * y + y * z + z * x

    # Bounds of the first k + 1 and of the last n − k members along each axis.
    first = areas(np.minimum.accumulate(least), np.maximum.accumulate(most))[:-1]
    last = areas(np.minimum.accumulate(least[::-1]), np.maximum.accumulate(most[::-1]))[::-1][1:]
    sizes = np.arange(1, len(members))[:, None]
    cost = first * sizes + last * (len(members) - sizes)
    at, axis = np.unravel_index(cost.argmin(), cost.shape)
    return ordered[: at + 1, axis], ordered[at + 1 :, axis]
