# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms in Blender rendered once per light source: the rig's lamps, what stays dark, the files."""

import json
import math
from pathlib import Path

import bpy
import numpy as np
import pytest
from limelight.scene import compat, pixels
from limelight.synthesis.blender import cycles, light_stage, lights, materials
from limelight.synthesis.blender.group import Group
from mathutils import Vector

RIG = [(-85.0, 20.0), (35.0, 30.0)]


@pytest.fixture
def place(scene):
    """A camera at (0, 0, 1) looking along +y under a grey sky, before it a wall 6 m away and a dim lamp at its left."""
    lighting = lights.Lighting("overcast", "warm")
    scene.world = bpy.data.worlds.new("Sky")
    background = next(node for node in compat.node_tree(scene.world).nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.1, 0.2, 0.3, 1)
    Group(scene, "Wall").box((0, 6.05, 1), (20, 0.1, 20), materials.principled("Wall", (0.5,) * 3))
    Group(scene, "Lamp").box((-2, 5, 1), (0.5, 0.1, 0.5), lights.glow(lighting, (1.0, 0.5, 0.25), 2.0))
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler, camera.data.angle_x = (0, 0, 1), (math.pi / 2, 0, 0), math.radians(60)
    scene.collection.objects.link(camera)
    scene.camera = camera
    cycles.prepare(scene, (24, 24), 1)
    scene.cycles.use_denoising = False
    bpy.context.view_layer.update()
    return scene, lighting


def render(scene, path: Path, samples: int) -> np.ndarray:
    cycles.render_exr(scene, path, samples, 1)
    return pixels.read(path)[..., :3]


def test_a_lamp_of_the_rig_stands_where_it_should_and_gives_the_middle_an_irradiance_of_one(place, tmp_path) -> None:
    scene, lighting = place
    middle = light_stage.find_middle(scene)
    assert tuple(middle) == pytest.approx((0, 2, 1), abs=1e-4)
    plate = materials.principled("Plate", (0.5,) * 3, roughness=1.0)
    shader = next(node for node in compat.node_tree(plate).nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Specular IOR Level"].default_value = 0.0
    for right, up in ((160.0, 20.0), (-150.0, 35.0)):
        with light_stage.only(scene, lighting), light_stage.lamp(scene, middle, right, up, 0.1) as lamp:
            bpy.context.view_layer.update()
            towards = (lamp.location - middle).normalized()
            assert math.degrees(math.asin(towards.z)) == pytest.approx(up, abs=1e-3)
            # The camera looks along +y: its right is +x.
            assert math.degrees(math.atan2(towards.x, towards.y)) == pytest.approx(right, abs=1e-3)
            board = Group(scene, "Plate").box((0, 0, 0), (0.4, 0.4, 0.002), plate)
            board.matrix_world = towards.to_track_quat("Z", "Y").to_matrix().to_4x4()
            board.location = middle
            scene.camera.data.angle_x = math.radians(2)
            seen = render(scene, tmp_path / "plate.exr", 64)
            scene.camera.data.angle_x = math.radians(60)
            bpy.data.objects.remove(board)
        assert seen.mean() == pytest.approx(0.5 / math.pi, rel=0.03)
    assert "Rig lamp" not in bpy.data.objects


def test_a_lamp_in_view_shows_as_a_bright_ball(place, tmp_path: Path) -> None:
    scene, lighting = place
    with light_stage.only(scene, lighting), light_stage.lamp(scene, Vector((0, 2, 1)), 0, 0, 0.2) as lamp:
        distance = (lamp.location - Vector((0, 2, 1))).length
        scene.camera.data.angle_x = math.radians(10)
        seen = render(scene, tmp_path / "lamp.exr", 8)
    assert seen[11:13, 11:13].mean() == pytest.approx((distance / 0.2) ** 2 / math.pi, rel=0.01)


def test_each_source_alone_adds_up_to_all_and_is_put_back(place, tmp_path: Path) -> None:
    scene, lighting = place
    world = scene.world
    whole = render(scene, tmp_path / "whole.exr", 128)
    parts = []
    for kept in ("daylight", "lamps", ""):
        with light_stage.only(scene, lighting, kept):
            parts.append(render(scene, tmp_path / f"{kept}.exr", 128))
    assert parts[2].max() == 0 and min(part.mean() for part in parts[:2]) > 0.01
    assert scene.world == world and "Night" not in bpy.data.worlds
    blocks = [p.reshape(6, 4, 6, 4, 3).mean((1, 3)) for p in (parts[0] + parts[1], whole)]
    np.testing.assert_allclose(blocks[0], blocks[1], rtol=0.08, atol=0.003)
    np.testing.assert_allclose(render(scene, tmp_path / "again.exr", 128), whole, atol=1e-4)


def test_the_stage_leaves_a_picture_a_source_surfaces_and_its_description(registered, tmp_path: Path) -> None:
    light_stage.main({
        "out": str(tmp_path), "seed": 10_000_003, "samples": 1, "size": 16, "threads": 1, "assets": None, "rig": RIG,
        "clamp": 1.5, "own_clamp": 12.0, "radius": 0.1,
    })  # fmt: skip
    for number in range(4):
        assert pixels.read(tmp_path / f"light_{number}.exr").shape[:2] == (16, 16)
    assert (tmp_path / "surfaces.exr").stat().st_size > 1000 and np.load(tmp_path / "depth.npy").shape == (16, 16)
    raw = json.loads((tmp_path / "raw.json").read_text())
    assert raw["words"]["indoors"] and raw["middle"][2] < -0.3
