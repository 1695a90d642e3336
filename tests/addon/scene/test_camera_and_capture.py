# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras, plates, depth and what is handed to the engine."""

import math
import random

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from limelight.operators import picking
from limelight.scene import camera as cameras
from limelight.scene import (
    capture,
    compat,
    composite,
    frames,
    pixels,
    plate,
    probes,
    problems,
    sight,
)
from limelight.tests.addon.lit_scene import add_cube, read_picture
from mathutils import Vector


@pytest.mark.parametrize("seed", range(12))
def test_intrinsics_agree_with_blenders_own_projection(scene, seed, add_camera):
    rng = random.Random(seed)
    camera = add_camera(scene)
    camera.location = [rng.uniform(-3, 3) for _ in range(3)]
    camera.rotation_euler = [rng.uniform(-2, 2) for _ in range(3)]
    camera.scale = (2, 2, 2)
    camera.data.lens = rng.uniform(15, 80)
    camera.data.sensor_fit = rng.choice(["AUTO", "HORIZONTAL", "VERTICAL"])
    camera.data.shift_x, camera.data.shift_y = rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)
    scene.render.resolution_x, scene.render.resolution_y = rng.choice([(160, 90), (90, 160), (100, 100)])
    scene.render.pixel_aspect_x = rng.choice([1.0, 1.5])
    bpy.context.view_layer.update()
    k = cameras.intrinsics(scene, camera, *cameras.picture_size(scene))
    inverse = np.linalg.inv(np.array(cameras.placement(camera)))
    for _ in range(5):
        local = Vector((rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(-6, -2)))
        point = camera.matrix_world.normalized() @ local
        expected = world_to_camera_view(scene, camera, point)
        x, y, z, _ = inverse @ np.array([*point, 1.0])
        u = (k["fx"] * x / -z + k["cx"]) / k["width"]
        v = (k["cy"] - k["fy"] * y / -z) / k["height"]
        assert (u, 1 - v) == pytest.approx((expected.x, expected.y), abs=1e-4)


@pytest.mark.parametrize(("size", "percentage"), [((100, 50), 29), ((100, 50), 57), ((64, 36), 33)])
def test_the_picture_is_as_large_as_blenders(scene, tmp_path, size, percentage, add_camera):
    add_camera(scene)
    scene.cycles.samples = 1
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage, scene.render.filepath = percentage, str(tmp_path / "out.png")
    bpy.ops.render.render(write_still=True)
    assert read_picture(tmp_path / "out.png").shape[1::-1] == cameras.picture_size(scene)


def test_cast_depth_is_planar_and_infinite_beyond(scene, add_camera):
    camera = add_camera(scene)
    camera.location, camera.rotation_euler = (0, -6, 0), (math.pi / 2, 0, 0)
    add_cube(scene)
    bpy.context.view_layer.update()
    depth = capture.cast_depth(bpy.context, 48)
    assert depth.shape == (32, 48)
    hit = np.isfinite(depth)
    assert 0.05 < hit.mean() < 0.6
    # The cube's front face is a plane at five metres wherever it is seen.
    assert depth[hit] == pytest.approx(5.0, abs=1e-4)


def test_a_camera_that_looks_through_a_wall_sees_the_depth_that_it_renders(scene, add_camera):
    camera = add_camera(scene)
    for depth in (1, 5, 50):
        bpy.ops.mesh.primitive_plane_add(size=100, location=(0, 0, -depth))
    bpy.data.objects["Plane.001"].location.x = 50
    camera.data.clip_start, camera.data.clip_end = 2, 20
    probe = probes.add_probe(scene, (1, 0, -4), 0.1)
    bpy.context.view_layer.update()
    depth = capture.cast_depth(bpy.context, 24)
    assert depth[:, 14:] == pytest.approx(5.0, abs=1e-4) and np.isinf(depth[:, :10]).all()
    assert not sight.covers(bpy.context, [probe])
    camera.data.clip_start = 0.1
    assert capture.cast_depth(bpy.context, 24) == pytest.approx(1.0, abs=1e-4)
    assert sight.covers(bpy.context, [probe])[probe].what == "“Plane”"


def test_an_instance_that_no_render_shows_hides_nothing(scene, add_camera):
    add_camera(scene)
    bpy.ops.mesh.primitive_plane_add(size=100)
    (plane,), asset = scene.collection.objects[1:], bpy.data.collections.new("Asset")
    scene.collection.objects.unlink(plane)
    asset.objects.link(plane)
    near, far = (bpy.data.objects.new(name, None) for name in ("Near", "Far"))
    for empty, depth in ((near, 2), (far, 5)):
        empty.instance_type, empty.instance_collection, empty.location.z = "COLLECTION", asset, -depth
        scene.collection.objects.link(empty)
    bpy.context.view_layer.update()
    assert capture.cast_depth(bpy.context, 8) == pytest.approx(2.0, abs=1e-4)
    near.hide_render = True
    assert capture.cast_depth(bpy.context, 8) == pytest.approx(5.0, abs=1e-4)
    far.hide_render = True
    assert np.isinf(capture.cast_depth(bpy.context, 8)).all()


def test_the_photos_view_angle_holds_for_depth_projection_and_placing(scene, tmp_path):
    write_png(tmp_path / "photo.png", 48, 32)
    camera = plate.set_plate(scene, str(tmp_path / "photo.png"), fov_deg=90)
    camera.location, camera.rotation_euler = (0, -6, 0), (math.pi / 2, 0, 0)
    add_cube(scene)
    probes.add_probe(scene, (4, 0, 0), 0.1)
    bpy.context.view_layer.update()
    truth = capture.cast_depth(bpy.context, 48)
    ray = picking.camera_ray(scene, camera, 0.2, 0.3)
    assert problems.find_problems(bpy.context) == []
    camera.data.angle_x, scene.limelight.fov_override = math.radians(50), math.radians(90)
    scene.limelight.depth_source = "GEOMETRY"
    assert np.allclose(capture.cast_depth(bpy.context, 48), truth, rtol=1e-4)
    assert (picking.camera_ray(scene, camera, 0.2, 0.3)[1] - ray[1]).length < 1e-5
    assert problems.find_problems(bpy.context) == []
    params = capture.capture(bpy.context, tmp_path / "job")
    assert params["camera"]["fx"] == pytest.approx(24)
    # The render may have another shape by now; depth has the photo's.
    scene.render.resolution_x = 96
    capture.capture(bpy.context, tmp_path / "job")
    assert read_picture(tmp_path / "job" / "depth.exr").shape[:2] == (171, 256)


def test_depth_file_is_the_cast_depth(scene, tmp_path):
    values = np.linspace(1, 9, 12, dtype=np.float32).reshape(3, 4)
    values[0, 0] = np.inf
    capture._write_depth(tmp_path / "depth.exr", values)
    image = bpy.data.images.load(str(tmp_path / "depth.exr"))
    # Read as data: the numbers of the file itself, which is what the engine will see.
    image.colorspace_settings.name = "Non-Color"
    found = np.array(image.pixels[:]).reshape(3, 4, 4)[::-1, :, 0]
    assert found[0, 0] > 1e9
    assert np.allclose(found[1:], values[1:], rtol=1e-3)


def write_png(path, width, height):
    image = bpy.data.images.new("photo", width, height)
    image.pixels = [0.1, 0.5, 0.9, 1.0] * (width * height)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


@pytest.mark.parametrize("size", [(60, 40), (40, 60)])
def test_a_plate_sets_shape_lens_and_background(scene, tmp_path, size):
    write_png(tmp_path / "photo ä.png", *size)
    camera = plate.set_plate(scene, str(tmp_path / "photo ä.png"), fov_deg=55)
    assert (scene.render.resolution_x, scene.render.resolution_y) == size
    assert math.degrees(camera.data.angle_x) == pytest.approx(55, abs=1e-3)
    k = cameras.intrinsics(scene, camera, *size)
    assert 2 * math.degrees(math.atan(size[0] / 2 / k["fx"])) == pytest.approx(55, abs=1e-3)
    assert camera.data.background_images[0].image == scene.limelight.plate
    again = plate.set_plate(scene, str(tmp_path / "photo ä.png"))
    assert again == camera and len(camera.data.background_images) == 1
    plate.clear_plate(scene)
    assert scene.limelight.plate is None and not camera.data.background_images


@pytest.mark.parametrize("how", ["cleared", "own", "since", "composited"])
def test_the_film_is_transparent_no_longer_than_for_the_photo(scene, tmp_path, how):
    write_png(tmp_path / "photo.png", 60, 40)
    render = scene.render
    render.film_transparent = how == "own"
    for _ in range(2):
        plate.set_plate(scene, str(tmp_path / "photo.png"))
        assert render.film_transparent
    if how == "composited":
        composite.setup_composite(scene)
    plate.clear_plate(scene)
    if how == "since":
        render.film_transparent = True
        plate.set_plate(scene, str(tmp_path / "photo.png"))
        plate.clear_plate(scene)
    assert render.film_transparent == (how != "cleared")


def test_a_second_photo_takes_the_place_of_the_first(scene, tmp_path, add_camera):
    for name, size in (("first.png", (60, 40)), ("second.png", (40, 60)), ("own.png", (8, 8))):
        write_png(tmp_path / name, *size)
    camera = add_camera(scene)
    reference = camera.data.background_images.new()
    reference.image = bpy.data.images.load(str(tmp_path / "own.png"))
    plate.set_plate(scene, str(tmp_path / "first.png"))
    composite.setup_composite(scene)
    other = add_camera(scene)
    for name in ("second.png", "first.png", "first.png", "second.png"):
        plate.set_plate(scene, str(tmp_path / name))
        assert sorted(image.name for image in bpy.data.images) == sorted(["own.png", name])
        assert [b.image.name for b in other.data.background_images] == [name]
        assert [b.image.name for b in camera.data.background_images] == ["own.png"]
        assert [n.image.name for n in compat.compositor_nodes(scene) if n.type == "IMAGE"] == [name]
    # What the artist uses elsewhere, or another scene shows, stays in the file.
    scene.limelight.plate.use_fake_user = True
    plate.set_plate(scene, str(tmp_path / "first.png"))
    assert {image.name for image in bpy.data.images} == {"own.png", "first.png", "second.png"}
    second = scene.copy()
    plate.set_plate(second, str(tmp_path / "own.png"))
    assert scene.limelight.plate.name == "first.png"
    with pytest.raises(RuntimeError):
        plate.set_plate(scene, str(tmp_path / "gone.png"))
    assert scene.limelight.plate.name == "first.png"
    plate.clear_plate(second)
    assert second.limelight.plate is None and not second.camera.data.background_images


@pytest.mark.parametrize("shared", ["camera", "lens"])
@pytest.mark.parametrize("first", ["first.png", None])
def test_scenes_that_share_a_camera_each_see_their_own_photo(scene, tmp_path, add_camera, shared, first):
    for name, size in (("first.png", (60, 40)), ("second.png", (40, 60))):
        write_png(tmp_path / name, *size)
    camera = add_camera(scene)
    camera.location, camera.rotation_euler = (1, 2, 3), (1, 0, 0)
    if first:
        plate.set_plate(scene, str(tmp_path / first), fov_deg=30)
    bpy.ops.scene.new(type="LINK_COPY")
    second = bpy.context.scene
    if shared == "lens":
        second.camera = camera.copy()
        second.collection.objects.link(second.camera)
    if not first:
        plate.set_plate(scene, str(tmp_path / "first.png"), fov_deg=30)
    second.timeline_markers.new("cut", frame=1).camera = second.camera
    plate.set_plate(second, str(tmp_path / "second.png"), fov_deg=60)
    for place, name, fov in ((scene, "first.png", 30), (second, "second.png", 60)):
        assert [b.image.name for b in place.camera.data.background_images] == [place.limelight.plate.name] == [name]
        assert math.degrees(place.camera.data.angle_x) == pytest.approx(fov, abs=1e-3)
    assert second.timeline_markers[0].camera == second.camera
    assert cameras.placement(scene.camera) == cameras.placement(second.camera)
    # With the same photo they go on with one camera, and it stays behind that when one of them takes it away.
    plate.use_image(second, scene.limelight.plate, 30)
    second.camera = camera
    plate.use_image(second, scene.limelight.plate)
    assert second.camera == camera
    plate.clear_plate(second)
    assert [b.image.name for b in camera.data.background_images] == ["first.png"]


@pytest.mark.parametrize("how", ["plain", "animated", "solved", "clip", "picture"])
def test_a_photo_that_tells_no_lens_leaves_that_of_a_camera_that_was_fitted(scene, tmp_path, add_camera, how):
    for name in ("first.png", "second.png", "third.png"):
        write_png(tmp_path / name, 60, 40)
    camera = add_camera(scene)
    data = camera.data
    data.sensor_fit, data.lens, data.shift_x = "VERTICAL", 85.0, 0.1
    if how == "animated":
        camera.keyframe_insert("location")
    elif how == "solved":
        camera.constraints.new("CAMERA_SOLVER")
    elif how in {"clip", "picture"}:
        background = data.background_images.new()
        if how == "clip":
            background.source, background.clip = "MOVIE_CLIP", bpy.data.movieclips.load(str(tmp_path / "third.png"))
        else:
            background.image = bpy.data.images.new("match", 8, 8)
    for name in ("first.png", "second.png"):
        plate.set_plate(scene, str(tmp_path / name))
        kept = (data.sensor_fit, data.lens, data.shift_x > 0) == ("VERTICAL", 85.0, True)
        assert kept == (how != "plain")
    plate.set_plate(scene, str(tmp_path / "third.png"), fov_deg=30)
    assert math.degrees(data.angle_x) == pytest.approx(30) and data.shift_x == 0


@pytest.mark.parametrize("how", ["distorted", "orthographic", "deleted"])
def test_a_camera_that_is_added_sees_the_photo_as_the_one_before_it(scene, tmp_path, add_camera, how):
    write_png(tmp_path / "photo.png", 60, 40)
    camera = add_camera(scene)
    camera.location, camera.rotation_euler = (1, 2, 3), (1.2, 0.1, 0.4)
    plate.set_plate(scene, str(tmp_path / "photo.png"), fov_deg=70)
    bpy.context.view_layer.update()
    stood = camera.matrix_world.copy()
    camera.data.background_images[0].image_user.frame_start = 7
    if how == "distorted":
        camera.scale = (-1, 1, 1)
    elif how == "orthographic":
        camera.data.type = "ORTHO"
    else:
        bpy.data.objects.remove(camera)
    bpy.context.view_layer.update()
    assert bpy.ops.limelight.add_camera() == {"FINISHED"}
    bpy.context.view_layer.update()
    data = scene.camera.data
    assert cameras.flaw(scene.camera) == "" and scene.limelight.plate is not None
    (background,) = data.background_images
    assert background.image == scene.limelight.plate and data.show_background_images
    if how == "deleted":
        assert math.degrees(data.angle_x) == pytest.approx(plate.DEFAULT_FOV_DEG)
        return
    assert math.degrees(data.angle_x) == pytest.approx(70) and background.image_user.frame_start == 7
    assert np.allclose(scene.camera.matrix_world, stood, atol=1e-5)


def test_a_turned_photo_leaves_no_packed_copy_behind(scene, tmp_path, monkeypatch):
    write_png(tmp_path / "turned.png", 60, 40)
    monkeypatch.setattr(plate, "read_exif", lambda path: (6, None))
    for _ in range(2):
        plate.set_plate(scene, str(tmp_path / "turned.png"))
        (image,) = bpy.data.images
        assert image.name == "turned.png" and tuple(image.size) == (40, 60) and image.packed_file is not None


@pytest.mark.parametrize("kind", ["OPEN_EXR", "HDR", "PNG"])
def test_a_photo_deeper_than_8_bits_reaches_the_engine_linear(scene, tmp_path, kind):
    shot = bpy.data.images.new("shot", 8, 4, float_buffer=True)
    shot.pixels = [v for row in range(4) for x in range(8) for v in (x / 8, row / 4, 0.5, 1.0)]
    compat.set_still_format(scene.render.image_settings, kind)
    if kind == "PNG":
        scene.render.image_settings.color_depth = "16"
    scene.view_settings.view_transform = "Standard"
    path = tmp_path / f"shot.{kind.lower()}"
    shot.save_render(str(path), scene=scene)
    plate.set_plate(scene, str(path))
    images = len(bpy.data.images)
    still, _ = frames.save_still(scene, tmp_path)
    assert still.suffix == ".exr" and len(bpy.data.images) == images
    expected = np.array(shot.pixels[:], np.float32).reshape(4, 8, 4)[::-1]
    assert np.allclose(pixels.read(still), expected, atol=5e-3)


def test_paint_that_is_not_saved_and_linear_8_bits_reach_the_engine(scene, tmp_path):
    write_png(tmp_path / "photo.png", 8, 4)
    plate.set_plate(scene, str(tmp_path / "photo.png"))
    image = scene.limelight.plate
    image.pixels = [0.5, 0.25, 0.75, 1.0] * 32
    image.update()
    still, size = frames.save_still(scene, tmp_path)
    assert size == (8, 4) and not frames.shows_file(image)
    assert np.allclose(read_picture(still)[..., :3], [0.5, 0.25, 0.75], atol=3e-3)
    image.save()
    assert frames.shows_file(image)
    image.colorspace_settings.name = compat.LINEAR
    still, _ = frames.save_still(scene, tmp_path)
    assert np.allclose(pixels.read(still)[..., :3], [0.5, 0.25, 0.75], atol=3e-3)


@pytest.mark.parametrize("deep", [False, True])
def test_a_turned_photo_keeps_its_colours(scene, tmp_path, monkeypatch, deep):
    shot = bpy.data.images.new("shot", 8, 4, float_buffer=deep)
    shot.pixels = [v for row in range(4) for x in range(8) for v in (x / 8, row / 4, 0.5, 1.0)]
    scene.render.image_settings.file_format = "TIFF"
    scene.render.image_settings.color_depth = "16" if deep else "8"
    scene.view_settings.view_transform = "Standard"
    shot.save_render(str(tmp_path / "shot.tif"), scene=scene)
    plate.set_plate(scene, str(tmp_path / "shot.tif"))
    scene.limelight.plate.use_fake_user = True
    assert scene.limelight.plate.is_float == deep
    straight = frames.save_still(scene, tmp_path)[0].rename(tmp_path / f"straight{'.exr' if deep else '.png'}")
    monkeypatch.setattr(plate, "read_exif", lambda path: (6, None))
    plate.set_plate(scene, str(tmp_path / "shot.tif"))
    turned, size = frames.save_still(scene, tmp_path)
    assert size == (4, 8) and turned.suffix == straight.suffix
    expected = plate.turn(read_picture(straight), 6)
    assert expected.max() > 0.5 and np.allclose(read_picture(turned), expected, atol=2e-3)


def test_the_photos_path_is_relative_where_blenders_would_be(scene, tmp_path):
    write_png(tmp_path / "photo.png", 8, 8)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"), compress=False)
    bpy.ops.limelight.set_plate(filepath="//photo.png")
    scene.limelight.depth_file = "//depth.exr"
    assert scene.limelight.depth_file == "//depth.exr"
    assert scene.limelight.plate.filepath == "//photo.png" and tuple(scene.limelight.plate.size) == (8, 8)
