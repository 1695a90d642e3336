# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects to learn splats from, each about the origin in a ball of radius 1, z up: glossy, metal, mixed, rough, shadowed.

Every material also writes what it is made of into passes of its own: ``albedo`` (the base colour, linear) and
``surface`` (roughness, metallic, 0).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import bmesh
import bpy
from mathutils import Matrix, Vector, noise

from ...scene import compat
from . import materials
from .materials import Colour
from .shapes import linked

#: Names of the passes.
ALBEDO, SURFACE = "albedo", "surface"


def surface(
    name: str,
    colour: Colour,
    other: Colour | None = None,
    *,
    roughness: float,
    metallic: float = 0.0,
    scale: float = 3.0,
) -> bpy.types.Material:
    """A Principled material of one colour, or of two in soft patches of noise, that tells what it is in passes."""
    made = materials.principled(name, colour, roughness=roughness, metallic=metallic)
    tree = compat.node_tree(made)
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    told, parts = tree.nodes.new("ShaderNodeOutputAOV"), tree.nodes.new("ShaderNodeOutputAOV")
    _name_pass(told, ALBEDO)
    _name_pass(parts, SURFACE)
    told.inputs["Color"].default_value = (*colour, 1)
    parts.inputs["Color"].default_value = (roughness, metallic, 0, 1)
    if other is not None:
        place, texture, ramp = (
            tree.nodes.new(kind) for kind in ("ShaderNodeTexCoord", "ShaderNodeTexNoise", "ShaderNodeValToRGB")
        )
        texture.inputs["Scale"].default_value, texture.inputs["Detail"].default_value = scale, 1.0
        for element, at, shade in zip(ramp.color_ramp.elements, (0.47, 0.53), (colour, other), strict=True):
            element.position, element.color = at, (*shade, 1)
        tree.links.new(place.outputs["Object"], texture.inputs["Vector"])
        tree.links.new(texture.outputs[0], ramp.inputs[0])
        for socket in (shader.inputs["Base Color"], told.inputs["Color"]):
            tree.links.new(ramp.outputs[0], socket)
    return made


def _name_pass(node: bpy.types.Node, name: str) -> None:
    # The property was called "name", as every node's, before 4.1.
    setattr(node, "aov_name" if hasattr(node, "aov_name") else "name", name)


def _smooth(shape: bmesh.types.BMesh) -> bmesh.types.BMesh:
    for face in shape.faces:
        face.smooth = True
    return shape


def _turned(profile: Sequence[tuple[float, float]], steps: int = 96) -> bmesh.types.BMesh:
    """A surface of revolution about z: ``profile`` of radius and height, from bottom to top; smooth."""
    shape = bmesh.new()
    rings = []
    for radius, height in profile:
        turn = [2 * math.pi * k / steps for k in range(steps)]
        rings.append([shape.verts.new((radius * math.cos(a), radius * math.sin(a), height)) for a in turn])
    for low, high in pairwise(rings):
        for k in range(steps):
            shape.faces.new([low[k], low[(k + 1) % steps], high[(k + 1) % steps], high[k]])
    caps = [shape.faces.new(rings[0][::-1]), shape.faces.new(rings[-1])]
    _smooth(shape)
    for cap in caps:
        cap.smooth = False
    return shape


def _round(points: Sequence[tuple[float, float]], pieces: int = 6) -> list[tuple[float, float]]:
    """A smooth curve (Catmull–Rom) through points."""
    found = []
    ends = [points[0], *points, points[-1]]
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        for k in range(pieces):
            t = k / pieces
            found.append(tuple(
                0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
                for p, q, r, s in zip(a, b, c, d, strict=True)
            ))  # fmt: skip
    return [*found, points[-1]]  # type: ignore[list-item]


def glossy(scene: bpy.types.Scene) -> None:
    """A head in coloured glaze: no metal, smooth."""
    shape = bmesh.new()
    bmesh.ops.create_monkey(shape, matrix=Matrix.Scale(0.68, 4))
    glaze = surface("Glaze", (0.42, 0.05, 0.06), (0.05, 0.12, 0.38), roughness=0.12, scale=1.6)
    made = linked(scene, "Head", _smooth(shape), glaze)
    fine = made.modifiers.new("Smooth", "SUBSURF")
    fine.levels = fine.render_levels = 2


def metal(scene: bpy.types.Scene) -> None:
    """A vase of copper with a polished gold ring."""
    profile = [(0.3, -0.9), (0.42, -0.84), (0.62, -0.45), (0.66, -0.05), (0.46, 0.4), (0.3, 0.62), (0.33, 0.78), (0.46, 0.9),
               (0.42, 0.91), (0.26, 0.76), (0.02, 0.72)]  # fmt: skip
    linked(scene, "Vase", _turned(_round(profile)), surface("Copper", (0.93, 0.5, 0.36), roughness=0.22, metallic=1.0))
    ring = [(0.63 + 0.1 * math.cos(a), -0.28 + 0.1 * math.sin(a)) for a in (k * math.pi / 12 for k in range(25))]
    linked(scene, "Ring", _turned(ring), surface("Gold", (1.0, 0.72, 0.3), roughness=0.1, metallic=1.0))


def mixed(scene: bpy.types.Scene) -> None:
    """A gold ball, a glossy plastic cube and a rough cone on a disc of two woods."""
    disc = [(0.81, -0.62), (0.85, -0.58), (0.85, -0.5), (0.81, -0.46)]
    wood = surface("Wood", (0.4, 0.22, 0.1), (0.2, 0.09, 0.04), roughness=0.6, scale=2.5)
    linked(scene, "Disc", _turned(disc), wood)
    ball = bmesh.new()
    bmesh.ops.create_uvsphere(
        ball, u_segments=64, v_segments=32, radius=0.38, matrix=Matrix.Translation((0.4, 0.15, -0.08))
    )
    linked(scene, "Ball", _smooth(ball), surface("Gold", (1.0, 0.77, 0.34), roughness=0.15, metallic=1.0))
    cube = bmesh.new()
    turn = Matrix.Translation((-0.38, 0.3, -0.17)) @ Matrix.Rotation(0.5, 4, "Z")
    bmesh.ops.create_cube(cube, size=0.58, matrix=turn)
    bmesh.ops.bevel(cube, geom=cube.edges[:], offset=0.06, segments=4, affect="EDGES", profile=0.5)
    plastic = surface("Plastic", (0.05, 0.28, 0.5), roughness=0.2)
    linked(scene, "Cube", _smooth(cube), plastic).modifiers.new("Normals", "WEIGHTED_NORMAL")
    cone = _turned([(0.27, -0.46), (0.28, -0.44), (0.02, 0.22), (0.005, 0.23)])
    bmesh.ops.translate(cone, verts=cone.verts[:], vec=(-0.05, -0.48, 0.0))
    linked(scene, "Cone", cone, surface("Clay", (0.55, 0.16, 0.08), roughness=0.85))
    for thing in scene.objects:
        thing.location.z = 0.18


def rough(scene: bpy.types.Scene) -> None:
    """A weathered stone of two colours."""
    shape = bmesh.new()
    bmesh.ops.create_icosphere(shape, subdivisions=6, radius=0.75)
    for vertex in shape.verts:
        out = vertex.co.normalized()
        vertex.co += out * (0.28 * noise.noise(1.6 * out + Vector((3, 1, 2))) + 0.07 * noise.noise(5 * out))
    stone = surface("Stone", (0.5, 0.42, 0.3), (0.2, 0.27, 0.16), roughness=0.9, scale=2.2)
    linked(scene, "Stone", _smooth(shape), stone)


def shadowed(scene: bpy.types.Scene) -> None:
    """A round pavilion: columns and a ball between floor and roof, most of it in each other's shade."""
    stone = surface("Marble", (0.62, 0.58, 0.5), (0.4, 0.34, 0.3), roughness=0.65, scale=2.0)
    for name, low, high, radius in (("Floor", -0.68, -0.58, 0.76), ("Roof", 0.42, 0.54, 0.72)):
        edge = 0.02
        profile = [(radius - edge, low), (radius, low + edge), (radius, high - edge), (radius - edge, high)]
        linked(scene, name, _turned(profile), stone)
    for k in range(6):
        column = _turned([(0.11, -0.58), (0.085, -0.5), (0.075, 0.34), (0.11, 0.42)], 32)
        a = 2 * math.pi * k / 6
        bmesh.ops.translate(column, verts=column.verts[:], vec=(0.55 * math.cos(a), 0.55 * math.sin(a), 0.0))
        linked(scene, "Column", column, stone)
    ball = bmesh.new()
    bmesh.ops.create_uvsphere(ball, u_segments=64, v_segments=32, radius=0.3, matrix=Matrix.Translation((0, 0, -0.28)))
    linked(scene, "Ball", _smooth(ball), surface("Paint", (0.1, 0.4, 0.2), roughness=0.4))


#: By name, in the order in which a smaller set takes them.
OBJECTS: dict[str, Callable[[bpy.types.Scene], None]] = {
    "glossy": glossy, "metal": metal, "mixed": mixed, "rough": rough, "shadowed": shadowed,
}  # fmt: skip
