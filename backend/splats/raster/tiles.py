# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ellipses each tile of the picture has to look at, nearest first."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...compiled import njit
from .project import DEPTH, JIT

#: Pixels along a tile's edge.
TILE = 16


class TileLists(NamedTuple):
    """``starts`` (T + 1,): where each tile's part of ``members`` and ``slots`` (M,) begins, tiles row by row.

    ``members`` are numbers of Gaussians; ``slots`` number all meetings of tile and Gaussian with one Gaussian's side by
    side, from ``firsts`` (N + 1,) on, so that tiles can write gradients at once that are then added up.
    """

    starts: np.ndarray
    members: np.ndarray
    slots: np.ndarray
    firsts: np.ndarray


@njit(**JIT)
def _count(boxes: Any, across: int, starts: Any, firsts: Any) -> None:
    for n in range(boxes.shape[0]):
        met = 0
        if boxes[n, 1] > boxes[n, 0]:
            for row in range(boxes[n, 2] // TILE, (boxes[n, 3] - 1) // TILE + 1):
                for column in range(boxes[n, 0] // TILE, (boxes[n, 1] - 1) // TILE + 1):
                    starts[row * across + column + 1] += 1
                    met += 1
        firsts[n + 1] = firsts[n] + met
    for tile in range(len(starts) - 1):
        starts[tile + 1] += starts[tile]


@njit(**JIT)
def _fill(order: Any, boxes: Any, across: int, ends: Any, firsts: Any, members: Any, slots: Any) -> None:
    for n in order:
        slot = firsts[n]
        if boxes[n, 1] > boxes[n, 0]:
            for row in range(boxes[n, 2] // TILE, (boxes[n, 3] - 1) // TILE + 1):
                for column in range(boxes[n, 0] // TILE, (boxes[n, 1] - 1) // TILE + 1):
                    tile = row * across + column
                    members[ends[tile]], slots[ends[tile]] = n, slot
                    ends[tile] += 1
                    slot += 1


def sort_into_tiles(ellipses: np.ndarray, boxes: np.ndarray, width: int, height: int) -> TileLists:
    """From ``ellipses`` (N, 8) and ``boxes`` (N, 4) of :func:`.project.forward`."""
    across, down = -(-width // TILE), -(-height // TILE)
    starts, firsts = np.zeros(across * down + 1, np.int64), np.zeros(len(boxes) + 1, np.int64)
    _count(boxes, across, starts, firsts)
    order = np.argsort(ellipses[:, DEPTH], kind="stable")
    members, slots = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int64)
    _fill(order, boxes, across, starts[:-1].copy(), firsts, members, slots)
    return TileLists(starts, members, slots, firsts)
