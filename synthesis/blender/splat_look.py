# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats lit in Blender beside the object that they were learnt of, by Cycles: pictures, and what each costs.

``bridge/launch.py synthesis.blender.splat_look OBJECT FILE.ply HDRI.exr OUT [WIDTH HEIGHT SAMPLES]``, in a Python that
has bpy: the object of ``splat_objects``, its splats by learnt material, by normals alone, and as photographed. Writes an
EXR of each (linear, alpha) and prints a JSON object: processor seconds a sample, and as a multiple of the object's.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import bpy
from mathutils import Vector

from ...scene import splat_drawing, splats
from . import cycles
from .leaving import leave
from .splat_objects import OBJECTS
from .splat_stage import surroundings

_EYE, _FOV = Vector((0.3, -4.1, 0.3)), 30.0


def compare(
    scene: bpy.types.Scene, name: str, cloud: Path, light: str, out: Path, size: tuple[int, int], samples: int
) -> dict[str, Any]:
    """Fill an empty scene and render the four; costs by name."""
    OBJECTS[name](scene)
    parts = list(scene.objects)
    _camera(scene)
    cycles.prepare(scene, size, 1)
    scene.cycles.use_adaptive_sampling, scene.render.use_persistent_data = False, False
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces = 6, 3
    surroundings(scene).image = bpy.data.images.load(light)
    costs = {"object": cost(scene, out / "object.exr", samples)}
    for part in parts:
        part.hide_render = True
    thing, _ = splats.add(bpy.context, cloud, name, "Z_UP")
    splat_drawing.relight(thing, 1.0)
    costs["material"] = cost(scene, out / "material.exr", samples)
    splat_drawing.set_input(thing, "Learnt Material", False)
    costs["normals alone"] = cost(scene, out / "normals_alone.exr", samples)
    splat_drawing.relight(thing, 0.0)
    costs["photographed"] = cost(scene, out / "photographed.exr", samples)
    times = {which: round(each / costs["object"], 1) for which, each in costs.items()}
    return {"gaussians": splat_drawing.count(thing), "seconds": costs, "times": times}


def _camera(scene: bpy.types.Scene) -> None:
    """Towards the origin, from the front."""
    made = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(made)
    scene.camera, made.data.angle = made, math.radians(_FOV)
    made.location, made.rotation_euler = _EYE, (-_EYE).to_track_quat("-Z", "Y").to_euler()


def cost(scene: bpy.types.Scene, path: Path, samples: int) -> float:
    """Write the picture; processor seconds a sample, without what the first one takes besides, denoising for one."""
    spent = []
    for count in (1, samples + 1):
        began = time.process_time()
        cycles.render_exr(scene, path, count, 0, alpha=True)
        spent.append(time.process_time() - began)
    return (spent[1] - spent[0]) / samples


def main(given: list[str]) -> None:
    """See above."""
    name, cloud, light, out, width, height, samples = given + ["256", "256", "16"][len(given) - 4 :]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    size = int(width), int(height)
    print(json.dumps(compare(bpy.context.scene, name, Path(cloud), light, Path(out), size, int(samples))))


if __name__ == "__main__":
    main(sys.argv[1:])
    leave()
