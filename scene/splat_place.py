# SPDX-License-Identifier: GPL-3.0-or-later
"""Clouds moved, turned, scaled and put together; the engine's own are backend/splats/place.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import srgb
from .splat_file import Cloud
from .splat_harmonics import DC, turned

#: What is not learnt is drawn as a dull surface, as splat_surface draws it.
_UNKNOWN = {"metallic": 0.0, "roughness": 0.6, "progress": 1.0}


def placed(cloud: Cloud, matrix: np.ndarray) -> Cloud:
    """The cloud under an affine ``matrix`` (4, 4); if it shears or mirrors, harmonics follow its rotation alone."""
    linear, shift = np.asarray(matrix, float)[:3, :3], np.asarray(matrix, float)[:3, 3]
    left, _, right = np.linalg.svd(linear)
    rotation = left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right
    # Each Gaussian's axes, as long as its deviations, under the matrix; the new ones stand at right angles.
    axes, lengths, _ = np.linalg.svd(linear @ (matrices(cloud.rotations) * cloud.scales[:, None, :]))
    axes[np.linalg.det(axes) < 0, :, 2] *= -1
    return replace(
        cloud,
        means=(cloud.means @ linear.T + shift).astype(np.float32),
        rotations=quaternions(axes),
        scales=np.maximum(lengths, 1e-12).astype(np.float32),
        harmonics=turned(cloud.harmonics, rotation),
    )


def merged(clouds: list[Cloud]) -> Cloud:
    """One cloud of several: harmonics as the richest has them, and material if any has it."""
    terms = max(cloud.harmonics.shape[1] for cloud in clouds)
    names = next((list(cloud.material) for cloud in clouds if cloud.material), [])

    def filled(cloud: Cloud) -> np.ndarray:
        return np.pad(cloud.harmonics, [(0, 0), (0, terms - cloud.harmonics.shape[1]), (0, 0)])

    plain = {name: np.concatenate([getattr(cloud, name) for cloud in clouds])
             for name in ("means", "base", "scales", "rotations")}  # fmt: skip
    materials = [cloud.material or stand_in(cloud) for cloud in clouds] if names else []
    material = {name: np.concatenate([each[name] for each in materials]) for name in names}
    left_out = sum(cloud.left_out for cloud in clouds)
    return Cloud(**plain, harmonics=np.concatenate([*map(filled, clouds)]), material=material, left_out=left_out)


def part(cloud: Cloud, kept: np.ndarray) -> Cloud:
    """Only these of a cloud's Gaussians, (N,) bool."""
    arrays = {name: getattr(cloud, name)[kept] for name in ("means", "base", "scales", "rotations", "harmonics")}
    return replace(cloud, **arrays, material={name: values[kept] for name, values in cloud.material.items()})


def stand_in(cloud: Cloud) -> dict[str, np.ndarray]:
    """The material as which Gaussians without one are drawn: their photographed colour on a dull surface."""
    albedo = srgb.linear(np.clip(0.5 + DC * cloud.base[:, :3], 0, 1))
    rest = {name: np.full((len(cloud.means), 1), value, np.float32) for name, value in _UNKNOWN.items()}
    return {"albedo": albedo, **rest}


def matrices(quaternions: np.ndarray) -> np.ndarray:
    """(N, 3, 3) of unit quaternions (N, 4), w x y z."""
    w, x, y, z = quaternions.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """(N, 4) w x y z, float32, of rotations (N, 3, 3): the eigenvector of their 4 × 4 form (Bar-Itzhack 2000)."""
    m = rotations.astype(float)
    skew = np.stack([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], -1)
    trace = np.trace(m, axis1=1, axis2=2)
    form = np.empty((len(m), 4, 4))
    form[:, 0, 0], form[:, 0, 1:], form[:, 1:, 0] = trace, skew, skew
    form[:, 1:, 1:] = m + m.transpose(0, 2, 1) - trace[:, None, None] * np.eye(3)
    # Eigenvalues rise; the largest belongs to the rotation.
    return np.linalg.eigh(form)[1][:, :, 3].astype(np.float32)
