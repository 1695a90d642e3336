# SPDX-License-Identifier: GPL-3.0-or-later
"""A compact path tracer: one set of scalar kernels, compiled for the CPU's cores or for a CUDA device.

The caller gives an origin and the directions of the pixel corners, so cameras and panoramas take the same way and the
kernels know no picture conventions. Numbers depend on the seed and the pixel alone, never on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numba
import numpy as np

from . import kernels
from .scene import Scene


class Traced(NamedTuple):
    """``radiance`` (H, W, 3) linear, ``distance`` (H, W) metres along the pixel's centre ray with +inf for sky and
    windows, ``normal`` (H, W, 3) of the first surface (zeros for sky), world frame; all float32."""

    radiance: np.ndarray
    distance: np.ndarray
    normal: np.ndarray


def link(compile_function: Callable[[FunctionType], Any]) -> dict[str, Any]:
    """Compile every kernel function with ``compile_function``, each calling the compiled ones before it."""
    namespace = dict(vars(kernels))
    for function in kernels.FUNCTIONS:
        namespace[function.__name__] = compile_function(rebind(function, namespace))
    return namespace


def rebind(function: FunctionType, namespace: dict[str, Any]) -> FunctionType:
    """The same code reading its globals from ``namespace``."""
    return FunctionType(function.__code__, namespace, function.__name__, function.__defaults__)


_compiled = link(numba.njit(cache=True, fastmath=True, nogil=True))
_trace_alone = numba.njit(cache=True, fastmath=True, nogil=True)(rebind(kernels.trace_picture, _compiled))
_trace_together = numba.njit(parallel=True, cache=True, fastmath=True, nogil=True)(
    rebind(kernels.trace_picture_together, _compiled)
)


def trace(
    scene: Scene,
    origin: np.ndarray,
    corners: np.ndarray,
    *,
    samples: int,
    seed: int,
    bounces: int = 5,
    show_sun: bool = True,
    clamp: float = 1e6,
    threads: int | None = None,
    device: str = "cpu",
) -> Traced:
    """Trace a picture of H×W pixels.

    ``origin`` (3,) and ``corners`` (H+1, W+1, 3), the directions of the pixels' corners (any length), in the world
    frame. ``clamp``: largest radiance a path may add after a diffuse or rough reflection. ``show_sun``: whether primary
    rays see the sun's disc (:func:`sun_visibility` and its exact energy serve coarse panoramas better).
    ``device``: "cpu" or "cuda".
    """
    height, width = corners.shape[0] - 1, corners.shape[1] - 1
    radiance = np.zeros((height, width, 3), np.float32)
    distance = np.zeros((height, width), np.float32)
    normal = np.zeros((height, width, 3), np.float32)
    arrays = np.asarray(origin, np.float32), np.ascontiguousarray(corners, np.float32)
    settings = np.array([seed & 0xFFFFFFFF, samples, bounces, int(show_sun)], np.int64)
    if device == "cuda":
        from . import cuda

        cuda.trace_picture(scene, *arrays, settings, np.float32(clamp), radiance, distance, normal)
    elif threads == 1:
        # Needs no thread pool, so that several of these may run in Python threads of their own.
        _trace_alone(scene, *arrays, settings, np.float32(clamp), radiance, distance, normal)
    else:
        previous = numba.get_num_threads()
        numba.set_num_threads(min(threads or previous, numba.config.NUMBA_NUM_THREADS))
        try:
            _trace_together(scene, *arrays, settings, np.float32(clamp), radiance, distance, normal)
        finally:
            numba.set_num_threads(previous)
    distance[distance >= kernels.FAR] = np.inf
    return Traced(radiance, distance, normal)


def sun_visibility(scene: Scene, origin: np.ndarray, samples: int = 32) -> float:
    """Share in [0, 1] of the sun's disc that ``origin`` (3,) sees."""
    if scene.sun[7] <= 0:
        return 0.0
    rng = np.random.default_rng(samples)
    seen = 0
    for a, b in rng.random((samples, 2)).astype(np.float32):
        d = _compiled["sample_cap"](*scene.sun[:3], scene.sun[6], a, b)
        seen += _compiled["open_to_sky"](scene, *np.asarray(origin, np.float32), *map(np.float32, d))
    return seen / samples


def first_hit(scene: Scene, origin: np.ndarray, direction: np.ndarray) -> float:
    """Distance in metres along a unit direction to the first surface; +inf for the sky."""
    ray = np.concatenate([origin, direction]).astype(np.float32)
    distance = _compiled["closest"](scene, *ray)[0]
    return float("inf") if distance >= kernels.FAR else float(distance)
