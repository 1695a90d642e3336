# SPDX-License-Identifier: GPL-3.0-or-later
"""A furnished room for Cycles: a window with sun and sky, a standard lamp, wood, cloth and plaster."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import bpy
from mathutils import Vector

from ...scene import compat
from . import materials, shapes


@dataclass(frozen=True)
class Interior:
    """The room's camera, and two places on its floor: one in the light of the window, one away from it."""

    camera: bpy.types.Object
    lit: Vector
    shaded: Vector


def build_interior(scene: bpy.types.Scene, seed: int = 0) -> Interior:
    """Fill an empty scene with a room of about 5 × 6 × 2.7 metres; the same seed gives the same room."""
    rng = random.Random(seed)
    width, length, height = rng.uniform(4.6, 5.4), rng.uniform(5.5, 6.5), 2.7
    _shell(scene, rng, width, length, height)
    _furniture(scene, rng, width, length)
    _light(scene, rng, width)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0.3, -length / 2 + 0.35, 1.45)
    camera.rotation_euler = (math.radians(80), 0.0, math.radians(4))
    camera.data.angle_x = math.radians(68)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = 480, 360
    bpy.context.view_layer.update()
    return Interior(camera, Vector((-0.75, 0.1, 0.12)), Vector((1.0, -0.1, 0.12)))


def _shell(scene: bpy.types.Scene, rng: random.Random, width: float, length: float, height: float) -> None:
    warm = rng.uniform(0.0, 0.08)
    plaster = materials.textured(
        "Plaster", (0.62, 0.6 - warm / 2, 0.55 - warm), (0.74, 0.72 - warm / 2, 0.67 - warm), kind="noise",
        scale=(3, 3, 3), roughness=0.9,
    )  # fmt: skip
    planks = materials.textured(
        "Planks", (0.24, 0.12, 0.055), (0.40, 0.22, 0.11), kind="brick", scale=(1.2, 5.0, 1.0), roughness=0.35
    )
    white = materials.principled("Ceiling", (0.8, 0.8, 0.78), roughness=0.9)
    shapes.box(scene, "Floor", (0, 0, -0.05), (width, length, 0.1), planks)
    shapes.box(scene, "Ceiling", (0, 0, height + 0.05), (width, length, 0.1), white)
    shapes.box(scene, "Back wall", (0, length / 2 + 0.05, height / 2), (width, 0.1, height), plaster)
    shapes.box(scene, "Front wall", (0, -length / 2 - 0.05, height / 2), (width, 0.1, height), plaster)
    shapes.box(scene, "Right wall", (width / 2 + 0.05, 0, height / 2), (0.1, length, height), plaster)
    # The left wall has a window between 0.85 and 2.25 metres.
    x, near, far = -width / 2 - 0.05, -0.6, 1.5
    shapes.box(scene, "Sill", (x, 0, 0.425), (0.1, length, 0.85), plaster)
    shapes.box(scene, "Lintel", (x, 0, (2.25 + height) / 2), (0.1, length, height - 2.25), plaster)
    for name, start, end in (("Pier near", -length / 2, near), ("Pier far", far, length / 2)):
        shapes.box(scene, name, (x, (start + end) / 2, 1.55), (0.1, end - start, 1.4), plaster)
    frame = materials.principled("Frame", (0.75, 0.75, 0.73), roughness=0.4)
    shapes.box(scene, "Mullion", (x, (near + far) / 2, 1.55), (0.06, 0.05, 1.4), frame)
    shapes.box(scene, "Transom", (x, (near + far) / 2, 1.65), (0.06, far - near, 0.04), frame)
    skirting = materials.principled("Skirting", (0.7, 0.69, 0.66), roughness=0.5)
    shapes.box(scene, "Skirting", (0, length / 2 - 0.01, 0.05), (width, 0.02, 0.1), skirting)


def _furniture(scene: bpy.types.Scene, rng: random.Random, width: float, length: float) -> None:
    cloth = materials.textured(
        "Cloth", (0.03, 0.10, 0.14), (0.06, 0.17, 0.22), kind="noise", scale=(14, 14, 14), roughness=1.0
    )
    wood = materials.textured(
        "Oak", (0.36, 0.22, 0.11), (0.48, 0.31, 0.17), kind="noise", scale=(2, 18, 2), roughness=0.4
    )
    y = length / 2 - 0.55
    shapes.box(scene, "Sofa seat", (0.35, y, 0.24), (1.9, 0.85, 0.4), cloth)
    shapes.box(scene, "Sofa back", (0.35, y + 0.36, 0.6), (1.9, 0.18, 0.5), cloth)
    for x in (-0.68, 1.38):
        shapes.box(scene, "Sofa arm", (x, y, 0.36), (0.2, 0.85, 0.6), cloth)
    mustard = materials.principled("Cushion", (0.62, 0.36, 0.05), roughness=0.9)
    shapes.box(scene, "Cushion", (-0.25, y + 0.1, 0.6), (0.42, 0.14, 0.38), mustard, 0.2)
    rug = materials.textured(
        "Rug", (0.42, 0.11, 0.08), (0.66, 0.52, 0.38), kind="brick", scale=(2.4, 2.4, 1), roughness=1.0
    )
    shapes.box(scene, "Rug", (0.1, 0.5, 0.008), (2.6, 1.9, 0.016), rug)
    shapes.box(scene, "Table", (0.3, 1.15, 0.38), (0.95, 0.55, 0.04), wood)
    for dx in (-0.42, 0.42):
        for dy in (-0.22, 0.22):
            shapes.box(scene, "Leg", (0.3 + dx, 1.15 + dy, 0.18), (0.05, 0.05, 0.36), wood)
    glaze = materials.principled("Vase", (0.75, 0.78, 0.8), roughness=0.12)
    shapes.ball(scene, "Vase", Vector((0.15, 1.1, 0.51)), 0.11, glaze)
    x = width / 2 - 0.2
    shapes.box(scene, "Shelf side", (x, 1.0, 0.95), (0.36, 0.04, 1.9), wood)
    shapes.box(scene, "Shelf side", (x, 2.2, 0.95), (0.36, 0.04, 1.9), wood)
    for level in range(5):
        z = 0.06 + level * 0.45
        shapes.box(scene, "Board", (x, 1.6, z), (0.36, 1.2, 0.03), wood)
        place = 1.06
        while level < 4 and place < 2.05:
            thick, tall = rng.uniform(0.025, 0.06), rng.uniform(0.2, 0.34)
            hue = [rng.uniform(0.04, 0.6) for _ in range(3)]
            spine = materials.principled("Book", (hue[0], hue[1] * 0.7, hue[2] * 0.6), roughness=0.6)
            shapes.box(scene, "Book", (x - 0.03, place + thick / 2, z + 0.015 + tall / 2), (0.2, thick, tall), spine)
            place += thick + (rng.uniform(0.05, 0.25) if rng.random() < 0.12 else 0.003)
    picture = materials.textured(
        "Picture", (0.05, 0.12, 0.3), (0.85, 0.6, 0.3), kind="noise", scale=(2, 2, 5), roughness=0.7
    )
    shapes.box(scene, "Picture", (0.3, length / 2 - 0.02, 1.6), (1.1, 0.03, 0.7), picture)


def _light(scene: bpy.types.Scene, rng: random.Random, width: float) -> None:
    world = bpy.data.worlds.new("Sky")
    scene.world = world
    tree = compat.node_tree(world)
    background = next((n for n in tree.nodes if n.type == "BACKGROUND"), None) or tree.nodes.new("ShaderNodeBackground")
    background.inputs["Color"].default_value = (0.45, 0.65, 1.0, 1)
    background.inputs["Strength"].default_value = 3.0
    sun = bpy.data.lights.new("Sun", "SUN")
    sun.energy, sun.angle, sun.color = 22.0, math.radians(0.6), (1.0, 0.9, 0.76)
    lamp = bpy.data.objects.new("Sun", sun)
    lamp.rotation_euler = Vector((-0.82, rng.uniform(0.1, 0.25), 0.55)).to_track_quat("Z", "Y").to_euler()
    scene.collection.objects.link(lamp)
    # A portal-like area in the window brings the sky in with less noise than finding the opening by chance.
    shade = materials.emissive("Lampshade", (1.0, 0.68, 0.36), 9.0)
    metal = materials.principled("Brass", (0.8, 0.6, 0.3), roughness=0.25, metallic=1.0)
    x = width / 2 - 0.45
    shapes.box(scene, "Lamp pole", (x, 0.4, 0.75), (0.025, 0.025, 1.5), metal)
    shapes.box(scene, "Lamp foot", (x, 0.4, 0.01), (0.26, 0.26, 0.02), metal)
    shapes.ball(scene, "Lampshade", Vector((x, 0.4, 1.58)), 0.16, shade)
