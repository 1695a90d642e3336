# SPDX-License-Identifier: GPL-3.0-or-later
"""A fitted head as the engine writes it for Blender: ``head.npz``, arrays only.

Head frame: metres, z up, the face looks along −y, the head's own left is +x, the origin lies between the eyes.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NAME = "head.npz"


@dataclass(frozen=True)
class HeadFile:
    """``V`` points, ``F`` quads, ``E`` expressions, ``K`` identity sliders.

    ``basis`` (V, 3) metres: the head with every slider at zero; the last two points are the eyeballs' centres, the
    head's right eye first. ``expression`` (E, V, 3) and ``identity`` (K, V, 3) are added per unit of a slider; where
    they stand: ``expression_value`` (E,) in 0..1, ``identity_value`` (K,). ``faces`` (F, 4) into the points, ``uv``
    (F, 4, 2), ``material`` (F,) into ``material_names``. ``gaze`` (2, 3): unit vectors, None if it was not read.
    ``rotation`` (3, 3) and ``translation`` (3,) metres: head frame to camera frame (x right, y up, looking along −z).
    ``light`` (9, 3): harmonics of the light on the head (:mod:`.head_light`), None if it was not fitted.
    """

    basis: np.ndarray
    expression_names: tuple[str, ...]
    expression: np.ndarray
    expression_value: np.ndarray
    identity: np.ndarray
    identity_value: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    material_names: tuple[str, ...]
    eye_radius: float
    gaze: np.ndarray | None
    rotation: np.ndarray
    translation: np.ndarray
    fov_x_deg: float
    light: np.ndarray | None


def read(folder: Path) -> HeadFile:
    """The head in the engine's output folder; ``RuntimeError`` with a sentence if it is missing, damaged or partial."""
    path = folder / NAME
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return _checked(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RuntimeError(
            f"the head that the engine wrote cannot be read ({error}); run it again, and see the engine's log"
        ) from error


def _checked(arrays: dict[str, np.ndarray]) -> HeadFile:
    points, faces = arrays["points"].astype(np.float32), arrays["faces"].astype(np.int32)
    identity, value = arrays["identity"].astype(np.float32), arrays["identity_value"].astype(np.float32)
    expression = arrays["expression"].astype(np.float32)
    if faces.min() < 0 or faces.max() >= len(points):
        raise ValueError(f"faces name point {faces.max()} of {len(points)}")
    for name, offsets in (("identity", identity), ("expression", expression)):
        if offsets.shape[1:] != points.shape:
            raise ValueError(f"{name} has the shape {offsets.shape} for {len(points)} points")
    return HeadFile(
        # The engine's points stand where the sliders do.
        basis=points - np.tensordot(value, identity, 1),
        expression_names=tuple(str(name) for name in arrays["expression_names"]),
        expression=expression,
        expression_value=arrays["expression_value"].astype(np.float32),
        identity=identity,
        identity_value=value,
        faces=faces,
        uv=arrays["uv"].astype(np.float32),
        material=arrays["material"].astype(np.int32),
        material_names=tuple(str(name) for name in arrays["material_names"]),
        eye_radius=float(arrays["eye_radius"]),
        gaze=arrays["gaze"].astype(np.float32) if "gaze" in arrays else None,
        rotation=arrays["rotation"].astype(np.float64),
        translation=arrays["translation"].astype(np.float64),
        fov_x_deg=float(arrays["fov_x_deg"]),
        light=arrays["light"].astype(np.float64) if "light" in arrays else None,
    )
