# SPDX-License-Identifier: GPL-3.0-or-later
"""The eyeballs of a head: objects that can be turned, or aimed by a constraint, and that follow the head's sliders."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Euler, Vector

from .head_file import HeadFile
from .head_mesh import EYES, UV_LAYER

#: The custom property that says which eye of its head an object is; with its side behind it, the head's that holds it.
MARK = "limelight_eye"
_ROUND, _ALONG = 32, 24
#: How far the eyes turn at the end of the sliders for looking, in radians.
_SIDEWAYS, _UP = math.radians(30), math.radians(25)
#: Which sliders turn an eye, by axis: what adds to the angle, what takes from it. Right eye first.
_LOOKS = (
    {2: ("eyeLookInRight", "eyeLookOutRight", _SIDEWAYS), 0: ("eyeLookDownRight", "eyeLookUpRight", _UP)},
    {2: ("eyeLookOutLeft", "eyeLookInLeft", _SIDEWAYS), 0: ("eyeLookDownLeft", "eyeLookUpLeft", _UP)},
)


def eyes(head: bpy.types.Object) -> list[bpy.types.Object]:
    """The eyeballs of a head that are there; one that was deleted may stay behind, as the head holds it."""
    return [child for child in head.children if MARK in child and child.users_scene]


def fill(thing: bpy.types.Object, head: HeadFile, material: bpy.types.Material) -> None:
    """Put two eyeballs into a head, or bring those that it has in line with what was fitted."""
    there = {child[MARK]: child for child in eyes(thing)}
    mesh = next(iter(there.values())).data if there else _ball(thing.name, material)
    _round(mesh, head.eye_radius)
    for side, group in enumerate(EYES):
        eye = there.get(group)
        if eye is None:
            eye = bpy.data.objects.new(f"{thing.name} {group.lower()}", mesh)
            eye[MARK] = group
            for collection in thing.users_collection:
                collection.objects.link(eye)
            eye.parent = thing
            _follow(eye, thing, group)
        # Appended alone to another file, the head takes along what it holds, but not its children.
        thing[f"{MARK}_{side}"] = eye
        eye.location = head.basis[len(head.basis) - 2 + side]
        eye.rotation_euler = _rest(head, side)
        _look(eye, thing, side)


def _ball(name: str, material: bpy.types.Material) -> bpy.types.Mesh:
    """A unit ball that looks along −y; UV: u round the gaze from +x by +z, v from the pupil at 1 to the back at 0."""
    polar = np.linspace(0, math.pi, _ALONG + 1)[1:-1]
    around = np.arange(_ROUND) * 2 * math.pi / _ROUND
    rings = np.stack(
        [
            np.sin(polar)[:, None] * np.cos(around),
            np.repeat(-np.cos(polar)[:, None], _ROUND, 1),
            np.sin(polar)[:, None] * np.sin(around),
        ],
        -1,
    ).reshape(-1, 3)
    points = np.concatenate([[[0.0, -1.0, 0.0]], rings, [[0.0, 1.0, 0.0]]])
    faces: list[tuple[int, ...]] = []
    uv: list[tuple[float, float]] = []
    for row in range(_ALONG):
        for column in range(_ROUND):
            left, right = column / _ROUND, (column + 1) / _ROUND
            near, far = 1 - row / _ALONG, 1 - (row + 1) / _ALONG
            a, b = (1 + (row - 1) * _ROUND + c for c in (column, (column + 1) % _ROUND))
            c, d = b + _ROUND, a + _ROUND
            if row == 0:
                faces.append((0, d, c))
                uv += [((left + right) / 2, near), (left, far), (right, far)]
            elif row == _ALONG - 1:
                faces.append((b, a, len(points) - 1))
                uv += [(right, near), (left, near), ((left + right) / 2, far)]
            else:
                faces.append((b, a, d, c))
                uv += [(right, near), (left, near), (left, far), (right, far)]
    mesh = bpy.data.meshes.new(f"{name} eye")
    mesh.from_pydata(points.tolist(), [], faces)
    mesh.uv_layers.new(name=UV_LAYER).data.foreach_set("uv", np.array(uv, np.float32).ravel())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    mesh.materials.append(material)
    return mesh


def _round(mesh: bpy.types.Mesh, radius: float) -> None:
    """Make the ball's radius what it shall be."""
    values = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", values)
    points = values.reshape(-1, 3)
    mesh.vertices.foreach_set("co", (points * (radius / np.linalg.norm(points[0]))).ravel())
    mesh.update()


def _follow(eye: bpy.types.Object, head: bpy.types.Object, group: str) -> None:
    """Let the eyeball stay where the head's sliders move its centre to."""
    stay = eye.constraints.new("COPY_LOCATION")
    stay.name, stay.target, stay.subtarget = "Eye socket", head, group


def _rest(head: HeadFile, side: int) -> Euler:
    """How an eyeball is turned so that, with the sliders as they were fitted, it looks where the photo's does."""
    if head.gaze is None:
        return Euler()
    values = dict(zip(head.expression_names, head.expression_value, strict=True))
    turn = Euler()
    for axis, (more, less, angle) in _LOOKS[side].items():
        turn[axis] = (values.get(more, 0.0) - values.get(less, 0.0)) * angle
    x, y, z = turn.to_matrix().inverted() @ Vector(head.gaze[side].tolist()).normalized()
    return Euler((-math.asin(max(-1.0, min(1.0, z))), 0.0, math.atan2(x, -y)))


def _look(eye: bpy.types.Object, head: bpy.types.Object, side: int) -> None:
    """Let the sliders for looking turn the eyeball, on top of what the artist turns it by."""
    keys = head.data.shape_keys
    for axis, (more, less, angle) in _LOOKS[side].items():
        if more not in keys.key_blocks or less not in keys.key_blocks:
            continue
        eye.driver_remove("delta_rotation_euler", axis)
        driver = eye.driver_add("delta_rotation_euler", axis).driver
        assert driver is not None
        for name, slider in (("more", more), ("less", less)):
            variable = driver.variables.new()
            variable.name = name
            variable.targets[0].id_type = "KEY"
            variable.targets[0].id = keys
            variable.targets[0].data_path = f'key_blocks["{slider}"].value'
        # Simple enough for Blender to evaluate it without Python, thus also where scripts may not run.
        driver.expression = f"(more - less) * {angle:.4f}"
