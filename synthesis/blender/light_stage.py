# SPDX-License-Identifier: GPL-3.0-or-later
"""One room of a seed, in bpy, rendered once per light source: raw files for the engine to finish.

``bridge/launch.py synthesis.blender.light_stage JOB.json``, in a Python that has bpy. The job is what
``synthesis/cycles_light_sets.py`` writes; ``raw.json`` comes last.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from ...scene import compat
from . import assets, cycles, materials, places, shapes
from .leaving import leave, leave_with_owner
from .lights import Lighting

#: Metres from the camera to the middle at most, and from there to a lamp, as for the ray tracer's rooms.
_MIDDLE, _NEAREST, _FARTHEST = 2.0, 0.3, 3.2


def main(job: dict[str, Any]) -> None:
    """Render everything that the job asks for."""
    out, seed, samples = Path(job["out"]), int(job["seed"]), int(job["samples"])
    # Not the factory's settings: a user's asset libraries are among their preferences.
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    found = assets.find(job["assets"])
    add = (lambda scene, rng, inside: assets.scatter(scene, rng, inside, found)) if found else None
    # Two places of three are rooms.
    place = places.build(scene, seed // 2 * 3 + seed % 2, job["size"], job["threads"], add)
    scene.render.resolution_x = scene.render.resolution_y = job["size"]
    bpy.context.view_layer.update()
    middle = find_middle(scene)
    for number, (right, up) in enumerate(job["rig"]):
        with only(scene, place.lighting), lamp(scene, middle, right, up, job["radius"]):
            # The rig's lamps give irradiance 1 at the middle.
            scene.cycles.sample_clamp_indirect = job["clamp"]
            cycles.render_exr(scene, out / f"light_{number}.exr", samples, seed + number)
    for number, source in enumerate(("daylight", "lamps"), len(job["rig"])):
        with only(scene, place.lighting, source):
            scene.cycles.sample_clamp_indirect = job["own_clamp"]
            cycles.render_exr(scene, out / f"light_{number}.exr", samples, seed + number)
    render_surfaces(scene, out / "surfaces.exr", samples)
    np.save(out / "depth.npy", cycles.cast_depth(scene))
    matrix = cycles.eye(scene).matrix_world
    raw = {
        "focal": cycles.focal(scene),
        "camera_to_world": [list(row) for row in matrix],
        "middle": list(matrix.inverted() @ middle),
        "blender": bpy.app.version_string,
        "words": place.words(),
    }
    (out / "raw.json").write_text(json.dumps(raw), encoding="utf-8")


def find_middle(scene: bpy.types.Scene) -> Vector:
    """A point about half way to what the middle of the view shows: of a few, the one with most room around it."""
    matrix = cycles.eye(scene).matrix_world
    level = -matrix.to_3x3().col[2]
    level.z = 0
    level.normalize()
    away = reach(scene, matrix.translation, level, 2 * _MIDDLE)
    points = []
    for share in (0.55, 0.45, 0.65, 0.35):
        point = matrix.translation + min(share * away, _MIDDLE) * level
        point.z = min(max(point.z, 0.9), 1.4)
        points.append(point)
    around = [Vector((x, y, z)).normalized() for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z]
    # The first that is clear enough, or else the clearest.
    return max(points, key=lambda point: min(0.15, *(reach(scene, point, way, 1.0) for way in around)))


def reach(scene: bpy.types.Scene, place: Vector, way: Vector, farthest: float) -> float:
    """Metres from a world position to the next surface that way, at most ``farthest``."""
    hit, found, *_ = scene.ray_cast(bpy.context.evaluated_depsgraph_get(), place, way, distance=farthest)
    return (found - place).length if hit else farthest


@contextmanager
def lamp(scene: bpy.types.Scene, middle: Vector, right: float, up: float, radius: float) -> Iterator[bpy.types.Object]:
    """A white ball that gives the middle an irradiance of 1; degrees to the right of the camera's heading, and up."""
    ahead = -cycles.eye(scene).matrix_world.to_3x3().col[2]
    heading = math.atan2(ahead.y, ahead.x) - math.radians(right)
    height = math.radians(up)
    towards = Vector((math.cos(height) * math.cos(heading), math.cos(height) * math.sin(heading), math.sin(height)))
    distance = min(max(0.85 * reach(scene, middle, towards, 2 * _FARTHEST), _NEAREST), _FARTHEST)
    radius = min(radius, 0.12 * distance)
    # E = L · π r² / d². A ball rather than a lamp of Blender's, which a camera would not see.
    shine = materials.emissive("Rig lamp", (1, 1, 1), (distance / radius) ** 2 / math.pi)
    ball = shapes.ball(scene, "Rig lamp", middle + distance * towards, radius, shine)
    try:
        yield ball
    finally:
        mesh = ball.data
        bpy.data.objects.remove(ball)
        bpy.data.meshes.remove(mesh)
        bpy.data.materials.remove(shine)


@contextmanager
def only(scene: bpy.types.Scene, lighting: Lighting, kept: str = "") -> Iterator[None]:
    """The place without its ``daylight`` (world and sun) and its ``lamps``, but for the one that is kept."""
    world = scene.world
    suns = [lighting.sun] if lighting.sun and kept != "daylight" else []
    strengths = [] if kept == "lamps" else [_strength(material) for material in lighting.lamps]
    levels = [socket.default_value for socket in strengths]
    night = bpy.data.worlds.new("Night")
    background = next(node for node in compat.node_tree(night).nodes if node.type == "BACKGROUND")
    background.inputs["Strength"].default_value = 0.0
    try:
        if kept != "daylight":
            scene.world = night
        for sun in suns:
            sun.hide_render = True
        for socket in strengths:
            socket.default_value = 0.0
        yield
    finally:
        scene.world = world
        bpy.data.worlds.remove(night)
        for sun in suns:
            sun.hide_render = False
        for socket, level in zip(strengths, levels, strict=True):
            socket.default_value = level


def _strength(material: bpy.types.Material) -> Any:
    shader = next(node for node in compat.node_tree(material).nodes if node.type == "EMISSION")
    return shader.inputs["Strength"]


def render_surfaces(scene: bpy.types.Scene, path: Path, samples: int) -> None:
    """Write a multilayer EXR with the denoiser's albedo, which has metals too, and normals, in the world."""
    layer, settings = scene.view_layers[0], scene.render.image_settings
    passes: Any = layer.cycles
    passes.denoising_store_passes = layer.use_pass_normal = True
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
    scene.render.filepath = str(path)
    scene.cycles.samples = samples
    scene.cycles.max_bounces = 0
    bpy.ops.render.render(write_still=True, scene=scene.name)


if __name__ == "__main__":
    leave_with_owner()
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    leave()
