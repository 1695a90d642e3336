# SPDX-License-Identifier: GPL-3.0-or-later
"""PLY as 3DGS writes it, plus this project's material: one row a Gaussian, parameters before their activation.

Columns: ``x y z``; ``f_dc_0..2``; ``f_rest_0…`` channel by channel, so that of degree 3 the first fifteen are red;
``opacity`` (logit); ``scale_0..2`` (natural logarithm); ``rot_0..3`` (w x y z). Material, all linear 0..1 as they are:
``albedo_0..2``, ``metallic``, ``roughness``, ``progress``. Readers of plain splats pass over these. The comment
``z up`` says that the frame is as Blender's, ``y up`` that it is as glTF's; without either y points down by custom.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from ...errors import BadInput
from ..cloud import Material, Splats
from . import compressed_ply
from .checks import Notes, Source, check_count, degree_of, logit, sigmoid
from .ply_table import Y_UP, Z_UP, columns, header_text, read_header, read_table

Array = np.ndarray[Any, Any]

_BASE = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
_SCALES = ["scale_0", "scale_1", "scale_2"]
_ROTATIONS = ["rot_0", "rot_1", "rot_2", "rot_3"]
#: Names of the material's columns, in a file and as documented.
MATERIAL = ["albedo_0", "albedo_1", "albedo_2", "metallic", "roughness", "progress"]


def read(source: Source, notes: Notes) -> Splats:
    """A cloud from a PLY file, binary, text or PlayCanvas' compressed form."""
    header = read_header(source)
    names = header.names("vertex")
    check_count(header.count("vertex"), source.name)
    if "packed_position" in names:
        return compressed_ply.read(source, header, notes)
    missing = [name for name in [*_BASE, *_SCALES, *_ROTATIONS] if name not in names]
    if missing:
        raise BadInput(
            f"The file {source.name} is no Gaussian splat: its points have no {missing[0]}.",
            "A plain point cloud or mesh has no splats in it; choose a file that a splat trainer wrote.",
            "no_splats",
        )
    table = read_table(source, header, "vertex")
    with np.errstate(over="ignore"):
        return Splats(
            means=columns(table, ["x", "y", "z"]),
            quats=columns(table, _ROTATIONS),
            scales=np.exp(columns(table, _SCALES)),
            opacity=sigmoid(columns(table, ["opacity"])[:, 0]),
            sh=_harmonics(table, names, notes),
            material=_material(table, names, notes),
            z_up=Z_UP in header.comments,
        )


def _harmonics(table: Array, names: set[str], notes: Notes) -> Array:
    """(N, K, 3): the constant terms and every complete degree beyond."""
    count = 0
    while f"f_rest_{count}" in names:
        count += 1
    each, left = divmod(count, 3)
    degree = 0 if left else degree_of(each)
    kept = (degree + 1) ** 2 - 1
    if kept * 3 != count:
        notes.add(f"{count} coefficients of harmonics make no complete set; degree {degree} was kept.")
    sh = np.empty((len(table), kept + 1, 3), np.float32)
    sh[:, 0] = columns(table, ["f_dc_0", "f_dc_1", "f_dc_2"])
    if kept:
        rest = columns(table, [f"f_rest_{index}" for index in range(count)])
        sh[:, 1:] = rest.reshape(len(table), 3, each)[:, :, :kept].transpose(0, 2, 1)
    return sh


def _material(table: Array, names: set[str], notes: Notes) -> Material | None:
    there = [name for name in MATERIAL if name in names]
    if not there:
        return None
    if len(there) < len(MATERIAL):
        notes.add(f"The material is incomplete ({', '.join(there)} alone) and was left out.")
        return None
    values = columns(table, MATERIAL)
    return Material(values[:, :3].copy(), *(values[:, index].copy() for index in (3, 4, 5)))


def write(splats: Splats, file: BinaryIO, notes: Notes, y_up: bool = False) -> None:
    """Write binary PLY with everything that the cloud has; ``y_up``: its axes are glTF's."""
    rest = splats.sh[:, 1:].transpose(0, 2, 1).reshape(len(splats), -1)
    names = [*_BASE[:6], *(f"f_rest_{index}" for index in range(rest.shape[1])), "opacity", *_SCALES, *_ROTATIONS]
    parts = [splats.means, splats.sh[:, 0], rest, logit(splats.opacity)[:, None], np.log(splats.scales), splats.quats]
    comments = ["Gaussian splats", *([Z_UP] if splats.z_up else [Y_UP] if y_up else [])]
    if splats.material is not None:
        material = splats.material
        names += MATERIAL
        parts += [material.albedo, np.stack([material.metallic, material.roughness, material.progress], -1)]
        comments.append(
            "albedo, metallic, roughness, progress: linear, 0 to 1; progress is the share of physical shading"
        )
    table = np.empty((len(splats), len(names)), "<f4")
    np.concatenate(parts, axis=1, out=table, casting="same_kind")
    rows = table.view([(name, "<f4") for name in names])[:, 0]
    file.write(header_text([("vertex", rows)], comments))
    file.write(table.data)
