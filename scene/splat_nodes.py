# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry nodes that make something to see of splats: a hull at each, coloured as the scene's camera sees it."""

from __future__ import annotations

from typing import Any

import bpy

from . import splat_shader, splat_surface
from .node_maths import Maths, Value
from .splat_harmonics import DC, POLYNOMIALS

NAME = "Limelight Splats"
MARK = "limelight_splats"
_VERSION = 4
#: Circumscribed over inscribed radius of an icosahedron, and of one of 80 faces: they touch the sphere that the shader
#: fills. Renders have the second, beside whose sphere fewer rays hit it in vain; the viewport draws fewer faces.
_HULL, _FINER_HULL = 1.2584086, 1.0704677
#: Inputs of the modifier, by what scripts call them: kind, default, lowest, highest, description.
INPUTS: dict[str, tuple[str, Any, Any, Any, str]] = {
    "Most in Viewport": ("NodeSocketInt", 50000, 0, 100_000_000, "More Gaussians than this are thinned out in the"
                         " viewport, never in renders"),
    "View-Dependent": ("NodeSocketBool", True, None, None, "Colours as seen from the scene's camera; else the same from"
                       " everywhere"),
    "Exposure": ("NodeSocketFloat", 0.0, -10.0, 10.0, "Brightness of the photographed light in stops"),
    "Size": ("NodeSocketFloat", 1.0, 0.0, 4.0, "Makes all Gaussians larger or smaller"),
    "Least Opacity": ("NodeSocketFloat", 0.0, 0.0, 1.0, "Leaves out what is fainter"),
    "Crop Box": ("NodeSocketObject", None, None, None, "Leaves out what is outside this object's cube, two units wide,"
                 " as an Empty shows it"),
    "Relight": ("NodeSocketFloat", 0.0, 0.0, 1.0, "0 shines as photographed, 1 takes this scene's light"),
    "Blend by Progress": ("NodeSocketFloat", 1.0, 0.0, 1.0, "1 keeps the photographed light where training did not"
                          " explain it by material and light, 0 lights everything: for objects that glow in the dark"),
    "Albedo Gain": ("NodeSocketFloat", 0.0, -5.0, 5.0, "Brightness of what reflects the scene's light, in stops: a"
                    " scan alone cannot tell bright things in dim light from dark ones in bright light"),
    "Roughness Bias": ("NodeSocketFloat", 0.0, -1.0, 1.0, "Makes reflections duller or clearer"),
    "Smooth Normals": ("NodeSocketFloat", 0.0, 0.0, 1.0, "Takes the normals of the shadow mesh instead of each"
                       " Gaussian's own: calmer reflections, fewer details"),
    "Shadow Mesh": ("NodeSocketObject", None, None, None, "The mesh of these splats' surface"),
    "Learnt Material": ("NodeSocketBool", True, None, None, "Off, or where a file has no material, the photographed"
                        " colour is taken for a dull surface's"),
}  # fmt: skip


def _mark_of(found: bpy.types.NodeTree) -> list[int]:
    mark: Any = found.get(MARK)
    return [] if mark is None else list(mark)


def group(terms: int) -> bpy.types.NodeTree:
    """The node group for splats with ``terms`` harmonics beyond the constant (0, 3, 8, 15, 24), made once a file."""
    for found in bpy.data.node_groups:
        if _mark_of(found) == [_VERSION, terms] and not found.library:
            return found
    # The stubs know of no kinds of trees and sockets.
    tree: Any = bpy.data.node_groups.new(NAME, "GeometryNodeTree")
    tree[MARK] = [_VERSION, terms]
    tree.is_modifier = True
    face = tree.interface
    face.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    for name, (kind, default, low, high, text) in INPUTS.items():
        socket = face.new_socket(name, in_out="INPUT", socket_type=kind, description=text)
        if default is not None:
            socket.default_value = default
        if low is not None:
            socket.min_value, socket.max_value = low, high
    face.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    _fill(Maths(tree), terms)
    return tree


def _fill(maths: Maths, terms: int) -> None:
    given = maths.node("NodeGroupInput").outputs
    base, _ = maths.named("radiance:base", "FLOAT_COLOR")
    parts = maths.node("FunctionNodeSeparateColor")
    maths.put(parts.inputs[0], base)
    opacity = parts.outputs["Alpha"]
    constant = maths.node("ShaderNodeCombineXYZ")
    for index in range(3):
        maths.put(constant.inputs[index], parts.outputs[index])
    shown = maths.vector("MULTIPLY_ADD", constant.outputs[0], (DC,) * 3, (0.5,) * 3)
    if terms:
        seen = maths.vector("ADD", shown, _seen_from_camera(maths, terms))
        seen = maths.switch("VECTOR", given["View-Dependent"], shown, seen)
    else:
        seen = shown
    colour = _linear(maths, seen, given["Exposure"])
    maths.put(colour.inputs["Alpha"], opacity)
    points = maths.stored(given["Geometry"], splat_shader.COLOUR, "FLOAT_COLOR", colour.outputs[0])
    points = splat_surface.store(maths, points, _linear(maths, shown, 0.0).outputs[0], given)
    _instances(maths, points, opacity, given)


def _linear(maths: Maths, shown: bpy.types.NodeSocket, stops: Value) -> bpy.types.Node:
    """A Combine Color node with the light of display colours, by the exact sRGB curve, and brighter by ``stops``."""
    parts, colour = maths.node("ShaderNodeSeparateXYZ"), maths.node("FunctionNodeCombineColor")
    maths.put(parts.inputs[0], shown)
    gain = maths.scalar("POWER", 2.0, stops)
    for index in range(3):
        value = maths.scalar("MAXIMUM", parts.outputs[index], 0.0)
        curve = maths.scalar("POWER", maths.divide(maths.add(value, 0.055), 1.055), 2.4)
        straight = maths.divide(value, 12.92)
        high = maths.scalar("GREATER_THAN", value, 0.04045)
        light = maths.add(straight, maths.multiply(high, maths.subtract(curve, straight)))
        maths.put(colour.inputs[index], maths.multiply(light, gain))
    return colour


def _seen_from_camera(maths: Maths, terms: int) -> bpy.types.NodeSocket:
    """What the harmonics add to the colour along the line from the scene's camera; nothing without a camera."""
    camera = maths.node("GeometryNodeObjectInfo", transform_space="RELATIVE")
    maths.put(camera.inputs["Object"], maths.node("GeometryNodeInputActiveCamera").outputs[0])
    place = maths.node("GeometryNodeInputPosition").outputs[0]
    line = maths.vector("NORMALIZE", maths.vector("SUBTRACT", place, camera.outputs["Location"]))
    parts = maths.node("ShaderNodeSeparateXYZ")
    maths.put(parts.inputs[0], line)
    total: Value = (0.0, 0.0, 0.0)
    for index, value in enumerate(harmonics(maths, parts.outputs[0], parts.outputs[1], parts.outputs[2], terms)):
        scaled = maths.vector("SCALE", maths.named(f"radiance:sh_{index}", "FLOAT_VECTOR")[0], number=value)
        total = maths.vector("ADD", total, scaled)
    # Object Info of no object has no size.
    there = maths.scalar("GREATER_THAN", maths.vector("LENGTH", camera.outputs["Scale"]), 0.0)
    return maths.vector("SCALE", total, number=there)


def harmonics(maths: Maths, x: Value, y: Value, z: Value, terms: int) -> list[bpy.types.NodeSocket]:
    """3DGS' real harmonics beyond the constant at x y z."""
    powers = {"x": x, "y": y, "z": z}

    def product(letters: str) -> Value:
        if letters not in powers:
            powers[letters] = maths.multiply(product(letters[:-1]), powers[letters[-1]])
        return powers[letters]

    found = []
    for monomials in POLYNOMIALS[:terms]:
        total: Value = None
        for factor, letters in monomials:
            term: Value = maths.multiply(product(letters), factor) if letters else factor
            total = term if total is None else maths.add(total, term)
        found.append(total)
    return found


def _instances(maths: Maths, points: bpy.types.NodeSocket, opacity: bpy.types.NodeSocket, given: Any) -> None:
    """A hull for each visible Gaussian, as large as it is seen."""
    # In standard deviations.
    reach = maths.scalar(
        "SQRT", maths.multiply(maths.scalar("LOGARITHM", splat_shader.depth(maths, opacity), 2.7182818), 2.0)
    )
    size = maths.vector("SCALE", maths.named("scale", "FLOAT_VECTOR")[0], number=maths.multiply(reach, given["Size"]))
    hull = maths.node("GeometryNodeMeshIcoSphere")
    viewport = maths.node("GeometryNodeIsViewport").outputs[0]
    maths.put(hull.inputs["Radius"], maths.switch("FLOAT", viewport, _FINER_HULL, _HULL))
    maths.put(hull.inputs["Subdivisions"], maths.switch("INT", viewport, 2, 1))
    coat = maths.node("GeometryNodeSetMaterial")
    maths.put(coat.inputs["Geometry"], hull.outputs["Mesh"])
    maths.put(coat.inputs["Material"], splat_shader.material())
    place = maths.node("GeometryNodeInstanceOnPoints")
    maths.put(place.inputs["Points"], points)
    maths.put(place.inputs["Selection"], _selection(maths, points, opacity, given))
    maths.put(place.inputs["Instance"], coat.outputs[0])
    maths.put(place.inputs["Rotation"], maths.named("rotation", "QUATERNION")[0])
    maths.put(place.inputs["Scale"], size)
    maths.put(maths.node("NodeGroupOutput").inputs[0], place.outputs[0])


def _selection(maths: Maths, points: Value, opacity: Value, given: Any) -> bpy.types.NodeSocket:
    """The visible ones; in the viewport a random share of them, always the same."""
    seen = maths.scalar("GREATER_THAN", opacity, maths.scalar("MAXIMUM", given["Least Opacity"], 1 / 255 + 1e-4))
    count = maths.node("GeometryNodeAttributeDomainSize", component="MESH")
    maths.put(count.inputs[0], points)
    share = maths.divide(given["Most in Viewport"], count.outputs["Point Count"])
    chance = maths.node("FunctionNodeRandomValue", data_type="FLOAT")
    drawn = next(socket for socket in chance.outputs if socket.enabled)
    kept = maths.scalar("LESS_THAN", drawn, share)
    render = maths.subtract(1.0, maths.node("GeometryNodeIsViewport").outputs[0])
    return maths.multiply(
        maths.multiply(seen, _in_box(maths, given["Crop Box"])), maths.scalar("MAXIMUM", kept, render)
    )


def _in_box(maths: Maths, box: Value) -> bpy.types.NodeSocket:
    """Whether a point lies in the cube from −1 to 1 of an object's own axes; without an object all do."""
    info = maths.node("GeometryNodeObjectInfo", transform_space="RELATIVE")
    maths.put(info.inputs["Object"], box)
    inverse, point = maths.node("FunctionNodeInvertMatrix"), maths.node("FunctionNodeTransformPoint")
    maths.put(inverse.inputs[0], info.outputs["Transform"])
    maths.put(point.inputs[0], maths.node("GeometryNodeInputPosition").outputs[0])
    maths.put(point.inputs[1], inverse.outputs[0])
    parts = maths.node("ShaderNodeSeparateXYZ")
    maths.put(parts.inputs[0], maths.vector("ABSOLUTE", point.outputs[0]))
    farthest = maths.scalar("MAXIMUM", maths.scalar("MAXIMUM", parts.outputs[0], parts.outputs[1]), parts.outputs[2])
    none = maths.scalar("LESS_THAN", maths.vector("LENGTH", info.outputs["Scale"]), 1e-9)
    return maths.scalar("MAXIMUM", maths.scalar("LESS_THAN", farthest, 1.0), none)
