# SPDX-License-Identifier: GPL-3.0-or-later
"""Things made of several parts, built in coordinates of their own and set down turned."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import bmesh
import bpy
from mathutils import Matrix, Vector

Triple = tuple[float, float, float]


class Group:
    """Parts of one thing: local metres, x right, y away, z up; ``turn`` about the vertical in radians."""

    def __init__(self, scene: bpy.types.Scene, name: str, origin: Triple = (0, 0, 0), turn: float = 0.0) -> None:
        self.scene, self.name = scene, name
        self.placed = Matrix.Translation(origin) @ Matrix.Rotation(turn, 4, "Z")
        self.parts: list[bpy.types.Object] = []

    def add(self, shape: bmesh.types.BMesh, material: bpy.types.Material, place: Matrix) -> bpy.types.Object:
        """Take over a shape as a part at a local placement."""
        mesh = bpy.data.meshes.new(self.name)
        shape.to_mesh(mesh)
        shape.free()
        mesh.materials.append(material)
        part = bpy.data.objects.new(self.name, mesh)
        part.matrix_world = self.placed @ place
        self.scene.collection.objects.link(part)
        self.parts.append(part)
        return part

    def box(
        self, center: Triple, size: Triple, material: bpy.types.Material, *, bevel: float = 0.0, turn: float = 0.0
    ) -> bpy.types.Object:
        """A box; ``bevel`` rounds its edges by so many metres."""
        shape = bmesh.new()
        bmesh.ops.create_cube(shape, size=1.0, matrix=Matrix.Diagonal((*size, 1.0)))
        if bevel:
            width = min(bevel, min(size) * 0.45)
            bmesh.ops.bevel(shape, geom=shape.edges[:], offset=width, segments=3, profile=0.5, affect="EDGES")
            for face in shape.faces:
                face.smooth = True
        return self.add(shape, material, Matrix.Translation(center) @ Matrix.Rotation(turn, 4, "Z"))

    def boxes(self, places: Iterable[tuple[Triple, Triple]], material: bpy.types.Material) -> bpy.types.Object:
        """Many boxes (centre, size) as one part."""
        shape = bmesh.new()
        for center, size in places:
            bmesh.ops.create_cube(shape, size=1.0, matrix=Matrix.Translation(center) @ Matrix.Diagonal((*size, 1.0)))
        return self.add(shape, material, Matrix.Identity(4))

    def round(
        self, center: Triple, radii: tuple[float, float], height: float, material: bpy.types.Material
    ) -> bpy.types.Object:
        """An upright cylinder or cone around ``center``; ``radii`` below and above."""
        shape = bmesh.new()
        bmesh.ops.create_cone(
            shape, cap_ends=True, segments=32, radius1=max(radii[0], 1e-4), radius2=max(radii[1], 1e-4), depth=height
        )
        for face in shape.faces:
            face.smooth = len(face.verts) == 4
        return self.add(shape, material, Matrix.Translation(center))

    def ball(
        self, center: Triple, radius: float, material: bpy.types.Material, stretch: Triple = (1, 1, 1)
    ) -> bpy.types.Object:
        """A smooth ball, or an ellipsoid."""
        shape = bmesh.new()
        bmesh.ops.create_uvsphere(
            shape, u_segments=32, v_segments=16, radius=radius, matrix=Matrix.Diagonal((*stretch, 1.0))
        )
        for face in shape.faces:
            face.smooth = True
        return self.add(shape, material, Matrix.Translation(center))

    def sheet(
        self, start: Triple, along: Triple, height: float, material: bpy.types.Material, waves: float, depth: float
    ) -> bpy.types.Object:
        """A hanging cloth from ``start`` (lower corner) along a vector, in folds ``depth`` metres deep."""
        shape = bmesh.new()
        way = Vector(along)
        across = way.cross(Vector((0, 0, 1))).normalized() * depth
        steps = max(8, int(waves * 12))
        rows: list[tuple[bmesh.types.BMVert, bmesh.types.BMVert]] = []
        for i in range(steps + 1):
            t = i / steps
            foot = Vector(start) + way * t + across * math.sin(2 * math.pi * waves * t)
            rows.append((shape.verts.new(foot), shape.verts.new(foot + Vector((0, 0, height)))))
        for (a, b), (c, d) in itertools.pairwise(rows):
            shape.faces.new([a, c, d, b]).smooth = True
        return self.add(shape, material, Matrix.Identity(4))
