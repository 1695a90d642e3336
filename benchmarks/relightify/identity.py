# SPDX-License-Identifier: GPL-3.0-or-later
"""How alike two pictures are to a face-recognition network: the distance of their descriptors.

The network is dlib's (King, *dlib_face_recognition_resnet_model_v1*, weights CC0), where ``dlib-bin`` and
``face_recognition_models`` are installed; nothing else needs them. Pictures of one person usually lie nearer than 0.6.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

#: MediaPipe's landmarks where dlib's alignment has its five points: corners of the eye at the picture's right, outer
#: then inner, of that at its left, and the base of the nose.
_ALIGNED = [263, 362, 33, 133, 2]
_SIDE, _PADDING = 150, 0.25
_WEIGHTS = Path("models") / "dlib_face_recognition_resnet_model_v1.dat"


@cache
def network() -> Any | None:
    """The network, or None if it is not installed."""
    models = importlib.util.find_spec("face_recognition_models")
    if importlib.util.find_spec("dlib") is None or models is None or not models.submodule_search_locations:
        return None
    import dlib

    # Its own module needs a setuptools of old; the weights lie beside it.
    return dlib.face_recognition_model_v1(str(Path(models.submodule_search_locations[0]) / _WEIGHTS))


def descriptor(picture: Tensor, landmarks: Tensor) -> np.ndarray:
    """(128,) of a face in a display picture (H, W, 3) with ``landmarks`` (468, 2), 0..1 of it; it takes a network."""
    import dlib

    height, width = picture.shape[:2]
    pixels = (picture.clamp(0, 1).numpy() * 255 + 0.5).astype(np.uint8)
    points = [dlib.point(round(u * width), round(v * height)) for u, v in landmarks[_ALIGNED].tolist()]
    found = dlib.full_object_detection(dlib.rectangle(0, 0, width, height), points)
    chip = dlib.get_face_chip(np.ascontiguousarray(pixels), found, size=_SIDE, padding=_PADDING)
    return np.array(network().compute_face_descriptor(chip))  # type: ignore[union-attr]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Euclidean distance of two descriptors."""
    return float(np.linalg.norm(one - other))


def usual(heads: list[dict[str, np.ndarray]]) -> dict[str, float] | None:
    """Mean distances to compare with, of heads' descriptors by environment: of one head in two lights (``light``), and
    of two heads in one light (``others``); None without two of each."""
    light = [distance(a, b) for head in heads for a, b in combinations(head.values(), 2)]
    others = [distance(one[name], other[name]) for one, other in combinations(heads, 2) for name in one]
    if not light or not others:
        return None
    return {"light": float(np.mean(light)), "others": float(np.mean(others))}
