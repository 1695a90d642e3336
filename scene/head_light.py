# SPDX-License-Identifier: GPL-3.0-or-later
"""How much light falls on a face, and of which colour: as the fit of the photo has it, and as a panorama makes it.

An estimate tells where light comes from better than how much there is. The fit's albedo times the fit's light is the
photo, so a panorama that puts as much light on the face makes the head as bright as its photo, and as warm.
"""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix

from . import light_frames

#: The most by which a colour channel may be raised over another, in stops: more is a fit gone wrong.
_MOST_TINT = 1.5
#: What a cosine lobe does to each degree of the harmonics (Ramamoorthi and Hanrahan 2001).
_COSINE = np.array([math.pi, *[2 * math.pi / 3] * 3, *[math.pi / 4] * 5])
#: A panorama is read at most this wide: irradiance is smooth.
_WIDEST = 128


def _front() -> np.ndarray:
    """(N, 3) unit normals of the front of a face, head frame."""
    around = np.arange(8) * math.pi / 4
    rings = [
        np.stack([math.sin(a) * np.cos(around), np.full(8, -math.cos(a)), math.sin(a) * np.sin(around)], -1)
        for a in (math.radians(20), math.radians(45))
    ]
    return np.concatenate([[[0.0, -1.0, 0.0]], *rings])


def of_fit(light: np.ndarray) -> np.ndarray:
    """Mean irradiance (3,), linear Rec.709, on the front of a face of light (9, 3): real harmonics 1, y, z, x, xy, yz,
    3z²−1, xz, x²−y², orthonormal, in the head frame."""
    x, y, z = _front().T
    one, two, five = (math.sqrt(n / (4 * math.pi)) for n in (1, 3, 15))
    polar = math.sqrt(5 / (16 * math.pi)) * (3 * z * z - 1)
    shapes = [one + 0 * x, two * y, two * z, two * x, five * x * y, five * y * z, polar, five * x * z]
    basis = np.stack([*shapes, five / 2 * (x * x - y * y)], -1)
    return np.asarray((basis @ (_COSINE[:, None] * light)).mean(0))


def of_panorama(image: bpy.types.Image, head_to_world: Matrix) -> np.ndarray:
    """The same of a world-frame panorama on a head that is turned like this."""
    values = light_frames.values(image, bpy.context.scene.frame_current)[..., :3]
    step = max(1, values.shape[1] // _WIDEST)
    rows, columns = values.shape[0] // step, values.shape[1] // step
    values = values[: rows * step, : columns * step].reshape(rows, step, columns, step, 3).mean((1, 3))
    # Blender keeps rows from the bottom; the centre looks along +X and left is +Y.
    up = ((np.arange(rows) + 0.5) / rows - 0.5) * math.pi
    round_z = (0.5 - (np.arange(columns) + 0.5) / columns) * 2 * math.pi
    flat = np.cos(up)[:, None]
    away = np.stack(
        [flat * np.cos(round_z), flat * np.sin(round_z), np.repeat(np.sin(up)[:, None], columns, 1)], -1
    ).reshape(-1, 3)
    weight = (values * flat[..., None] * (math.pi / rows) * (2 * math.pi / columns)).reshape(-1, 3)
    normals = _front() @ np.array(head_to_world.to_3x3().normalized()).T
    return np.asarray((np.maximum(normals @ away.T, 0) @ weight).mean(0))


def matching(wanted: np.ndarray, there: np.ndarray, most: float = 6.0) -> tuple[float, list[float]]:
    """By how many stops light must grow, and its tint, whose largest channel is 1, for irradiance (3,) ``there`` to be
    ``wanted``; 0 and white where either is unknown or dark."""
    if min(*wanted, *there) <= 0:
        return 0.0, [1.0, 1.0, 1.0]
    channels = np.log2(np.asarray(wanted) / np.asarray(there))
    highest = float(channels.max())
    return max(-most, min(most, highest)), [float(2.0 ** max(c - highest, -_MOST_TINT)) for c in channels]
