# SPDX-License-Identifier: GPL-3.0-or-later
"""Random procedural surfaces by what they are: walls, floors, wood, cloth, stone, leaves."""

from __future__ import annotations

import colorsys
import random

import bpy

from ...scene import compat
from . import materials
from .materials import Colour


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A linear colour."""
    return colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1))


def shaded(colour: Colour, factor: float) -> Colour:
    """The same colour, lighter or darker."""
    red, green, blue = (min(1.0, c * factor) for c in colour)
    return red, green, blue


def bumpy(material: bpy.types.Material, scale: float, depth: float) -> bpy.types.Material:
    """Add fine relief: noise of ``scale`` a metre, ``depth`` metres deep."""
    tree = compat.node_tree(material)
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    place, noise = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeTexNoise")
    bump = tree.nodes.new("ShaderNodeBump")
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = scale, 4.0
    bump.inputs["Distance"].default_value, bump.inputs["Strength"].default_value = depth, 0.6
    tree.links.new(place.outputs["Object"], noise.inputs["Vector"])
    tree.links.new(noise.outputs[0], bump.inputs["Height"])
    tree.links.new(bump.outputs[0], shader.inputs["Normal"])
    return material


def wall(rng: random.Random) -> bpy.types.Material:
    """Painted plaster, mostly pale, sometimes in a strong colour; or brick."""
    hue, strong = rng.random(), rng.random() < 0.3
    if rng.random() < 0.12:
        return brick(rng)
    light = hsv(hue, rng.uniform(0.25, 0.6) if strong else rng.uniform(0.0, 0.14), rng.uniform(0.35, 0.85))
    made = materials.textured("Plaster", shaded(light, 0.88), light, kind="noise", scale=(3, 3, 3), roughness=0.9)
    return bumpy(made, 60, 0.002)


def brick(rng: random.Random) -> bpy.types.Material:
    """Bricks, red or pale."""
    light = rng.choice([(0.45, 0.17, 0.10), (0.62, 0.52, 0.38), (0.7, 0.68, 0.64), (0.3, 0.12, 0.09)])
    return materials.textured(
        "Brick", shaded(light, 0.65), light, kind="brick", scale=(4.5, 4.5, 4.5), roughness=0.9
    )  # fmt: skip


def wood(rng: random.Random) -> bpy.types.Material:
    """Grained wood, pale to dark."""
    light = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.45, 0.75), rng.uniform(0.12, 0.6))
    scale = rng.choice([(2, 18, 2), (18, 2, 2)])
    return materials.textured(
        "Wood", shaded(light, 0.6), light, kind="noise", scale=scale, roughness=rng.uniform(0.2, 0.6)
    )


def floor(rng: random.Random) -> bpy.types.Material:
    """Planks, tiles, carpet or polished concrete."""
    kind = rng.choice(["planks", "planks", "tiles", "carpet", "concrete"])
    if kind == "planks":
        light = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.4, 0.7), rng.uniform(0.15, 0.55))
        return materials.textured(
            "Planks", shaded(light, 0.7), light, kind="brick", scale=(1.0, 4.0, 1.0), roughness=rng.uniform(0.15, 0.5)
        )
    if kind == "tiles":
        light = hsv(rng.random(), rng.uniform(0, 0.2), rng.uniform(0.4, 0.8))
        return materials.textured(
            "Tiles", shaded(light, 0.8), light, kind="brick", scale=(1.6, 1.0, 1.6), roughness=rng.uniform(0.08, 0.3)
        )
    if kind == "carpet":
        light = hsv(rng.random(), rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.5))
        made = materials.textured("Carpet", shaded(light, 0.7), light, kind="noise", scale=(30,) * 3, roughness=1.0)
        return bumpy(made, 150, 0.005)
    return concrete(rng)


def concrete(rng: random.Random) -> bpy.types.Material:
    """Smooth grey stone."""
    light = hsv(rng.uniform(0.05, 0.15), rng.uniform(0, 0.12), rng.uniform(0.25, 0.6))
    made = materials.textured("Concrete", shaded(light, 0.7), light, kind="noise", scale=(1.5,) * 3, roughness=0.7)
    return bumpy(made, 20, 0.003)


def cloth(rng: random.Random) -> bpy.types.Material:
    """Woven cloth of any colour."""
    light = hsv(rng.random(), rng.uniform(0.05, 0.8), rng.uniform(0.08, 0.65))
    made = materials.textured("Cloth", shaded(light, 0.7), light, kind="noise", scale=(16,) * 3, roughness=1.0)
    return bumpy(made, 220, 0.002)


def paint(rng: random.Random) -> bpy.types.Material:
    """Lacquer of any colour."""
    colour = hsv(rng.random(), 0.85 * rng.random() ** 1.6, rng.uniform(0.05, 0.8))
    return materials.principled("Paint", colour, roughness=rng.uniform(0.08, 0.5))


def metal(rng: random.Random) -> bpy.types.Material:
    """Steel, brass, copper or black iron."""
    colour = rng.choice([(0.6, 0.6, 0.6), (0.8, 0.6, 0.3), (0.85, 0.5, 0.35), (0.1, 0.1, 0.1)])
    return materials.principled("Metal", colour, roughness=rng.uniform(0.12, 0.45), metallic=1.0)


def asphalt(rng: random.Random) -> bpy.types.Material:
    """A road, dry or wet."""
    light = rng.uniform(0.05, 0.16)
    made = materials.textured(
        "Asphalt", (light * 0.6,) * 3, (light, light, light * 0.96), kind="noise", scale=(2,) * 3,
        roughness=rng.choice([0.9, 0.8, 0.25]),
    )  # fmt: skip
    return bumpy(made, 70, 0.01)


def grass(rng: random.Random) -> bpy.types.Material:
    """A lawn from afar."""
    light = hsv(rng.uniform(0.2, 0.3), rng.uniform(0.5, 0.75), rng.uniform(0.12, 0.3))
    made = materials.textured("Grass", shaded(light, 0.4), light, kind="noise", scale=(7,) * 3, roughness=1.0)
    return bumpy(made, 60, 0.06)


def leaves(rng: random.Random) -> bpy.types.Material:
    """Foliage."""
    light = hsv(rng.uniform(0.17, 0.34), rng.uniform(0.55, 0.85), rng.uniform(0.1, 0.3))
    made = materials.textured("Leaves", shaded(light, 0.3), light, kind="noise", scale=(9,) * 3, roughness=0.8)
    return bumpy(made, 14, 0.2)


def translucent(name: str, colour: Colour, through: float) -> bpy.types.Material:
    """Thin cloth: ``through`` is the share of light that it lets pass, scattered."""
    material = bpy.data.materials.new(name)
    tree = compat.node_tree(material)
    tree.nodes.clear()
    mix, output = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeOutputMaterial")
    mix.inputs[0].default_value = through
    for index, kind in enumerate(("ShaderNodeBsdfDiffuse", "ShaderNodeBsdfTranslucent"), 1):
        shader = tree.nodes.new(kind)
        shader.inputs["Color"].default_value = (*colour, 1)
        tree.links.new(shader.outputs[0], mix.inputs[index])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    return material


def picture(rng: random.Random) -> bpy.types.Material:
    """An abstract painting."""
    a, b = hsv(rng.random(), rng.uniform(0.4, 1), rng.uniform(0.05, 0.4)), hsv(rng.random(), 0.6, rng.uniform(0.5, 0.9))
    return materials.textured("Picture", a, b, kind="noise", scale=(2, 2, 5), roughness=0.7)
