# SPDX-License-Identifier: GPL-3.0-or-later
"""Where faces are: BlazeFace (Bazarevsky et al. 2019; MediaPipe's short-range model, Apache-2.0), on tiles too.

The network sees 128 pixels, so a face must fill a good part of what it is shown; tiles find smaller ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .litert import network

SIDE = 128
#: Cells along a side of the two grids of anchors, and anchors in each cell.
GRIDS = ((16, 2), (8, 6))
LEAST_SCORE = 0.5
#: Detections that share more of their area than this are of one face.
SAME = 0.3
#: Tiles have these sides, as parts of the picture's shorter side; each overlaps the next by half.
TILES = (1.0, 0.5, 0.25)


@dataclass(frozen=True)
class Detection:
    """A face: ``box`` left, top, right, bottom and ``keys`` (6, 2) in pixels of the picture: the head's right eye,
    its left eye, nose, mouth, right and left ear; ``score`` in 0..1."""

    box: np.ndarray
    keys: np.ndarray
    score: float


def detect(picture: Tensor) -> list[Detection]:
    """The faces of a picture (H, W, 3), sRGB-encoded in 0..1, the largest first."""
    height, width = picture.shape[:2]
    sides = [max(height, width), *(min(height, width) * part for part in TILES)]
    found = [one for side in sides if side >= SIDE // 2 for one in _look(picture, side)]
    merged = [Detection(values[:4], values[4:].reshape(6, 2), score) for values, score in _merged(found)]
    return sorted(merged, key=lambda face: -_area(face.box))


def _look(picture: Tensor, side: float) -> Iterator[tuple[np.ndarray, float]]:
    """What the network sees in squares of ``side`` pixels that cover the picture: box and keys (16,), and the score."""
    shape = [max(1, round(length * SIDE / side)) for length in picture.shape[:2]]
    planes = picture.permute(2, 0, 1)[None]
    small = torch.nn.functional.interpolate(planes, shape, mode="bilinear", antialias=True)[0].permute(1, 2, 0)
    for top in _starts(shape[0]):
        for left in _starts(shape[1]):
            tile = torch.zeros(1, SIDE, SIDE, 3)
            part = small[top : top + SIDE, left : left + SIDE]
            tile[0, : part.shape[0], : part.shape[1]] = part
            for values, score in _answers(tile):
                yield (values * SIDE + np.tile((left, top), len(values) // 2)) * (side / SIDE), score


def _starts(length: int) -> list[int]:
    """Where tiles begin that cover ``length`` and overlap by at least half."""
    rest = max(0, length - SIDE)
    return [round(start) for start in np.linspace(0, rest, math.ceil(2 * rest / SIDE) + 1)]


def _answers(tile: Tensor) -> Iterator[tuple[np.ndarray, float]]:
    """What the network sees in (1, 128, 128, 3): box and keys (16,) in parts of the side, and the score."""
    raw, logits = network("face_detection_short_range")((tile * 2 - 1).numpy())
    scores = 1 / (1 + np.exp(-logits[0, :, 0].clip(-80, 80)))
    for index in np.flatnonzero(scores >= LEAST_SCORE):
        values = raw[0, index] / SIDE
        middle, size, keys = _ANCHORS[index] + values[:2], values[2:4], values[4:].reshape(6, 2) + _ANCHORS[index]
        yield np.concatenate([middle - size / 2, middle + size / 2, keys.ravel()]), float(scores[index])


def _anchors() -> np.ndarray:
    """(896, 2): the centres of the anchors, in parts of the side."""
    grids = []
    for cells, each in GRIDS:
        axis = (np.arange(cells) + 0.5) / cells
        grids.append(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2).repeat(each, 0))
    return np.concatenate(grids)


_ANCHORS = _anchors()


def _area(box: np.ndarray) -> float:
    return float(np.prod((box[2:] - box[:2]).clip(0)))


def _merged(found: list[tuple[np.ndarray, float]]) -> Iterator[tuple[np.ndarray, float]]:
    """The best detection of each face."""
    left = sorted(found, key=lambda one: -one[1])
    while left:
        best = left[0]
        yield best
        left = [one for one in left[1:] if _overlap(best[0], one[0]) <= SAME]


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Shared area of two boxes over that of the smaller: a tile that cuts a face sees a part of the same face."""
    shared = np.concatenate([np.maximum(one[:2], other[:2]), np.minimum(one[2:4], other[2:4])])
    return _area(shared) / max(min(_area(one[:4]), _area(other[:4])), 1e-9)
