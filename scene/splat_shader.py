# SPDX-License-Identifier: GPL-3.0-or-later
"""The material that draws Gaussians: each instance is a hull on which a pixel finds the Gaussian's peak along its ray.

In the instance's own frame the hull's inner sphere has radius one and is where opacity falls to 1/255. With r the
distance at which the ray passes the middle, opacity is o · (255 o)^(−r²), which is o · exp(−½ d²) of the Gaussian. That
needs no camera, so it is right in mirrors and shadows, and for EEVEE and Cycles alike; quads that face the camera would
be right for one camera alone, quads along the Gaussian's own plane vanish from the side.
"""

from __future__ import annotations

import bpy

from . import compat
from .node_maths import Maths

#: The instances' attribute: linear colour, and opacity as its alpha.
COLOUR = "limelight_splat"
NAME = "Limelight Splats"
_MARK = "limelight_splats"
#: Counts changes of the nodes: a file that was saved with others gets these.
_VERSION = 1


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
    attribute = maths.node("ShaderNodeAttribute", attribute_type="INSTANCER", attribute_name=COLOUR)
    light = maths.node("ShaderNodeEmission")
    tree.links.new(attribute.outputs["Color"], light.inputs["Color"])
    mix = maths.node("ShaderNodeMixShader")
    maths.put(mix.inputs[0], _opacity(maths, attribute.outputs["Alpha"]))
    tree.links.new(maths.node("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[1])
    tree.links.new(light.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], maths.node("ShaderNodeOutputMaterial").inputs["Surface"])
    compat.let_through(made)
    return made


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
    fall = maths.scalar("POWER", maths.multiply(peak, 255.0), maths.multiply(squared, -1.0))
    inside = maths.scalar("LESS_THAN", squared, 1.0)
    front = maths.subtract(1.0, geometry.outputs["Backfacing"])
    return maths.multiply(maths.multiply(maths.multiply(peak, fall), inside), front)
