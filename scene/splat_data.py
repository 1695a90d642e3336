# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud's numbers as attributes of points, named as Blender 5.3 names those of its own splats; read and written."""

from __future__ import annotations

from typing import Any

import bmesh
import bpy
import numpy as np

from . import compat
from .splat_file import Cloud

#: By kind of attribute: the member that ``foreach_get`` takes, how many numbers, and of which kind.
_KINDS: dict[str, tuple[str, int, Any]] = {
    "FLOAT": ("value", 1, np.float32), "FLOAT_VECTOR": ("vector", 3, np.float32),
    "FLOAT2": ("vector", 2, np.float32), "FLOAT_COLOR": ("color", 4, np.float32),
    "BYTE_COLOR": ("color", 4, np.float32), "FLOAT4": ("vector", 4, np.float32),
    "QUATERNION": ("value", 4, np.float32), "INT": ("value", 1, np.int32), "INT8": ("value", 1, np.int32),
    "BOOLEAN": ("value", 1, bool),
}  # fmt: skip
_CHANNELS = {"albedo": 3, "metallic": 1, "roughness": 1, "progress": 1}
_Data = bpy.types.Mesh | bpy.types.PointCloud


def store(data: _Data, cloud: Cloud) -> None:
    """Give points that are there the cloud's attributes."""
    _write(data, "radiance:base", compat.FOUR_FLOATS, cloud.base)
    _write(data, "scale", "FLOAT_VECTOR", cloud.scales)
    _write(data, "rotation", "QUATERNION", cloud.rotations)
    for index in range(cloud.harmonics.shape[1]):
        _write(data, f"radiance:sh_{index}", "FLOAT_VECTOR", cloud.harmonics[:, index])
    store_material(data, cloud)


def store_material(data: _Data, cloud: Cloud) -> None:
    """Give points the material that was learnt for them, if any was."""
    for channel, values in cloud.material.items():
        _write(data, channel, "FLOAT_VECTOR" if values.shape[1] == 3 else "FLOAT", values)


def read(thing: bpy.types.Object) -> Cloud:
    """The Gaussians of a cloud in the object's own axes; raises ``ValueError`` if attributes were deleted."""
    data, count = thing.data, len(thing.data.vertices)
    if any(name not in data.attributes for name in ("radiance:base", "scale", "rotation")):
        raise ValueError(f"“{thing.name}” has lost the attributes of splats: import it again")
    terms = 0
    while f"radiance:sh_{terms}" in data.attributes:
        terms += 1
    harmonics = [_read(data, f"radiance:sh_{index}") for index in range(terms)]
    whole = all(name in data.attributes for name in _CHANNELS)
    return Cloud(
        _read(data, "position"),
        _read(data, "radiance:base"),
        _read(data, "scale"),
        _read(data, "rotation"),
        np.stack(harmonics, 1) if terms else np.empty((count, 0, 3), np.float32),
        {name: _read(data, name) for name in _CHANNELS} if whole else {},
        0,
    )


def replace(mesh: bpy.types.Mesh, cloud: Cloud) -> None:
    """Let a mesh hold the cloud's Gaussians instead of its own."""
    mesh.clear_geometry()
    fill(mesh, cloud)


def fill(mesh: bpy.types.Mesh, cloud: Cloud) -> None:
    """Put the cloud's Gaussians into a mesh that has no more points; what else its points have stays."""
    mesh.vertices.add(len(cloud.means) - len(mesh.vertices))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(cloud.means, np.float32).ravel())
    store(mesh, cloud)
    mesh.update()


def keep(mesh: bpy.types.Mesh, kept: np.ndarray) -> None:
    """Leave only these points, (N,) bool, with all that Blender knows of them, as its own Delete does."""
    edited = bmesh.new()
    edited.from_mesh(mesh)
    gone = [vertex for vertex, stays in zip(edited.verts, kept.tolist(), strict=True) if not stays]
    bmesh.ops.delete(edited, geom=gone, context="VERTS")
    edited.to_mesh(mesh)
    edited.free()
    mesh.update()


def _read(data: Any, name: str) -> np.ndarray:
    """(N, width) of an attribute."""
    attribute = data.attributes[name]
    member, width, number = _KINDS[attribute.data_type]
    values = np.empty(len(attribute.data) * width, number)
    attribute.data.foreach_get(member, values)
    return values.reshape(-1, width)


def _write(data: _Data, name: str, kind: str, values: np.ndarray) -> None:
    # The stubs are of 4.2, without four floats.
    attribute: Any = data.attributes.get(name) or data.attributes.new(name, kind, "POINT")  # type: ignore[arg-type]
    member, _, number = _KINDS[attribute.data_type]
    attribute.data.foreach_set(member, np.ascontiguousarray(values, number).ravel())
