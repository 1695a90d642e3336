# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo's stage, in bpy: plate, probe, result, world, still life, composite; once more under the truth."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import bpy
from mathutils import Matrix

from ...scene import catcher, composite, plate, probes, results, world
from . import stage
from .leaving import leave
from .still_life import add_still_life


def main(out: Path) -> None:
    """Leave photo_lit.blend and two renders in ``out``."""
    scene = stage.begin()
    shot = json.loads((out / "camera.json").read_text())
    camera = plate.set_plate(scene, str(out / "photo.png"), fov_deg=shot["fov_x_deg"])
    camera.matrix_world = Matrix(shot["camera_to_world"])
    camera.data.angle_x = math.radians(shot["fov_x_deg"])
    bpy.context.view_layer.update()
    result = json.loads((out / "photo" / "result.json").read_text())
    (entry,) = result["probes"]
    probe = probes.add_probe(scene, entry["position_world"], entry["radius"], entry["name"])
    bpy.context.view_layer.update()
    results.load_results(bpy.context.scene, out / "photo", result)
    catcher.add_shadow_catcher(scene, probe)
    add_still_life(scene, probe.matrix_world.translation, entry["radius"], camera)
    composite.setup_composite(scene)
    scene.render.resolution_percentage = 75
    made = world.apply_world(scene, probe)
    stage.render(scene, out / "photo_estimate.png")
    scene.limelight.plate.pack()
    bpy.ops.wm.save_as_mainfile(filepath=str(out / "photo_lit.blend"))
    world.show(made, results.load_image(None, out / "truth.exr", "truth"))
    stage.render(scene, out / "photo_truth.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
    leave()
