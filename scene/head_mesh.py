# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh of a head with its sliders: Basis, identity, expressions; a second head of the same make fills the first."""

from __future__ import annotations

import zlib
from typing import Any

import bpy
import numpy as np

from .head_file import HeadFile

UV_LAYER = "Face"
#: Vertex groups that hold one point each, the centre of an eyeball; the head's right eye first.
EYES = ("Right eye", "Left eye")
#: What a mesh was made of, as a custom property: points, corners, and a checksum of these.
_MADE = "limelight_head_made"
#: How far a slider of the identity goes; its coefficients are spread as N(0, 1).
_IDENTITY_RANGE = 3.0


def identity_name(number: int) -> str:
    """The name of an identity slider, counted from 0."""
    return f"Identity {number + 1:02}"


def check(thing: bpy.types.Object, head: HeadFile | None = None) -> None:
    """See whether an object's mesh can take the shape of a ``head``; before that is known, whether it could of any.

    Raises ``ValueError`` with an artist's sentence if that would lose what the artist made of it.
    """
    if _changed(thing.data, head):
        told = f"“{thing.name}” was cut, remeshed or joined with something so that it can take no new shape"
        raise ValueError(f"{told}: delete it or move it to another scene, then a new head is made")


def _changed(mesh: bpy.types.Mesh, head: HeadFile | None) -> bool:
    """Whether a mesh neither begins with what the ``head`` is nor is just what it was made as."""
    if not len(mesh.vertices) or (head is not None and _alike(mesh, head)):
        return False
    if _MADE not in mesh:
        return head is not None
    points, corners, checksum = mesh[_MADE]
    more = len(mesh.vertices) - points
    return more < 0 or (head is not None and more > 0) or _sum(mesh, corners) != checksum


def fill(thing: bpy.types.Object, head: HeadFile) -> None:
    """Give an object the head's mesh: the one that it has, where that was built alike, so that what the artist added or
    joined to it stays; else a new one. Materials go by their slots, in the order of ``head.material_names``."""
    mesh = thing.data
    if not _alike(mesh, head):
        mesh = _new(thing, head)
    else:
        _carry(mesh, head)
    mesh[_MADE] = [len(head.basis), head.faces.size, _sum(mesh, head.faces.size)]
    _set(mesh.vertices, "co", head.basis)
    _set(mesh.uv_layers[UV_LAYER].data, "uv", head.uv)
    _sliders(thing, head)
    mesh.update()
    # Blender does not notice by itself that keys have other points.
    for changed in (mesh.shape_keys, mesh, thing):
        changed.update_tag()


def is_joined(mesh: bpy.types.Mesh, head: HeadFile) -> bool:
    """Whether the artist joined something to a head."""
    return len(mesh.polygons) > len(head.faces)


def _alike(mesh: bpy.types.Mesh, head: HeadFile) -> bool:
    """Whether a mesh begins with what the head is; what was joined to it comes after that."""
    size = [len(head.basis), head.faces.size]
    if len(mesh.vertices) < size[0] or len(mesh.loops) < size[1] or UV_LAYER not in mesh.uv_layers:
        return False
    return list(mesh.get(_MADE, size))[:2] == size and np.array_equal(_corners(mesh, size[1]), head.faces.ravel())


def _corners(mesh: bpy.types.Mesh, count: int) -> np.ndarray:
    """The points of a mesh's first corners."""
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    return corners[:count]


def _sum(mesh: bpy.types.Mesh, count: int) -> int:
    """A checksum of them that fits into a custom property."""
    return zlib.crc32(_corners(mesh, count).tobytes()) >> 1


def _set(data: Any, name: str, values: np.ndarray) -> None:
    """Set what the first of many elements are; those after them belong to what was joined, and stay."""
    whole = np.empty(len(data) * values.shape[-1], np.float32)
    data.foreach_get(name, whole)
    whole[: values.size] = values.ravel()
    data.foreach_set(name, whole)


def _carry(mesh: bpy.types.Mesh, head: HeadFile) -> None:
    """Let shape keys that the artist added go along with the new Basis."""
    ours = {"Basis", *head.expression_names, *map(identity_name, range(len(head.identity)))}
    if mesh.shape_keys is None:
        return
    keys = mesh.shape_keys.key_blocks
    before = _points(keys[0])
    for key in keys:
        if key.name not in ours:
            _set(key.data, "co", (_points(key) - before)[: len(head.basis)] + head.basis)


def _points(key: bpy.types.ShapeKey) -> np.ndarray:
    points = np.empty(len(key.data) * 3, np.float32)
    key.data.foreach_get("co", points)
    return points.reshape(-1, 3)


def _new(thing: bpy.types.Object, head: HeadFile) -> bpy.types.Mesh:
    old = thing.data
    mesh = bpy.data.meshes.new(thing.name)
    mesh.from_pydata(head.basis.tolist(), [], head.faces.tolist())
    mesh.uv_layers.new(name=UV_LAYER)
    for material in old.materials:
        mesh.materials.append(material)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(head.faces), bool))
    mesh.polygons.foreach_set("material_index", head.material)
    name = old.name
    thing.data = mesh
    if not old.users:
        bpy.data.meshes.remove(old)
    mesh.name = name
    for number, group in enumerate(EYES):
        held = thing.vertex_groups.get(group) or thing.vertex_groups.new(name=group)
        held.add([len(head.basis) - 2 + number], 1.0, "REPLACE")
    return mesh


def _sliders(thing: bpy.types.Object, head: HeadFile) -> None:
    _slider(thing, "Basis", head.basis)
    for number, (offset, value) in enumerate(zip(head.identity, head.identity_value, strict=True)):
        key = _slider(thing, identity_name(number), head.basis + offset)
        reach = max(_IDENTITY_RANGE, abs(float(value)))
        key.slider_min, key.slider_max, key.value = -reach, reach, float(value)
    for name, offset, value in zip(head.expression_names, head.expression, head.expression_value, strict=True):
        key = _slider(thing, name, head.basis + offset)
        key.slider_min, key.slider_max, key.value = 0.0, 1.0, float(value)


def _slider(thing: bpy.types.Object, name: str, points: np.ndarray) -> bpy.types.ShapeKey:
    keys = thing.data.shape_keys
    key = keys.key_blocks.get(name) if keys is not None else None
    if key is None:
        key = thing.shape_key_add(name=name, from_mix=False)
    _set(key.data, "co", points)
    return key
