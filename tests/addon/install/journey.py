# SPDX-License-Identifier: GPL-3.0-or-later
"""In a fresh user folder: ``journey.py ZIP ENGINE_PYTHON`` installs, enables, estimates, applies, disables, removes."""

import importlib
import math
import os
import sys
from pathlib import Path

import bpy

PACKAGE = "bl_ext.user_default.limelight"


def journey(zip_path: str, engine: str) -> None:
    bpy.ops.extensions.package_install_files(
        filepath=zip_path, repo="user_default", enable_on_install=True, overwrite=True
    )
    assert PACKAGE in bpy.context.preferences.addons, "the extension is not enabled"
    folder = Path(importlib.import_module(PACKAGE).__file__).parent
    assert not (folder / "tests").exists() and not (folder / "run.py").exists()
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0, -6, 1), (math.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = 96, 64
    scene.limelight.quality, scene.limelight.size = "DRAFT", "256"
    probes = importlib.import_module(f"{PACKAGE}.scene.probes")
    probe = probes.add_probe(scene, (0, 0, 1), 0.3)
    bpy.context.view_layer.update()
    command = importlib.import_module(f"{PACKAGE}.scene.command")
    job, lit = command.estimate(bpy.context, Path(engine))
    assert job.state == "done", job.error
    assert [p.name for p in lit] == [probe.name] and probe.limelight.environment.packed_file is not None
    bpy.context.view_layer.objects.active = probe
    assert bpy.ops.limelight.apply_world() == {"FINISHED"}
    assert scene.world.limelight.probe == probe.name
    import addon_utils

    addon_utils.disable(PACKAGE, default_set=True)
    assert not hasattr(bpy.types.Scene, "limelight") and not hasattr(bpy.types, "LIMELIGHT_OT_estimate")
    repository = next(i for i, r in enumerate(bpy.context.preferences.extensions.repos) if r.module == "user_default")
    bpy.ops.extensions.package_uninstall(repo_index=repository, pkg_id="limelight")
    assert not folder.exists(), "files stayed behind"
    print("JOURNEY DONE", flush=True)


if __name__ == "__main__":
    try:
        journey(sys.argv[1], sys.argv[2])
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)
    # The module of Blender 4.2 may crash on exit after an add-on with update callbacks was registered.
    os._exit(0)
