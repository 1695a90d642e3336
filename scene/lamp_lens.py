# SPDX-License-Identifier: GPL-3.0-or-later
"""Lamps that a camera sees: Cycles shows lamps to every ray but the camera's own, so a lens turns those into others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import bpy
from mathutils import Vector

from . import compat, visible

_RADIUS = 0.01


@contextmanager
def lens(stage: bpy.types.Scene, place: Vector, least: float) -> Iterator[None]:
    """A ball about ``place`` that lets rays pass as they are, as long as the block lasts; a camera in it sees lamps.

    Lamps whose radius is less than ``least`` radians as seen from there are larger meanwhile, with the same power:
    what is smaller than a pixel would be all noise, and a point could not be met at all.
    """
    (layer,) = stage.view_layers
    lamps = list(visible.lamps(layer))
    ball = _ball(place)
    stage.collection.objects.link(ball)
    with ExitStack() as restore:
        restore.callback(_remove, ball)
        for lamp, to_world in lamps:
            for owner, name, value in _larger(lamp.data, to_world.translation, place, least):
                restore.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, value)
        yield


def _larger(data: Any, where: Vector, place: Vector, least: float) -> Iterator[tuple[Any, str, Any]]:
    """What of a lamp must change so that rays meet it: owner, property, value."""
    cycles = getattr(data, "cycles", None)
    if hasattr(cycles, "use_multiple_importance_sampling"):
        yield cycles, "use_multiple_importance_sampling", True
    radius = math.tan(least) * (where - place).length
    if data.type == "SUN":
        yield data, "angle", max(data.angle, 2 * least)
    elif data.type == "AREA":
        yield data, "size", max(data.size, 2 * radius)
        if data.shape in {"RECTANGLE", "ELLIPSE"}:
            yield data, "size_y", max(data.size_y, 2 * radius)
    else:
        yield data, "shadow_soft_size", max(data.shadow_soft_size, radius)


def _ball(place: Vector) -> bpy.types.Object:
    import bmesh

    material = bpy.data.materials.new("Limelight lens")
    tree = compat.node_tree(material)
    tree.nodes.clear()
    output, shader = tree.nodes.new("ShaderNodeOutputMaterial"), tree.nodes.new("ShaderNodeBsdfRefraction")
    shader.inputs["Color"].default_value = 1.0, 1.0, 1.0, 1.0
    shader.inputs["Roughness"].default_value, shader.inputs["IOR"].default_value = 0.0, 1.0
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    mesh = bpy.data.meshes.new("Limelight lens")
    grid = bmesh.new()
    bmesh.ops.create_icosphere(grid, subdivisions=2, radius=_RADIUS)
    grid.to_mesh(mesh)
    grid.free()
    mesh.materials.append(material)
    ball = bpy.data.objects.new("Limelight lens", mesh)
    ball.location = place
    # Only the camera's rays pass through it; what they meet is lit as if it were not there.
    for kind in ("diffuse", "glossy", "transmission", "volume_scatter", "shadow"):
        setattr(ball, f"visible_{kind}", False)
    return ball


def _remove(ball: bpy.types.Object) -> None:
    mesh = ball.data
    (material,) = mesh.materials
    bpy.data.objects.remove(ball)
    bpy.data.meshes.remove(mesh)
    bpy.data.materials.remove(material)
