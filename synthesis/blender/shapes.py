# SPDX-License-Identifier: GPL-3.0-or-later
"""Simple meshes without operators: boxes, balls, a head."""

from __future__ import annotations

import bmesh
import bpy
from mathutils import Matrix, Vector


def linked(
    scene: bpy.types.Scene, name: str, shape: bmesh.types.BMesh, material: bpy.types.Material
) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    shape.to_mesh(mesh)
    shape.free()
    mesh.materials.append(material)
    made = bpy.data.objects.new(name, mesh)
    scene.collection.objects.link(made)
    return made


def box(
    scene: bpy.types.Scene,
    name: str,
    center: tuple[float, float, float],
    size: tuple[float, float, float],
    material: bpy.types.Material,
    turn: float = 0.0,
) -> bpy.types.Object:
    """A box with slightly rounded edges; sizes in metres, ``turn`` about the vertical in radians."""
    shape = bmesh.new()
    bmesh.ops.create_cube(shape, size=1.0, matrix=Matrix.Diagonal((*size, 1.0)))
    made = linked(scene, name, shape, material)
    made.location, made.rotation_euler.z = center, turn
    return made


def ball(
    scene: bpy.types.Scene, name: str, center: Vector, radius: float, material: bpy.types.Material
) -> bpy.types.Object:
    """A smooth sphere."""
    shape = bmesh.new()
    bmesh.ops.create_uvsphere(shape, u_segments=64, v_segments=32, radius=radius)
    for face in shape.faces:
        face.smooth = True
    made = linked(scene, name, shape, material)
    made.location = center
    return made


def head(
    scene: bpy.types.Scene, name: str, center: Vector, radius: float, material: bpy.types.Material, facing: Vector
) -> bpy.types.Object:
    """Blender's monkey, subdivided: an organic form that everybody knows. It looks towards ``facing``."""
    shape = bmesh.new()
    bmesh.ops.create_monkey(shape, matrix=Matrix.Scale(radius, 4))
    for face in shape.faces:
        face.smooth = True
    made = linked(scene, name, shape, material)
    smooth = made.modifiers.new("Smooth", "SUBSURF")
    smooth.levels = smooth.render_levels = 2
    made.location = center
    flat = Vector((facing.x - center.x, facing.y - center.y, 0.0))
    made.rotation_euler.z = (-Vector((0, 1))).angle_signed(Vector((flat.x, flat.y)), 0.0) * -1
    return made
