# SPDX-License-Identifier: GPL-3.0-or-later
"""One object under its light from all around, then under others, in bpy: raw files for the engine to finish.

``bridge/launch.py synthesis.blender.splat_stage JOB.json``, in a Python that has bpy. The job is what
``synthesis/splat_sets.py`` writes; ``raw.json`` comes last.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

from ...scene import compat
from . import cycles
from .leaving import leave, leave_with_owner
from .splat_objects import ALBEDO, OBJECTS, SURFACE

#: Samples a pixel of the passes that tell the truth, which have no noise but edges.
_TRUTH = 24


def main(job: dict[str, Any]) -> None:
    """Render everything that the job asks for and that is not there yet."""
    out = Path(job["out"])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    OBJECTS[job["object"]](scene)
    # As a scan would give it: triangles in the cameras' frame, no places in a texture.
    bpy.ops.wm.obj_export(
        filepath=str(out / "mesh.obj"), forward_axis="Y", up_axis="Z", export_uv=False, export_materials=False,
        export_triangulated_mesh=True, export_eval_mode="DAG_EVAL_RENDER",
    )  # fmt: skip
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.camera.data.angle_x = math.radians(job["fov_deg"])
    cycles.prepare(scene, (job["size"], job["size"]), job["threads"])
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces = 6, 3
    background = surroundings(scene)
    background.image = bpy.data.images.load(job["environment"])
    for split in ("train", "test"):
        for number, pose in enumerate(job[split]):
            shoot(scene, out / f"{split}_{number:03d}.exr", pose, job["samples"], number)
    for name, path in job["relit"].items():
        background.image = bpy.data.images.load(path)
        for number, pose in enumerate(job["test"]):
            shoot(scene, out / f"{name}_{number:03d}.exr", pose, job["samples"], number)
    for name in (ALBEDO, SURFACE):
        scene.view_layers[0].aovs.add().name = name
    for number, pose in enumerate(job["test"]):
        scene.camera.matrix_world = Matrix(pose)
        tell(scene, out / f"truth_{number:03d}.exr")
    (out / "raw.json").write_text(json.dumps({"blender": bpy.app.version_string}), encoding="utf-8")


def surroundings(scene: bpy.types.Scene) -> Any:
    """The environment texture of a new world."""
    scene.world = bpy.data.worlds.new("Surroundings")
    tree = compat.node_tree(scene.world)
    tree.nodes.clear()
    texture, shader, output = (
        tree.nodes.new(kind) for kind in ("ShaderNodeTexEnvironment", "ShaderNodeBackground", "ShaderNodeOutputWorld")
    )
    tree.links.new(texture.outputs["Color"], shader.inputs["Color"])
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    return texture


def shoot(scene: bpy.types.Scene, path: Path, pose: list[list[float]], samples: int, seed: int) -> None:
    """A linear picture with alpha, unless it is there."""
    if not path.is_file():
        assert scene.camera is not None
        scene.camera.matrix_world = Matrix(pose)
        cycles.render_exr(scene, path.with_suffix(".part"), samples, seed, alpha=True)
        path.with_suffix(".part").rename(path)


def tell(scene: bpy.types.Scene, path: Path) -> None:
    """Write a multilayer EXR with alpha, the world's normal and what the materials tell."""
    layer, settings = scene.view_layers[0], scene.render.image_settings
    layer.use_pass_normal = True
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
    scene.render.film_transparent, scene.render.filepath = True, str(path)
    # Shaders that stay in memory know nothing of passes that came after them, before Blender 5.2.
    scene.render.use_persistent_data = False
    scene.cycles.samples, scene.cycles.max_bounces = _TRUTH, 0
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    bpy.ops.render.render(write_still=True, scene=scene.name)


if __name__ == "__main__":
    leave_with_owner()
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    leave()
