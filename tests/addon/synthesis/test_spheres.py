# SPDX-License-Identifier: GPL-3.0-or-later
"""The made places in Blender: what spheres see and do not see, panoramas' frame, the sun, depth, assets, motion."""

import json
import math
import random
from pathlib import Path

import bpy
import numpy as np
import pytest
from limelight.scene import compat, pixels
from limelight.synthesis.blackbody import LUMINANCE
from limelight.synthesis.blender import assets, camera_stage, cycles, lights, materials, motion, places
from limelight.synthesis.blender.group import Group
from limelight.synthesis.daylight import sunlight
from mathutils import Vector


@pytest.fixture
def dark(scene):
    """A camera at (0, 0, 1) looking along +y in the dark."""
    scene.world = bpy.data.worlds.new("Dark")
    tree = compat.node_tree(scene.world)
    next(node for node in tree.nodes if node.type == "BACKGROUND").inputs["Color"].default_value = (0, 0, 0, 1)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler, camera.data.angle_x = (0, 0, 1), (math.pi / 2, 0, 0), math.radians(60)
    scene.collection.objects.link(camera)
    scene.camera = camera
    cycles.prepare(scene, (48, 32), 1)
    scene.cycles.use_denoising = False
    bpy.context.view_layer.update()
    return scene


def box(scene, center, size, colour):
    """A shining box."""
    return Group(scene, "Lamp").box(center, size, materials.emissive("Lamp", colour, 5.0))


def test_a_panorama_has_front_in_the_middle_and_left_at_the_left(dark, tmp_path: Path) -> None:
    box(dark, (-3, 0, 1), (0.1, 1, 1), (1, 0, 0))
    box(dark, (0, 3, 1), (1, 0.1, 1), (0, 1, 0))
    cycles.render_panorama(dark, tmp_path / "env.exr", Vector((0, 0, 1)), 32, 4, 1)
    seen = pixels.read(tmp_path / "env.exr")
    assert seen.shape[:2] == (32, 64)
    centre = [np.average(np.arange(64) + 0.5, weights=seen[..., channel].sum(0)) for channel in (0, 1)]
    assert centre == pytest.approx([16, 32], abs=1)
    assert dark.camera.data.type == "PERSP" and dark.render.resolution_x == 48


def test_spheres_show_the_place_and_hide_from_it_and_from_each_other(dark, tmp_path: Path) -> None:
    box(dark, (0, -4, 1), (4, 0.1, 4), (1, 1, 1))
    wall = Group(dark, "Wall").box((0, 3, 1), (6, 0.1, 6), materials.principled("Wall", (0.8, 0.8, 0.8)))
    near, behind = ([-0.45, 0, -1.6], 0.3), ([0.45, 0, -1.6], 0.3)
    pictures = {}
    for name, spheres in (("one", [near]), ("both", [near, behind])):
        with cycles.only_balls_seen(dark, spheres, "mirror"):
            cycles.render_exr(dark, tmp_path / "ball.exr", 8, 1, alpha=True)
        pictures[name] = pixels.read(tmp_path / "ball.exr")
    left = pictures["one"][:, :22]
    assert 0.02 < left[..., 3].mean() < 0.6 and pictures["one"][:, 26:, 3].max() == 0
    assert left[..., :3].max() > 2, "the lamp behind the camera is not in the mirror"
    np.testing.assert_allclose(pictures["both"][:, :22], left, atol=1e-4)
    assert wall.visible_camera and "Probe ball" not in bpy.data.objects


def test_depth_is_planar_and_the_sun_is_where_the_sky_glows(dark, tmp_path: Path) -> None:
    Group(dark, "Wall").box((0, 3.05, 1), (20, 0.1, 20), materials.principled("Wall", (0.5,) * 3))
    np.testing.assert_allclose(cycles.cast_depth(dark, (12, 8)), 3.0, atol=1e-4)
    lighting = lights.add_sky(dark, random.Random(1), "golden", "warm", math.radians(100))
    bpy.context.view_layer.update()
    towards = lighting.sun.matrix_world.to_3x3().col[2]
    assert math.degrees(math.atan2(towards.y, towards.x)) == pytest.approx(100, abs=0.1)
    assert cycles.sun_seen(dark, lighting.sun, Vector((0, 0, 1))) == 0
    assert cycles.sun_seen(dark, lighting.sun, Vector((0, 5, 1))) == 1
    cycles.render_panorama(dark, tmp_path / "sky.exr", Vector((0, 5, 1)), 32, 4, 1)
    row = pixels.read(tmp_path / "sky.exr")[13:16, :, 1].mean(0)
    # The camera looks along +y, 90°; further left is a larger angle.
    assert 90 - (float(row.argmax()) + 0.5 - 32) * 360 / 64 == pytest.approx(100, abs=9)


def test_distances_are_metres_from_the_place_in_the_cameras_frame(dark) -> None:
    Group(dark, "Wall").box((0, 3.05, 1), (20, 0.1, 20), materials.principled("Wall", (0.5,) * 3))
    found = cycles.cast_distances(dark, Vector((0, 1, 1)), 8)
    assert found.shape == (8, 16)
    lon, lat = math.pi / 16, math.pi / 16
    # The middle looks where the camera looks, at the wall two metres ahead of the place; behind is nothing.
    assert found[3, 8] == pytest.approx(2 / (math.cos(lon) * math.cos(lat)), rel=1e-4)
    assert np.isinf(found[3, 0]) and np.isinf(found[3, 15])
    dark.camera.rotation_euler.z = math.pi / 2
    bpy.context.view_layer.update()
    # Now it looks along −x, and the wall is at its right.
    turned = cycles.cast_distances(dark, Vector((0, 1, 1)), 8)
    assert turned[3, 12] == pytest.approx(found[3, 8], rel=1e-4) and np.isinf(turned[3, 3])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_place_is_the_same_for_the_same_seed_and_its_camera_sees_something(scene, seed: int) -> None:
    def built():
        bpy.ops.wm.read_homefile(use_empty=True)
        place = places.build(bpy.context.scene, seed, 32, 1)
        corners = [tuple(round(x, 5) for x in thing.matrix_world.translation) for thing in bpy.context.scene.objects]
        return place, corners, cycles.cast_depth(bpy.context.scene, (12, 8))

    place, corners, depth = built()
    assert built()[1] == corners and place.indoors == (seed == 1)
    assert np.median(np.minimum(depth, 20)) > 0.8 and depth.min() > 0.1


def test_many_cameras_of_a_place_see_something_each_by_its_own_lens(scene, tmp_path: Path) -> None:
    job = {"seed": 3, "width": 32, "samples": 1, "threads": 1, "assets": None, "family": "still", "views": 4}
    camera_stage.main({**job, "out": str(tmp_path)})
    frames = json.loads((tmp_path / "raw.json").read_text())["frames"]
    assert len(frames) == 4 and len({frame["focal"] for frame in frames}) == 4
    for index, frame in enumerate(frames):
        depth = np.load(tmp_path / f"camera_{index:04d}" / "depth.npy")
        assert pixels.read(tmp_path / f"camera_{index:04d}" / "view.exr").shape[:2] == depth.shape
        assert depth.shape == (frame["height"], frame["width"]) and depth.min() > 0.1
        assert np.linalg.det(np.array(frame["camera_to_world"])[:3, :3]) == pytest.approx(1, abs=1e-4)


def test_a_moving_camera_leaves_the_spheres_where_they_are(dark) -> None:
    move = motion.moving_camera(dark, [([0.2, 0.1, -2.0], 0.1)], 3.0, np.random.default_rng(1))
    found = [dark.camera.matrix_world @ Vector(move(t)[0][0]) for t in (0.0, 0.5, 1.0)]
    assert (found[0] - found[2]).length < 1e-5 and (found[0] - found[1]).length < 1e-5
    assert (dark.camera.matrix_world.translation - Vector((0, 0, 1))).length > 0.05


def test_the_sun_crosses_the_sky_and_its_lamp_and_sky_agree(scene) -> None:
    place = places.build(scene, 10_000_100, 32, 1, sunny=True)
    assert not place.indoors and place.lighting.sky == "clear"
    move = motion.moving_sun(place.lighting, [([0, 0, -2], 0.1)], np.random.default_rng(3))
    ways, levels = [], []
    for share in (0.0, 0.5, 1.0):
        assert move(share) == [([0, 0, -2], 0.1)]
        lamp, sky = place.lighting.sun, place.lighting.air
        towards = lamp.matrix_world.to_3x3().col[2].normalized()
        assert sky.sun_elevation == pytest.approx(math.asin(towards.z), abs=1e-3)
        turn = (math.cos(sky.sun_rotation), math.sin(sky.sun_rotation))
        level = Vector((towards.x, towards.y)).normalized()
        assert (level.y, level.x) == pytest.approx(turn, abs=1e-3)
        irradiance = np.array(lamp.data.color) * lamp.data.energy
        np.testing.assert_allclose(irradiance, sunlight(sky.sun_elevation), rtol=1e-3)
        ways.append(towards)
        levels.append(towards.z)
    assert ways[0].angle(ways[2]) > math.radians(15) and len(set(levels)) == 3


@pytest.mark.parametrize("degrees", [10, 45])
def test_the_suns_colour_is_that_of_cycles_own_disc(dark, tmp_path: Path, degrees: int) -> None:
    tree, up = compat.node_tree(dark.world), math.radians(degrees)
    sky = tree.nodes.new("ShaderNodeTexSky")
    compat.use_physical_sky(sky)
    sky.sun_disc, sky.sun_elevation, sky.sun_rotation = True, up, 0.0
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    tree.links.new(sky.outputs[0], background.inputs["Color"])
    dark.camera.rotation_euler = Vector((0, math.cos(up), math.sin(up))).to_track_quat("-Z", "Y").to_euler()
    dark.camera.data.angle_x = math.radians(0.2)
    cycles.render_exr(dark, tmp_path / "disc.exr", 4, 1)
    disc, ours = pixels.read(tmp_path / "disc.exr")[..., :3].mean((0, 1)), sunlight(up)
    np.testing.assert_allclose(ours / (ours @ LUMINANCE), disc / (disc @ LUMINANCE), atol=0.12)


def test_a_users_model_stands_on_the_floor_at_a_believable_size(dark, tmp_path: Path) -> None:
    (tmp_path / "tall.obj").write_text("v 0 0 0\nv 900 0 0\nv 0 500 0\nf 1 2 3\n")
    assert assets.find(str(tmp_path)) == [tmp_path / "tall.obj"]
    before = set(dark.objects)
    assets.set_down(assets.bring(dark, random.Random(1), tmp_path / "tall.obj"), Vector((1, 2, 0)), 0.0)
    (thing,) = set(dark.objects) - before
    corners = np.array([thing.matrix_world @ Vector(corner) for corner in thing.bound_box])
    assert corners[:, 2].min() == pytest.approx(0, abs=1e-4)
    assert np.ptp(corners, 0).max() == pytest.approx(assets.LARGEST, rel=1e-3)
    with pytest.raises(SystemExit, match="nothing to bring in"):
        assets.find(str(tmp_path / "nowhere"))


def test_an_unreadable_model_is_left_out(dark, tmp_path: Path) -> None:
    (tmp_path / "broken.blend").write_text("not a blend file")
    inside = {"low": (-2, -2), "high": (2, 2)}
    assets.scatter(dark, random.Random(1), inside, assets.find(str(tmp_path)))
    assert inside["assets"] == []
