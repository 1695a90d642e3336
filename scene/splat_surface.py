# SPDX-License-Identifier: GPL-3.0-or-later
"""What a splat reflects: its learnt material, or a stand-in of its colour, as attributes that the material reads.

Progressive Radiance Distillation (Ye et al. 2024) blends per pixel: p · physical + (1 − p) · photographed, p being the
distillation's progress. Here each Gaussian is blended, and the physical part is lit by whatever lights the scene.
"""

from __future__ import annotations

from typing import Any

import bpy

from . import splat_shader
from .node_maths import Maths, Value

#: What is not learnt is dull.
_ROUGHNESS = 0.6


def store(maths: Maths, points: Value, shown: bpy.types.NodeSocket, given: Any) -> bpy.types.NodeSocket:
    """Points with what splat_shader reads besides their colour; ``shown``: the colour without its view dependence."""
    channels = {name: maths.named(name, "FLOAT") for name in ("metallic", "roughness", "progress")}
    albedo, there = maths.named("albedo", "FLOAT_VECTOR")
    learnt = maths.multiply(there, given["Learnt Material"])

    def channel(name: str, otherwise: float) -> bpy.types.NodeSocket:
        return maths.switch("FLOAT", learnt, otherwise, channels[name][0])

    gained = maths.vector(
        "SCALE", maths.switch("VECTOR", learnt, shown, albedo), number=maths.scalar("POWER", 2.0, given["Albedo Gain"])
    )
    reflected = maths.vector("MAXIMUM", maths.vector("MINIMUM", gained, (1.0,) * 3), (0.0,) * 3)
    doubt = maths.multiply(given["Blend by Progress"], maths.subtract(1.0, channel("progress", 1.0)))
    share = maths.multiply(given["Relight"], maths.subtract(1.0, doubt))
    rough = maths.scalar("ADD", channel("roughness", _ROUGHNESS), given["Roughness Bias"], clamp=True)
    scale = maths.node("ShaderNodeSeparateXYZ")
    maths.put(scale.inputs[0], maths.named("scale", "FLOAT_VECTOR")[0])
    surface = maths.node("ShaderNodeCombineXYZ")
    for socket, value in zip(
        surface.inputs, (channel("metallic", 0.0), rough, _near(maths, scale, given)), strict=True
    ):
        maths.put(socket, value)
    for name, kind, value in (
        (splat_shader.ALBEDO, "FLOAT_VECTOR", reflected),
        (splat_shader.SURFACE, "FLOAT_VECTOR", surface.outputs[0]),
        (splat_shader.NORMAL, "FLOAT_VECTOR", _normal(maths, scale, given)),
        (splat_shader.SHARE, "FLOAT", share),
        (splat_shader.RELIGHT, "FLOAT", given["Relight"]),
    ):
        points = maths.stored(points, name, kind, value)
    return points


def _near(maths: Maths, scale: bpy.types.Node, given: Any) -> bpy.types.NodeSocket:
    """How far away a surface's own Gaussians are taken to be: as far as they reach, 3.33 deviations."""
    largest = maths.scalar("MAXIMUM", maths.scalar("MAXIMUM", *scale.outputs[:2]), scale.outputs[2])
    return maths.multiply(maths.multiply(largest, 3.33), given["Size"])


def _normal(maths: Maths, scale: bpy.types.Node, given: Any) -> bpy.types.NodeSocket:
    """The Gaussian's normal, or as far as wanted the nearest one of the shadow mesh, in the instance's own frame."""
    mesh = maths.node("GeometryNodeObjectInfo", transform_space="RELATIVE")
    maths.put(mesh.inputs["Object"], given["Shadow Mesh"])
    nearest = maths.node("GeometryNodeSampleNearestSurface", data_type="FLOAT_VECTOR")
    maths.put(nearest.inputs[0], mesh.outputs["Geometry"])
    value = next(socket for socket in nearest.inputs if socket.name == "Value" and socket.enabled)
    maths.put(value, maths.node("GeometryNodeInputNormal").outputs[0])
    found = next(socket for socket in nearest.outputs if socket.name == "Value" and socket.enabled)
    back, turned = maths.node("FunctionNodeInvertRotation"), maths.node("FunctionNodeRotateVector")
    maths.put(back.inputs[0], maths.named("rotation", "QUATERNION")[0])
    maths.put(turned.inputs["Vector"], found)
    maths.put(turned.inputs["Rotation"], back.outputs[0])
    own = _shortest(maths, scale)
    # Whichever way the Gaussian's own points.
    side = maths.scalar("SIGN", maths.vector("DOT_PRODUCT", turned.outputs[0], own))
    # The shader turns normals as those of surfaces, which undoes this stretching.
    size = maths.node("ShaderNodeCombineXYZ")
    for socket, deviation in zip(size.inputs, scale.outputs, strict=True):
        maths.put(socket, deviation)
    smallest = maths.scalar("MINIMUM", maths.scalar("MINIMUM", *scale.outputs[:2]), scale.outputs[2])
    stretched = maths.vector("MULTIPLY", maths.vector("SCALE", turned.outputs[0], number=side), size.outputs[0])
    smooth = maths.vector("SCALE", stretched, number=maths.divide(given["Smooth Normals"], smallest))
    rest = maths.subtract(1.0, maths.multiply(given["Smooth Normals"], maths.scalar("ABSOLUTE", side)))
    return maths.vector("ADD", maths.vector("SCALE", own, number=rest), smooth)


def _shortest(maths: Maths, scale: bpy.types.Node) -> bpy.types.NodeSocket:
    """The axis of the smallest deviation, in the instance's own frame: the normal that the method takes."""
    x, y, z = scale.outputs
    first = maths.multiply(maths.scalar("LESS_THAN", x, y), maths.scalar("LESS_THAN", x, z))
    second = maths.multiply(maths.subtract(1.0, first), maths.scalar("LESS_THAN", y, z))
    axis = maths.node("ShaderNodeCombineXYZ")
    third = maths.subtract(maths.subtract(1.0, first), second)
    for socket, value in zip(axis.inputs, (first, second, third), strict=True):
        maths.put(socket, value)
    return axis.outputs[0]
