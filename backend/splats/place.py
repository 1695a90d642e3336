# SPDX-License-Identifier: GPL-3.0-or-later
"""Clouds moved, turned, scaled and put together."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from . import harmonics
from .cloud import ARRAYS, Material, Splats

Array = np.ndarray[Any, Any]

#: Half a turn about x: from COLMAP's axes (y down, z forward; usual in PLY) to glTF's and SPZ's (y up), and back.
HALF_TURN = np.diag([1.0, -1.0, -1.0])
#: A quarter turn about x: from z up to y up; back to front it leads to y down.
QUARTER_TURN = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def uprighting(splats: Splats, y_up: bool, to_y_up: bool) -> Array | None:
    """The rotation (3, 3) that stands a cloud upright where y is up or, by custom, down; None if it does already.

    ``y_up``: that of the kind of file that it came from, which counts unless its own z is up.
    """
    if splats.z_up:
        return QUARTER_TURN if to_y_up else QUARTER_TURN.T
    return HALF_TURN if y_up != to_y_up else None


def standing(splats: Splats, y_up: bool) -> Splats:
    """The cloud with z up, from the axes that :func:`uprighting` takes it to have."""
    if splats.z_up:
        return splats
    return replace(turned(splats, QUARTER_TURN.T if y_up else QUARTER_TURN), z_up=True)


def as_cameras_see(splats: Splats, y_up: bool, cameras_z_up: bool) -> Splats:
    """The cloud in the axes of a scene's cameras, as it was before it was written to a kind of file that has y up."""
    if not y_up:
        return splats
    return replace(turned(splats, towards_cameras(y_up, cameras_z_up)), z_up=cameras_z_up)


def towards_cameras(y_up: bool, cameras_z_up: bool) -> Array:
    """The rotation (3, 3) of :func:`as_cameras_see`."""
    if not y_up:
        return np.eye(3)
    return QUARTER_TURN.T if cameras_z_up else HALF_TURN


def placed(splats: Splats, matrix: Array) -> Splats:
    """The cloud under an affine ``matrix`` (4, 4); if it shears or mirrors, harmonics follow its rotation alone."""
    linear, shift = np.asarray(matrix, float)[:3, :3], np.asarray(matrix, float)[:3, 3]
    left, stretch, right = np.linalg.svd(linear)
    rotation = left @ right
    if np.linalg.det(rotation) < 0:
        rotation = left @ np.diag([1.0, 1.0, -1.0]) @ right
    means = (splats.means @ linear.T + shift).astype(np.float32)
    sh = splats.sh if np.allclose(rotation, np.eye(3)) else harmonics.turned(splats.sh, rotation)
    if np.allclose(stretch, stretch[0]) and np.linalg.det(linear) > 0:
        quats = product(quaternion(rotation), splats.quats)
        return replace(splats, means=means, quats=quats, scales=splats.scales * np.float32(stretch[0]), sh=sh)
    root = linear @ (splats.rotations() * splats.scales[:, None, :])
    axes, lengths, _ = np.linalg.svd(root)
    axes[np.linalg.det(axes) < 0, :, 2] *= -1
    return replace(splats, means=means, quats=quaternions(axes), scales=lengths.astype(np.float32), sh=sh)


def turned(splats: Splats, rotation: Array) -> Splats:
    """The cloud after a rotation (3, 3), after which its z counts as up no longer."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    return replace(placed(splats, matrix), z_up=False)


def merged(clouds: list[Splats]) -> Splats:
    """One cloud of several; harmonics as the richest has them, material only if all have it; z is up if all say so."""
    degree = max(cloud.degree for cloud in clouds)
    clouds = [cloud.with_degree(degree) for cloud in clouds]
    materials = [cloud.material for cloud in clouds if cloud.material is not None]
    whole = None
    if len(materials) == len(clouds):
        channels = [part.name for part in fields(Material)]
        whole = Material(**{name: np.concatenate([getattr(m, name) for m in materials]) for name in channels})
    arrays = {name: np.concatenate([getattr(c, name) for c in clouds]) for name in ARRAYS}
    return Splats(**arrays, material=whole, z_up=all(cloud.z_up for cloud in clouds))


def product(first: Array, second: Array) -> Array:
    """Quaternion product of (4,) or (N, 4) by (N, 4), w x y z, float32."""
    aw, ax, ay, az = np.moveaxis(np.asarray(first, np.float32), -1, 0)
    bw, bx, by, bz = np.moveaxis(second, -1, 0)
    parts = [
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    ]
    return np.stack(parts, -1).astype(np.float32)


def quaternion(rotation: Array) -> Array:
    """(4,) w x y z of a rotation (3, 3)."""
    return quaternions(np.asarray(rotation, float)[None])[0]


def quaternions(rotations: Array) -> Array:
    """(N, 4) w x y z, float32, of rotations (N, 3, 3): the largest part is taken from the diagonal, as is stable."""
    m = rotations
    xx, yy, zz = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    squares = np.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], -1)
    wx, wy, wz = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    xy, xz, yz = m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1]
    ww, qx, qy, qz = squares.T
    table = [[ww, wx, wy, wz], [wx, qx, xy, xz], [wy, xy, qy, yz], [wz, xz, yz, qz]]
    rows = np.stack([np.stack(row, -1) for row in table], 1)
    best = np.take_along_axis(rows, np.argmax(squares, axis=1)[:, None, None], axis=1)[:, 0]
    return (best / np.linalg.norm(best, axis=1, keepdims=True)).astype(np.float32)
