# SPDX-License-Identifier: GPL-3.0-or-later
"""The UV square of the head as skin sees it: where each texel lies on the mean head, and how large it is there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage

from ...backend.relightify import head as morphable
from ...backend.relightify.head import HeadModel
from ...backend.relightify.raster import corner_normals, uv_raster


@dataclass(frozen=True, eq=False)
class Layout:
    """``R`` texels a side; maps (R, R, …) float32, row 0 at v = 1, the nearest skin's value off the skin.

    ``place`` (R, R, 3): millimetres, head frame, on the mean head; ``normal`` (R, R, 3): its unit normals; ``texel``
    (R, R, 2): millimetres a texel along u and along v; ``mask`` (R, R) bool; ``u`` and ``v`` (R, R) in 0..1, v down.
    """

    size: int
    place: np.ndarray
    normal: np.ndarray
    texel: np.ndarray
    mask: np.ndarray
    u: np.ndarray
    v: np.ndarray

    @property
    def x(self) -> np.ndarray:
        """(R, R): millimetres from the middle plane, on either side."""
        return np.abs(self.place[..., 0])

    @property
    def y(self) -> np.ndarray:
        """(R, R): millimetres behind the eyes."""
        return self.place[..., 1]

    @property
    def z(self) -> np.ndarray:
        """(R, R): millimetres above the eyes."""
        return self.place[..., 2]

    def blob(self, x: float, z: float, width: float, height: float, front: float = 25.0) -> np.ndarray:
        """(R, R): a soft spot in millimetres on both sides of the face, none on the back of the head."""
        d = ((self.x - x) / width) ** 2 + ((self.z - z) / height) ** 2
        return np.exp(-0.5 * d) * step(self.y, front + 15, front - 10)

    def at(self, u: float, v: float, width: float, height: float) -> np.ndarray:
        """(R, R): squared distance to a point of the UV square on either half, in units of an ellipse's half axes."""
        half = np.minimum(self.u, 1 - self.u)
        return ((half - u) / width) ** 2 + ((self.v - v) / height) ** 2


def step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """A smooth step from 0 at ``low`` to 1 at ``high``, which may lie below."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


@lru_cache(maxsize=1)
def model() -> HeadModel:
    """The head that ships."""
    return morphable.load()


@lru_cache(maxsize=4)
def layout(size: int) -> Layout:
    """The layout of the head that ships, at so many texels a side; made once."""
    head = model()
    corners = head.corners(head.mean)
    place = on_skin(corners * 1000, size)
    inside = uv_raster(head, size, "skin")[0].mask.numpy()
    along = [np.linalg.norm(np.gradient(place, axis=axis), axis=-1) for axis in (1, 0)]
    texel = fill(np.stack(along, -1), ndimage.binary_erosion(inside, iterations=2)).clip(0.05, 20)
    # Smoother than the mesh, whose faces would else show in all that is measured in millimetres.
    texel = ndimage.gaussian_filter(texel, (size / 150, size / 150, 0), mode="nearest")
    centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
    v, u = np.meshgrid(centres, centres, indexing="ij")
    return Layout(size, place, unit(on_skin(corner_normals(head, head.mean), size)), texel, inside, u, v)


def on_skin(values: torch.Tensor, size: int) -> np.ndarray:
    """Values (C, D) of a head's corners over the UV square (R, R, D), off the skin the nearest skin's."""
    raster, triangles = uv_raster(model(), size, "skin")
    return fill(raster.interpolate(triangles, values.float()).numpy(), raster.mask.numpy())


def fill(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The same map (R, R, …), where not ``inside`` the value of the nearest texel that is."""
    return np.ascontiguousarray(values[_nearest(inside.tobytes(), inside.shape)], dtype=np.float32)


@lru_cache(maxsize=8)
def _nearest(inside: bytes, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    mask = np.frombuffer(inside, bool).reshape(shape)
    return tuple(ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True))


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scalar products (…) of vectors (…, 3), which may broadcast; faster than a sum over so short an axis."""
    return np.asarray(a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (…, 3) of length 1; zeros stay."""
    return np.asarray(vectors / np.maximum(np.sqrt(dot(vectors, vectors)), 1e-9)[..., None])
