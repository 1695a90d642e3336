# SPDX-License-Identifier: GPL-3.0-or-later
"""Sun lamps that a camera sees: no camera of Cycles sees them, so far discs of the same light stand in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import bpy
from mathutils import Matrix, Vector

from . import compat, visible

#: Metres to a disc, and to the far end that a camera needs to see it.
DISTANCE, CLIP_END = 5e4, 1e5


@contextmanager
def discs(
    stage: bpy.types.Scene, place: Vector, least: float, distance: float
) -> Iterator[list[bpy.types.Object]]:
    """One disc for each Sun of a scene, facing ``place``, as long as the block lasts; hidden in renders at first.

    ``least``: the smallest radius in radians; ``distance`` in units of the scene.
    """
    (layer,) = stage.view_layers
    lamps = [(lamp, to_world) for lamp, to_world in visible.lamps(layer) if lamp.data.type == "SUN"]
    made = [_disc(stage, *lamp, place, least, distance) for lamp in lamps]
    try:
        yield made
    finally:
        for disc in made:
            mesh = disc.data
            (material,) = mesh.materials
            bpy.data.objects.remove(disc)
            bpy.data.meshes.remove(mesh)
            bpy.data.materials.remove(material)


def _disc(
    stage: bpy.types.Scene, lamp: bpy.types.Object, to_world: Matrix, place: Vector, least: float, distance: float
) -> bpy.types.Object:
    """A disc that only a camera sees, of the lamp's irradiance and angle (radius at least ``least``), facing ``place``.

    Irradiance E under a disc of radius a is radiance E / (π sin² a).
    """
    radius = max(lamp.data.angle / 2, least)
    # Below an uneven scale a lamp's axes are not at right angles; it shines along z.
    turn = to_world.col[2].xyz.to_track_quat("Z", "Y")
    mesh = bpy.data.meshes.new("Limelight sun")
    around = [2 * math.pi * i / 64 for i in range(64)]
    edge = min(math.tan(min(radius, 1.5)), 10.0) * distance
    mesh.from_pydata([(edge * math.cos(a), edge * math.sin(a), 0.0) for a in around], [], [range(64)])
    disc = bpy.data.objects.new("Limelight sun", mesh)
    disc.location, disc.rotation_mode = place + turn @ Vector((0.0, 0.0, distance)), "QUATERNION"
    disc.rotation_quaternion = turn
    for ray in ("diffuse", "glossy", "volume_scatter", "shadow"):
        setattr(disc, f"visible_{ray}", False)
    material = bpy.data.materials.new("Limelight sun")
    tree = compat.node_tree(material)
    tree.nodes.clear()
    light, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(light.outputs[0], output.inputs[0])
    strength = lamp.data.energy * 2 ** getattr(lamp.data, "exposure", 0.0)
    tint = lamp.data.temperature_color if getattr(lamp.data, "use_temperature", False) else (1.0, 1.0, 1.0)
    light.inputs["Color"].default_value = (*(a * b for a, b in zip(lamp.data.color, tint, strict=True)), 1.0)
    light.inputs["Strength"].default_value = strength / (math.pi * math.sin(min(radius, math.pi / 2)) ** 2)
    # The lamp itself lights the scene.
    if material.cycles is not None:
        material.cycles.emission_sampling = "NONE"
    mesh.materials.append(material)
    disc.hide_render = True
    stage.collection.objects.link(disc)
    return disc
