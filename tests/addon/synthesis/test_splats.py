# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects with known material: where they are, what their materials tell, and what is rendered of them."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from limelight.scene import compat, pixels
from limelight.synthesis.blender import cycles, splat_look, splat_stage
from limelight.synthesis.blender.splat_objects import ALBEDO, OBJECTS, SURFACE
from limelight.tests.addon import splat_files
from mathutils import Matrix, Vector

POSE = [[1, 0, 0, 0], [0, 0, -1, -4], [0, 1, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_fills_the_ball_that_the_cameras_see(scene, name: str) -> None:
    OBJECTS[name](scene)
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    far = []
    for thing in scene.objects:
        mesh = thing.evaluated_get(graph).to_mesh()
        far += [(thing.matrix_world @ Vector(v.co)).length for v in mesh.vertices]
    # Half of 30 degrees from 4 away.
    assert 0.7 < max(far) <= 1.035


@pytest.mark.parametrize("name", OBJECTS)
def test_materials_tell_what_they_are_made_of(scene, name: str) -> None:
    OBJECTS[name](scene)
    for material in {slot.material for thing in scene.objects for slot in thing.material_slots}:
        tree = compat.node_tree(material)
        shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
        told = {node.aov_name: node.inputs["Color"] for node in tree.nodes if node.type == "OUTPUT_AOV"}
        assert set(told) == {ALBEDO, SURFACE}
        parts = [shader.inputs[key].default_value for key in ("Roughness", "Metallic")]
        assert list(told[SURFACE].default_value)[:2] == pytest.approx(parts)
        colour = shader.inputs["Base Color"]
        assert colour.is_linked == told[ALBEDO].is_linked
        if colour.is_linked:
            assert colour.links[0].from_socket == told[ALBEDO].links[0].from_socket
        else:
            assert list(colour.default_value) == pytest.approx(list(told[ALBEDO].default_value))


def test_a_view_has_alpha_and_is_not_made_twice(scene, tmp_path: Path) -> None:
    OBJECTS["rough"](scene)
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.camera.data.angle_x = np.radians(30)
    cycles.prepare(scene, (16, 16), 1)
    scene.cycles.use_denoising = False
    pixels.write(tmp_path / "sky.exr", np.full((8, 16, 3), 2.0, np.float32))
    splat_stage.surroundings(scene).image = bpy.data.images.load(str(tmp_path / "sky.exr"))
    splat_stage.shoot(scene, tmp_path / "view.exr", POSE, 4, 0)
    picture = pixels.read(tmp_path / "view.exr")
    assert picture[0, 0, 3] == 0 and picture[8, 8, 3] == 1
    # White surroundings of radiance 2 make no more than that of a surface.
    assert 0.2 < picture[8, 8, :3].max() < 2
    made = (tmp_path / "view.exr").stat().st_mtime_ns
    splat_stage.shoot(scene, tmp_path / "view.exr", POSE, 4, 0)
    assert (tmp_path / "view.exr").stat().st_mtime_ns == made
    for name in (ALBEDO, SURFACE):
        scene.view_layers[0].aovs.add().name = name
    scene.camera.matrix_world = Matrix(POSE)
    scene.render.image_settings.exr_codec = "NONE"
    splat_stage.tell(scene, tmp_path / "truth.exr")
    # Where the object fills a pixel its roughness stands in the file as it is, though pictures were made before.
    (clay,) = {slot.material for thing in scene.objects for slot in thing.material_slots}
    told = next(n for n in compat.node_tree(clay).nodes if n.type == "OUTPUT_AOV" and n.aov_name == SURFACE)
    written = (tmp_path / "truth.exr").read_bytes()
    numbers = np.concatenate([np.frombuffer(written[k : k - 4 - (len(written) % 4)], np.float32) for k in range(4)])
    numbers = numbers[np.isfinite(numbers)]
    assert np.isclose(numbers, told.inputs["Color"].default_value[0], rtol=1e-3).sum() > 50


def test_splats_are_shown_beside_their_object(scene, tmp_path: Path) -> None:
    pixels.write(tmp_path / "sky.exr", np.full((8, 16, 3), 0.5, np.float32))
    table = splat_files.rows([[0, 0, 0]], [[0.5] * 3], 0.995, [0.5, 0.001, 0.5], material=[[1, 1, 1, 1, 0.3, 1]])
    cloud = splat_files.write(tmp_path / "a.ply", *table)
    told = splat_look.compare(scene, "metal", cloud, str(tmp_path / "sky.exr"), tmp_path, (12, 12), 32)
    assert told["gaussians"] == 1 and set(told["times"]) == {"object", "material", "normals alone", "photographed"}
    names = ("object", "material", "photographed")
    middle = {name: pixels.read(tmp_path / f"{name}.exr")[5:7, 5:7].mean((0, 1)) for name in names}
    # A white mirror in even light is as bright as that, but for what its roughness sends back into it: 4 % in Blender
    # 4.2, 11 % in 5.2. The photograph's 0.5 of a display is 0.214 of light.
    assert middle["material"][:3] == pytest.approx([0.47] * 3, abs=0.05)
    assert middle["photographed"][:3] == pytest.approx([0.214] * 3, abs=0.05)
    assert middle["object"][0] > middle["object"][2] > 0
