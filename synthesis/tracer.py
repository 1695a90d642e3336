# SPDX-License-Identifier: GPL-3.0-or-later
"""A compact path tracer: one set of scalar kernels, compiled for the CPU's cores or for a CUDA device.

The caller gives an origin and the directions of the pixel corners, so cameras and panoramas take the same way and the
kernels know no picture conventions. Numbers depend on the seed and the pixel alone, never on the number of threads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numba
import numpy as np

from ..backend.compiled import njit
from . import arithmetic, kernels
from .scene import Scene


class Traced(NamedTuple):
    """What :func:`trace` found, float32, linear radiance, world frame.

    ``emitted`` (H, W, 3): lamps and sky seen directly or in mirrors; ``reflected`` (H, W, 3): the rest, and noisy;
    ``albedo`` (H, W, 3) of the first diffuse or rough surface; ``distance`` (H, W): metres along the pixel's centre
    ray, +inf for sky and windows; ``normal`` (H, W, 3) of the first surface, zeros for sky; ``variance`` (H, W) of the
    mean of (Σ reflected)/(Σ albedo).
    """

    emitted: np.ndarray
    reflected: np.ndarray
    albedo: np.ndarray
    distance: np.ndarray
    normal: np.ndarray
    variance: np.ndarray

    @property
    def radiance(self) -> np.ndarray:
        """All light (H, W, 3), unfiltered."""
        return self.emitted + self.reflected


def link(compile_function: Callable[[FunctionType], Any]) -> dict[str, Any]:
    """Compile every kernel function with ``compile_function``, each calling the compiled ones before it."""
    namespace = {k: v for module in (*kernels.MODULES, kernels) for k, v in vars(module).items()}
    for function in kernels.FUNCTIONS:
        namespace[function.__name__] = compile_function(rebind(function, namespace))
    return namespace


def rebind(function: FunctionType, namespace: dict[str, Any]) -> FunctionType:
    """The same code reading its globals from ``namespace``."""
    return FunctionType(function.__code__, namespace, function.__name__, function.__defaults__)


def cached_njit(sources: tuple[Any, ...], **options: Any) -> Callable[[FunctionType], Any]:
    """``numba.njit`` with a cache on disk of its own for this very text of the ``sources`` (modules) and these options.

    Numba's cache notices a change of a function's own file only, not of what the function calls or how it is compiled.
    """
    texts = [Path(name).read_bytes() for name in (__file__, *(module.__file__ for module in sources))]
    digest = hashlib.sha256(b"".join([*texts, repr(options).encode()])).hexdigest()[:16]

    def compile_function(function: FunctionType) -> Any:
        previous = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(Path(__file__).parent / "__pycache__" / digest)
        try:
            return njit(fastmath=True, nogil=True, error_model="numpy", **options)(function)
        finally:
            numba.config.CACHE_DIR = previous

    return compile_function


# The kernels allocate nothing. Without Numba's run time they also count no references to the scene's arrays, which
# costs a third of the time and makes threads fight over the counters.
_jit = cached_njit((*kernels.MODULES, kernels), _nrt=False)
_compiled = link(_jit)
_trace_span = _jit(rebind(kernels.trace_span, _compiled))
#: Pixels that a thread takes at a time.
SPAN = 512


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
    frame. ``clamp``: largest radiance that indirect light may add at one vertex of a path. ``show_sun``: whether primary
    rays see the sun's disc (:func:`sun_visibility` and its exact energy serve coarse panoramas better).
    ``device``: "cpu" or "cuda".
    """
    picture = np.zeros((corners.shape[0] - 1, corners.shape[1] - 1, 14), np.float32)
    arrays = np.asarray(origin, np.float32), np.ascontiguousarray(corners, np.float32)
    settings = np.array([seed & 0xFFFFFFFF, samples, bounces, int(show_sun)], np.int64)
    if device == "cuda":
        from . import cuda

        cuda.trace_picture(scene, *arrays, settings, np.float32(clamp), picture)
    else:
        pixels = picture.shape[0] * picture.shape[1]

        def work(first: int) -> None:
            last = min(first + SPAN, pixels)
            _trace_span(scene, *arrays, settings, np.float32(clamp), picture, first, last)

        # The kernels run without the interpreter's lock. One compiled function for any number of threads: a second
        # one, compiled for a parallel loop, would round differently.
        with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
            list(pool.map(work, range(0, pixels, SPAN)))
    distance = picture[..., 9]
    distance[distance >= arithmetic.FAR] = np.inf
    return Traced(
        picture[..., :3], picture[..., 3:6], picture[..., 6:9], distance, picture[..., 10:13], picture[..., 13]
    )


def sun_visibility(scene: Scene, origin: np.ndarray, samples: int = 32) -> float:
    """Share in [0, 1] of the sun's light that reaches ``origin`` (3,), panes counted by what they let pass."""
    if scene.sun[7] <= 0:
        return 0.0
    rng = np.random.default_rng(samples)
    seen = 0.0
    for a, b in rng.random((samples, 2)).astype(np.float32):
        d = _compiled["sample_cap"](*scene.sun[:3], scene.sun[6], a, b)
        ray = (*np.asarray(origin, np.float32), *map(np.float32, d))
        reach = _compiled["sky_reach"](scene, *ray)
        seen += np.mean(_compiled["shadow"](scene, *ray, reach)) if reach > 0 else 0.0
    return float(seen / samples)


def first_hit(scene: Scene, origin: np.ndarray, direction: np.ndarray) -> float:
    """Distance in metres along a unit direction to the first surface; +inf for the sky."""
    ray = np.concatenate([origin, direction]).astype(np.float32)
    distance = _compiled["closest"](scene, *ray)[0]
    return float("inf") if distance >= arithmetic.FAR else float(distance)
