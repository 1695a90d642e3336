# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that count in centimetres or inches: the engine gets metres, and light and probes come back in scene units."""

import json
import math

import bpy
import numpy as np
import pytest
from limelight.operators import picking
from limelight.scene import camera as cameras
from limelight.scene import capture, lamps, pixels, plate, probes, problems
from mathutils import Vector

UNIT = 0.01


@pytest.fixture
def photo(scene, tmp_path):
    """A scene in centimetres with a photo, a wall four metres away and a probe three metres away."""
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", UNIT
    image = bpy.data.images.new("photo", 48, 32)
    image.filepath_raw, image.file_format = str(tmp_path / "photo.png"), "PNG"
    image.save()
    camera = plate.set_plate(scene, str(tmp_path / "photo.png"), 50)
    camera.scale = (3, 3, 3)
    bpy.ops.mesh.primitive_plane_add(size=1e5, location=(0, 400, 0), rotation=(math.pi / 2, 0, 0))
    probes.add_probe(scene, (0, 300, 150), 10)
    bpy.context.view_layer.update()
    return scene


def test_the_engine_gets_metres(photo, tmp_path):
    photo.limelight.depth_source = "GEOMETRY"
    params = capture.capture(bpy.context, tmp_path / "job")
    (probe,) = params["probes"]
    assert probe["position"] == pytest.approx([0, 0, -3], abs=1e-4) and probe["radius"] == pytest.approx(0.1)
    assert [row[3] for row in params["camera_to_world"]] == pytest.approx([0, 0, 1.5, 1], abs=1e-4)
    depth = pixels.read(tmp_path / "job" / "depth.exr")[..., 0]
    assert np.allclose(depth, 4.0, rtol=1e-2)


def test_a_depth_file_in_metres_hides_what_is_behind_it(photo, tmp_path):
    settings = photo.limelight
    settings.depth_source, settings.depth_file = "FILE", str(tmp_path / "depth.exr")
    for metres, hidden in ((4.0, False), (2.0, True)):
        settings.depth_file = str(tmp_path / f"depth {metres}.exr")
        pixels.write(tmp_path / f"depth {metres}.exr", np.full((32, 48), metres, np.float32))
        assert bool(problems.find_problems(bpy.context)) == hidden
    bpy.ops.limelight.reveal_probe(name="Probe")
    assert problems.find_problems(bpy.context) == []
    assert 170 < bpy.data.objects["Probe"].location.y < 200


def test_clicks_and_lamps_keep_the_size_of_things(photo):
    origin = Vector((0, 0, 150))
    assert picking.pick_on_ray(bpy.context, origin, Vector((0, 1, 0))).radius == pytest.approx(400 * 0.04)
    free = picking.pick_on_ray(bpy.context, origin, Vector((0, -1, 1)))
    assert (free.location - origin).length == pytest.approx(300, rel=1e-3)
    probe = probes.probes(photo)[0]
    for slot in ("environment", "fill"):
        setattr(probe.limelight, slot, bpy.data.images.new(slot, 8, 4, float_buffer=True))
    entry = {"kind": "area", "direction": [0, 0, 1], "irradiance": [2.0] * 3, "angle_deg": 20}
    probe.limelight.lamps = json.dumps([entry])
    (lamp,) = lamps.apply_lamps(photo, probe)
    assert (lamp.location - probe.location).length == pytest.approx(1000)
    # The same irradiance: power over the square of the distance.
    assert lamp.data.energy / (math.pi * (1000**2 + (lamp.data.size / 2) ** 2)) == pytest.approx(2.0)


@pytest.mark.parametrize("unit", [0.01, 1000.0])
def test_a_new_camera_sees_as_far_in_any_unit(scene, unit):
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", unit
    scene.camera = None
    bpy.ops.limelight.add_camera()
    data = scene.camera.data
    assert (data.clip_start * unit, data.clip_end * unit) == pytest.approx((0.1, 1000.0))


def test_another_view_angle_keeps_shift_and_pixel_aspect(photo):
    camera = photo.camera
    camera.data.shift_x, camera.data.shift_y, photo.render.pixel_aspect_x = 0.2, -0.1, 2.0
    before = cameras.intrinsics(photo, camera, 48, 32)
    photo.limelight.fov_override = camera.data.angle_x
    assert cameras.seen(photo, camera, 48, 32) == pytest.approx(before)
    photo.limelight.fov_override = math.radians(90)
    after = cameras.seen(photo, camera, 48, 32)
    assert after["fx"] == pytest.approx(24) and after["cx"] == pytest.approx(before["cx"])
    assert after["fy"] / after["fx"] == pytest.approx(before["fy"] / before["fx"])
