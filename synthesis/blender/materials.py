# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials of the made scenes: Principled, with procedural textures where a surface is large."""

from __future__ import annotations

import bpy

from ...scene import compat

Colour = tuple[float, float, float]


def principled(name: str, colour: Colour, *, roughness: float = 0.5, metallic: float = 0.0) -> bpy.types.Material:
    """A plain Principled material."""
    material = bpy.data.materials.new(name)
    tree = compat.node_tree(material)
    tree.nodes.clear()
    shader = tree.nodes.new("ShaderNodeBsdfPrincipled")
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Metallic"].default_value = metallic
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    return material


def emissive(name: str, colour: Colour, strength: float) -> bpy.types.Material:
    """A material that shines."""
    material = bpy.data.materials.new(name)
    tree = compat.node_tree(material)
    tree.nodes.clear()
    shader, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    shader.inputs["Color"].default_value = (*colour, 1)
    shader.inputs["Strength"].default_value = strength
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    return material


def textured(
    name: str, dark: Colour, light: Colour, *, kind: str, scale: tuple[float, float, float], roughness: float
) -> bpy.types.Material:
    """Two colours mixed by a procedural texture: ``kind`` is brick (planks, tiles) or noise (cloth, plaster)."""
    material = principled(name, light, roughness=roughness)
    tree = compat.node_tree(material)
    place, spread = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeMapping")
    spread.inputs["Scale"].default_value = scale
    tree.links.new(place.outputs["Object"], spread.inputs["Vector"])
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    if kind == "brick":
        texture = tree.nodes.new("ShaderNodeTexBrick")
        texture.inputs["Color1"].default_value, texture.inputs["Color2"].default_value = (*dark, 1), (*light, 1)
        texture.inputs["Mortar"].default_value = (*(c * 0.35 for c in dark), 1)
        texture.inputs["Mortar Size"].default_value = 0.004
        texture.inputs["Scale"].default_value = 1.0
        tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    else:
        texture, ramp = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
        texture.inputs["Scale"].default_value, texture.inputs["Detail"].default_value = 1.0, 6.0
        ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (*dark, 1), (*light, 1)
        tree.links.new(texture.outputs[0], ramp.inputs[0])
        tree.links.new(ramp.outputs[0], shader.inputs["Base Color"])
    tree.links.new(spread.outputs[0], texture.inputs["Vector"])
    return material
