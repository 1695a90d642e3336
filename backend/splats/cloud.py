# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud of 3D Gaussians as all of this room knows it: geometry, radiance and, where it was learnt, material.

At rest a cloud is plain numpy (float32), so that reading and editing a file needs no torch; ``tensors`` hands the same
numbers to torch. No frame is invented: axes are those of the file. 3DGS training leaves COLMAP's (x right, y down,
z forward); who needs others turns the cloud and says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray[Any, Any]

#: The constant harmonic, 1 / (2 √π): a colour is .5 + DC · sh[0] + ….
DC = 0.28209479177387814
#: What a cloud has of every Gaussian but its material.
ARRAYS = ("means", "quats", "scales", "opacity", "sh")
#: The highest degree of harmonics that files hold.
HIGHEST_DEGREE = 4


@dataclass(frozen=True)
class Material:
    """What a Gaussian is made of; all float32 in 0..1.

    ``albedo`` (N, 3) linear Rec.709; ``metallic``, ``roughness`` (N,); ``progress`` (N,) is the distillation's α:
    the share of physical shading in the Gaussian's colour, the rest being its raw radiance (methods.md §5.2).
    """

    albedo: Array
    metallic: Array
    roughness: Array
    progress: Array

    def __getitem__(self, index: Any) -> Material:
        return Material(**{part.name: getattr(self, part.name)[index] for part in fields(self)})


@dataclass(frozen=True)
class Splats:
    """N Gaussians.

    ``means`` (N, 3); ``quats`` (N, 4) w x y z, unit length; ``scales`` (N, 3) standard deviations, linear, > 0;
    ``opacity`` (N,) 0..1; ``sh`` (N, K, 3), K = (degree + 1)²: 3DGS' real harmonics with its signs (Condon–Shortley
    phase, order of each degree −l … l), RGB last. ``.5 + Σ sh_k Y_k(d)`` is the display colour (sRGB-encoded) seen
    along d, the unit vector from the eye to the Gaussian in the cloud's own frame. ``z_up``: the frame is known to have
    z up, as Blender and NeRF's cameras have; else up is what the kind of file has by custom.
    """

    means: Array
    quats: Array
    scales: Array
    opacity: Array
    sh: Array
    material: Material | None = None
    z_up: bool = False

    def __len__(self) -> int:
        return int(self.means.shape[0])

    def __getitem__(self, index: Any) -> Splats:
        """Some of the Gaussians: a mask, a slice or an array of numbers."""
        parts = {name: getattr(self, name)[index] for name in ARRAYS}
        return replace(self, **parts, material=None if self.material is None else self.material[index])

    @property
    def degree(self) -> int:
        """The degree of the harmonics, 0 to 4."""
        return math.isqrt(self.sh.shape[1]) - 1

    @property
    def base_colour(self) -> Array:
        """(N, 3): the colour without its view dependence, sRGB-encoded, unclipped."""
        return 0.5 + DC * self.sh[:, 0]

    def with_degree(self, degree: int) -> Splats:
        """The same with harmonics cut to ``degree``, or filled up to it with zeros."""
        count = (degree + 1) ** 2
        sh = np.zeros((len(self), count, 3), np.float32)
        kept = min(count, self.sh.shape[1])
        sh[:, :kept] = self.sh[:, :kept]
        return replace(self, sh=sh)

    def rotations(self) -> Array:
        """(N, 3, 3): columns are the Gaussians' axes in the cloud's frame."""
        w, x, y, z = self.quats.T
        rows = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        return np.stack([np.stack(row, -1) for row in rows], -2)

    def normals(self, viewer: Array | None = None) -> Array:
        """(N, 3): each Gaussian's shortest axis, unit length, turned towards the ``viewer`` (3,), a point.

        Without a viewer they point away from the cloud's middle, which is right for a closed object.
        """
        shortest = np.argmin(self.scales, axis=1)
        axes = np.take_along_axis(self.rotations(), shortest[:, None, None], axis=2)[..., 0]
        away = self.means - np.median(self.means, axis=0) if viewer is None else np.asarray(viewer) - self.means
        turned = np.where(np.sum(axes * away, axis=1, keepdims=True) < 0, -axes, axes)
        return turned.astype(np.float32)

    def tensors(self, device: str = "cpu") -> dict[str, Tensor]:
        """The arrays as torch tensors by their names, the material's channels among them."""
        import torch

        arrays = {name: getattr(self, name) for name in ARRAYS}
        if self.material is not None:
            arrays |= {part.name: getattr(self.material, part.name) for part in fields(self.material)}
        return {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}


def from_tensors(tensors: dict[str, Tensor]) -> Splats:
    """A cloud of what ``Splats.tensors`` returned, or of a training's values under the same names."""
    arrays: dict[str, Any] = {name: value.detach().cpu().numpy().astype(np.float32) for name, value in tensors.items()}
    channels = [part.name for part in fields(Material)]
    material = Material(**{name: arrays.pop(name) for name in channels}) if "albedo" in arrays else None
    return Splats(**arrays, material=material)
