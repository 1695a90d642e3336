# SPDX-License-Identifier: GPL-3.0-or-later
"""The path tracer on a CUDA device: the kernels of :mod:`.kernels`, compiled once more."""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numba import cuda

from ..backend.errors import MissingPart
from .scene import Scene
from .tracer import link

THREADS = 128


def available() -> bool:
    """Whether a CUDA device and its compiler answer."""
    return bool(cuda.is_available())


@cache
def _kernel() -> Any:
    trace_pixel = link(lambda function: cuda.jit(device=True, fastmath=True)(function))["trace_pixel"]

    @cuda.jit(fastmath=True)
    def trace_all(scene, origin, corners, settings, clamp, picture):  # type: ignore[no-untyped-def]
        pixel = cuda.grid(1)
        if pixel < picture.shape[0] * picture.shape[1]:
            trace_pixel(scene, origin, corners, settings, clamp, picture, pixel)

    return trace_all


class _Held:
    """A scene, hashed by itself: the pictures of a sample show one and the same."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def __hash__(self) -> int:
        return id(self.scene)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.scene is self.scene


@lru_cache(maxsize=1)
def _uploaded(held: _Held) -> Scene:
    """The arrays of a scene, which must not change any more, on the device."""
    # A device array cannot be empty; no node leads to the row of zeros.
    filled = [a if a.size else np.zeros((1, *a.shape[1:]), np.float32) for a in held.scene]
    return Scene(*(cuda.to_device(np.ascontiguousarray(a)) for a in filled))


def trace_picture(
    scene: Scene, origin: np.ndarray, corners: np.ndarray, settings: np.ndarray, clamp: np.float32, picture: np.ndarray
) -> None:
    """Fill ``picture`` (H, W, 14) as :func:`.kernels.trace_span` does, on the device."""
    if not available():
        raise MissingPart("No CUDA device answers.", "Trace on the CPU instead, or install the CUDA driver.")
    on_device = _uploaded(_Held(scene))
    target = cuda.to_device(picture)
    blocks = math.ceil(picture.shape[0] * picture.shape[1] / THREADS)
    arguments = (cuda.to_device(origin), cuda.to_device(corners), cuda.to_device(settings))
    _kernel()[blocks, THREADS](on_device, *arguments, clamp, target)
    target.copy_to_host(picture)
