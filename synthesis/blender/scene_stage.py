# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's stage, in bpy: an interior seen by its camera, light at two probes, the truth baked, all compared."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bpy

from ...scene import bake, catcher, compat, probes, world
from ...scene.command import estimate
from . import stage
from .interior import build_interior
from .leaving import leave
from .still_life import add_still_life

RADIUS = 0.12


def main(out: Path, engine: Path) -> None:
    """Leave the panoramas of both probes, scene_lit.blend and four renders in ``out``."""
    scene = stage.begin()
    room = build_interior(scene)
    lit = probes.add_probe(scene, room.lit, RADIUS, "Lit")
    shaded = probes.add_probe(scene, room.shaded, RADIUS, "Shaded")
    bpy.context.view_layer.update()
    axes = [list(row) for row in room.camera.matrix_world]
    (out / "scene_camera.json").write_text(json.dumps({"camera_to_world": axes}), encoding="utf-8")
    job, found = estimate(bpy.context, engine)
    if job.state != "done" or len(found) != 2:
        raise SystemExit(job.error.text if job.error else "The estimate gave no light.")
    for probe in (lit, shaded):
        save(bake.bake_truth(bpy.context, probe, 256, 96), out / f"scene_{probe.name.lower()}_truth.exr")
        save(probe.limelight.environment, out / f"scene_{probe.name.lower()}.exr")
    stage.render(scene, out / "scene_empty.png")
    add_still_life(scene, lit.matrix_world.translation, RADIUS, room.camera)
    stage.render(scene, out / "scene_room.png")
    # The still life and its shadow alone, in the same place and view, under each environment.
    for thing in list(scene.objects):
        if thing.name.split(".")[0] not in {"Mirror", "Glossy", "Matte", "Diffuse", "Head", "Camera", "Lit", "Shaded"}:
            thing.hide_render = True
    catcher.add_shadow_catcher(scene, lit)
    scene.render.film_transparent = True
    made = world.apply_world(scene, lit)
    stage.render(scene, out / "scene_estimate.png")
    bpy.ops.wm.save_as_mainfile(filepath=str(out / "scene_lit.blend"))
    world.show(made, lit.limelight.truth)
    stage.render(scene, out / "scene_truth.png")


def save(image: bpy.types.Image, path: Path) -> None:
    """Write a copy of a float image as EXR."""
    copy = image.copy()
    compat.keep_values(copy)
    copy.filepath_raw, copy.file_format = str(path), "OPEN_EXR"
    copy.save()
    bpy.data.images.remove(copy)


if __name__ == "__main__":
    # The engine's path may be a link into a virtual environment: it must not be resolved.
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
    leave()
