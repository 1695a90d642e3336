# SPDX-License-Identifier: GPL-3.0-or-later
"""The material that draws Gaussians: each instance is a hull on which a pixel finds the Gaussian's peak along its ray.

In the instance's own frame the hull's inner sphere has radius one and is where opacity falls to an e-th of its peak: to
1/255 (e = 255 o), but at most to a 64th. With r the distance at which the ray passes the middle, it is o · e^(−r²), the
Gaussian's o · exp(−½ d²). That needs no camera, so it is right in mirrors and shadows, and for EEVEE and Cycles
alike; quads that face the camera would be right for one camera alone, quads along the Gaussian's own plane vanish from
the side.

What it covers shines as photographed, or reflects the scene's light about the Gaussian's normal, or both (see
splat_surface). A relit Gaussian must not shade its neighbours, which overlap it: it casts no shadow and bounces no
diffuse light, which a proxy mesh does instead, and mirrors see it only from afar.
"""

from __future__ import annotations

from typing import Any

import bpy

from . import compat
from .node_maths import Maths

#: The instances' attributes: linear colour, and opacity as its alpha;
COLOUR = "limelight_splat"
#: linear albedo; metallic, roughness, and the distance within which it does not see its like; normal in its own frame;
ALBEDO, SURFACE, NORMAL = "limelight_albedo", "limelight_surface", "limelight_normal"
#: the share of reflected light in its colour; how much of the cloud is relit at all.
SHARE, RELIGHT = "limelight_share", "limelight_relight"
NAME = "Limelight Splats"
_MARK = "limelight_splats"
#: Counts changes of the nodes: a file that was saved with others gets these.
_VERSION = 3
#: Where Gaussians end, as a part of their peak: beyond lies a 64th of what they cover, but many of the rays that would
#: meet them, each of which costs as much as any other.
_DEEPEST = 64.0
#: Reflects four hundredths straight on, as the method's dielectrics do.
_IOR = 1.5


def material() -> bpy.types.Material:
    """The material of all splats of a file, made once."""
    for found in bpy.data.materials:
        if found.get(_MARK) == _VERSION and not found.library:
            return found
    made = bpy.data.materials.new(NAME)
    made[_MARK] = _VERSION
    tree = compat.node_tree(made)
    tree.nodes.clear()
    maths = Maths(tree)
    attribute = _attribute(maths, COLOUR)
    light = maths.node("ShaderNodeEmission")
    tree.links.new(attribute.outputs["Color"], light.inputs["Color"])
    surface = _attribute(maths, SURFACE).outputs["Vector"]
    colour = maths.node("ShaderNodeMixShader")
    maths.put(colour.inputs[0], _attribute(maths, SHARE).outputs["Fac"])
    tree.links.new(light.outputs[0], colour.inputs[1])
    tree.links.new(_reflecting(maths, surface).outputs[0], colour.inputs[2])
    mix = maths.node("ShaderNodeMixShader")
    covered = _opacity(maths, attribute.outputs["Alpha"])
    maths.put(mix.inputs[0], maths.multiply(covered, maths.subtract(1.0, _hidden(maths, surface))))
    tree.links.new(maths.node("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[1])
    tree.links.new(colour.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], maths.node("ShaderNodeOutputMaterial").inputs["Surface"])
    compat.let_through(made)
    # The correction would bend normals towards the hull's facets.
    settings: Any = made.cycles
    settings.use_bump_map_correction = False
    return made


def _attribute(maths: Maths, name: str) -> bpy.types.Node:
    return maths.node("ShaderNodeAttribute", attribute_type="INSTANCER", attribute_name=name)


def _reflecting(maths: Maths, surface: bpy.types.NodeSocket) -> bpy.types.Node:
    """A Principled shader with the Gaussian's material, its normal on the ray's side."""
    shader, parts = maths.node("ShaderNodeBsdfPrincipled"), maths.node("ShaderNodeSeparateXYZ")
    maths.put(parts.inputs[0], surface)
    turn = maths.node("ShaderNodeVectorTransform", vector_type="NORMAL", convert_from="OBJECT", convert_to="WORLD")
    maths.put(turn.inputs[0], _attribute(maths, NORMAL).outputs["Vector"])
    normal = maths.vector("NORMALIZE", turn.outputs[0])
    towards = maths.vector("DOT_PRODUCT", normal, maths.node("ShaderNodeNewGeometry").outputs["Incoming"])
    side = maths.subtract(maths.multiply(maths.scalar("GREATER_THAN", towards, 0.0), 2.0), 1.0)
    maths.put(shader.inputs["Normal"], maths.vector("SCALE", normal, number=side))
    maths.put(shader.inputs["Base Color"], _attribute(maths, ALBEDO).outputs["Color"])
    maths.put(shader.inputs["Metallic"], parts.outputs[0])
    maths.put(shader.inputs["Roughness"], parts.outputs[1])
    maths.put(shader.inputs["IOR"], _IOR)
    return shader


def _hidden(maths: Maths, surface: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """How little rays that ask for shadow or bounced light see of it: 1 is nothing."""
    path, parts = maths.node("ShaderNodeLightPath"), maths.node("ShaderNodeSeparateXYZ")
    maths.put(parts.inputs[0], surface)
    close = maths.scalar("LESS_THAN", path.outputs["Ray Length"], parts.outputs[2])
    bounced = maths.multiply(close, maths.subtract(1.0, path.outputs["Is Camera Ray"]))
    asked = maths.scalar("MAXIMUM", path.outputs["Is Shadow Ray"], path.outputs["Is Diffuse Ray"])
    return maths.multiply(maths.scalar("MAXIMUM", asked, bounced), _attribute(maths, RELIGHT).outputs["Fac"])


def depth(maths: Maths, peak: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """How many times lower than its ``peak`` opacity is at a Gaussian's hull; in shaders and in geometry nodes."""
    return maths.scalar("MINIMUM", maths.multiply(peak, 255.0), _DEEPEST)


def _opacity(maths: Maths, peak: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """How much of what is behind a pixel of the hull the Gaussian covers."""
    place = maths.node("ShaderNodeTexCoord").outputs["Object"]
    geometry = maths.node("ShaderNodeNewGeometry")
    turn = maths.node("ShaderNodeVectorTransform", vector_type="VECTOR", convert_from="WORLD", convert_to="OBJECT")
    maths.put(turn.inputs[0], geometry.outputs["Incoming"])
    ray = turn.outputs[0]
    along = maths.vector("DOT_PRODUCT", place, ray)
    past = maths.divide(maths.multiply(along, along), maths.vector("DOT_PRODUCT", ray, ray))
    squared = maths.subtract(maths.vector("DOT_PRODUCT", place, place), past)
    fall = maths.scalar("POWER", depth(maths, peak), maths.multiply(squared, -1.0))
    inside = maths.scalar("LESS_THAN", squared, 1.0)
    front = maths.subtract(1.0, geometry.outputs["Backfacing"])
    return maths.multiply(maths.multiply(maths.multiply(peak, fall), inside), front)
