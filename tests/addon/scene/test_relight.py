# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine is given to relight a picture, exact to the bit, and light that comes from the right side."""

import math
import time

import bpy
import numpy as np
import pytest
from limelight.scene import (
    compat,
    depth_mesh,
    face_problems,
    frames,
    pixels,
    plate,
    relight,
    relight_problems,
    relit,
    stills,
)

LOOKS = {"along +Y": 0.0, "along −X": 90.0, "along +X": -90.0}


@pytest.fixture
def picture(scene):
    """An 8-bit picture that was painted and never saved."""
    image = bpy.data.images.new("photo.png", 12, 8, alpha=True)
    values = np.random.default_rng(3).integers(0, 256, (8, 12, 4)).astype(np.float32) / 255
    image.pixels.foreach_set(values.ravel())
    return image


@pytest.fixture
def camera(scene):
    """A level camera at the origin that looks along +Y."""
    made = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(made)
    made.rotation_euler = math.radians(90), 0.0, 0.0
    scene.camera = made
    bpy.context.view_layer.update()
    return made


def panorama(bright, width=64):
    """A black HDRI (rows from the bottom, as Blender keeps it) with light in one direction of the compass.

    ``bright``: degrees counter-clockwise from the centre.
    """
    image = bpy.data.images.new("sky", width, width // 2, float_buffer=True)
    values = np.zeros((width // 2, width, 4), np.float32)
    values[width // 4 :, round(width * (0.5 - bright / 360)) % width] = 10.0
    image.pixels.foreach_set(values.ravel())
    return image


def brightest(path):
    """Degrees to the left of the centre at which a panorama is brightest."""
    values = pixels.read(path)[..., :3].sum((0, 2))
    return (0.5 - (int(values.argmax()) + 0.5) / len(values)) * 360


def test_a_painted_picture_is_written_to_the_last_bit(picture, tmp_path):
    path = relight.save_picture(picture, tmp_path, "source")
    assert path.name == "source.png"
    again = bpy.data.images.load(str(path))
    assert np.array_equal(np.round(pixels.of(again) * 255), np.round(pixels.of(picture) * 255))


def test_what_is_not_eight_bits_of_srgb_is_written_linear_and_unclipped(scene, tmp_path):
    hdr = bpy.data.images.new("hdr", 4, 2, alpha=True, float_buffer=True)
    hdr.pixels.foreach_set(np.linspace(0, 40, 32, dtype=np.float32))
    path = relight.save_picture(hdr, tmp_path, "source")
    assert path.name == "source.exr"
    assert np.array_equal(pixels.read(path)[::-1], pixels.of(hdr))
    linear = bpy.data.images.new("linear", 4, 2)
    linear.colorspace_settings.name = compat.LINEAR
    linear.pixels.foreach_set(np.tile(np.array([0.2, 0.4, 0.6, 1.0], np.float32), 8))
    path = relight.save_picture(linear, tmp_path, "linear")
    assert pixels.read(path)[0, 0, :3] == pytest.approx([0.2, 0.4, 0.6], abs=1e-6)


def test_a_photo_of_8_bits_is_written_in_the_colours_of_its_space(picture, tmp_path):
    if "Display P3" not in picture.colorspace_settings.bl_rna.properties["name"].enum_items:
        pytest.skip("this Blender does not know the colour space")
    picture.colorspace_settings.name = "Display P3"
    picture.pixels.foreach_set(np.tile(np.array([1, 0, 0, 1], np.float32), picture.size[0] * picture.size[1]))
    path = relight.save_picture(picture, tmp_path, "source")
    assert pixels.read(path)[0, 0] == pytest.approx((1.225, -0.042, -0.02, 1.0), abs=2e-3)


@pytest.mark.parametrize(
    ("space", "red"),
    [("sRGB", (1, 0, 0)), ("Non-Color", (1, 0, 0)), ("Display P3", (1.225, -0.042, -0.02)), (compat.LINEAR, (1, 0, 0))],
)
def test_an_8_bit_panoramas_colours_are_those_of_its_colour_space(scene, tmp_path, space, red):
    sky = bpy.data.images.new("sky", 8, 4)
    if space not in sky.colorspace_settings.bl_rna.properties["name"].enum_items:
        pytest.skip("this Blender does not know the colour space")
    sky.colorspace_settings.name = space
    sky.pixels.foreach_set(np.tile(np.array([1, 0, 0, 1], np.float32), 32))
    kept = scene.render.image_settings.file_format
    scene.limelight.relight.reference_type, scene.limelight.relight.reference = "HDRI", sky
    relight._save_light(bpy.context, tmp_path / "reference.exr")
    assert pixels.read(tmp_path / "reference.exr")[2, 3, :3] == pytest.approx(red, abs=2e-3)
    assert scene.render.image_settings.file_format == kept


@pytest.mark.parametrize("degrees", LOOKS.values(), ids=LOOKS)
def test_a_probes_light_comes_from_where_it_is_seen_from(scene, camera, degrees, tmp_path):
    camera.rotation_euler[2] = math.radians(degrees)
    bpy.context.view_layer.update()
    bpy.ops.limelight.add_probe(location=(0.0, 2.0, 0.0), radius=0.1)
    # In the world's frame the centre is +X; this light is at +Y.
    scene.objects["Probe"].limelight.environment = panorama(90.0)
    scene.limelight.relight.reference_type = "PROBE"
    path = tmp_path / "light.exr"
    relight._save_light(bpy.context, path)
    off = (brightest(path) - (0.0 - degrees) + 180) % 360 - 180
    assert abs(off) < 6


@pytest.mark.parametrize("text", ["models/big", "//models/big", "//models\\big"])
def test_the_folder_of_a_model_starts_at_the_file_as_all_settings_do(scene, picture, tmp_path, text):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    settings = scene.limelight.relight
    settings.reference, settings.model = picture, text
    assert relight.request(bpy.context, tmp_path, picture, 0)["model"] == str(tmp_path / "models" / "big")


def test_turning_an_hdri_moves_its_light_to_the_left(scene, tmp_path):
    settings = scene.limelight.relight
    settings.reference_type, settings.reference, settings.rotation = "HDRI", panorama(20.0), math.radians(45)
    relight._save_light(bpy.context, tmp_path / "light.exr")
    assert brightest(tmp_path / "light.exr") == pytest.approx(65.0, abs=6)


def test_a_large_panorama_becomes_smaller_and_keeps_its_light():
    values = np.random.default_rng(0).random((1536, 3072, 3), dtype=np.float32)
    less = relight.smaller(values)
    assert less.shape == (512, 1024, 3)
    assert less.mean() == pytest.approx(values.mean(), rel=1e-5)
    assert relight.smaller(values[:100, :200]).shape == (100, 200, 3)


@pytest.mark.parametrize("turn", [(90, 0, 0), (60, 0, 0), (120, 0, 0), (0, 0, 0), (180, 0, 0)])
def test_the_heading_of_a_camera_is_where_its_picture_points(scene, camera, turn):
    camera.rotation_euler = [math.radians(angle) for angle in turn]
    bpy.context.view_layer.update()
    assert relight.heading(camera) == pytest.approx(0.0, abs=1e-4)
    camera.rotation_euler[2] = math.radians(70)
    bpy.context.view_layer.update()
    assert math.degrees(relight.heading(camera)) == pytest.approx(70.0, abs=1e-2)


@pytest.mark.parametrize(
    ("kind", "rigged"), [("AREA", False), ("POINT", False), ("SPOT", False), ("SUN", False), ("POINT", True)]
)
def test_a_lamp_at_the_left_lights_from_the_left_as_much_as_it_does(scene, camera, kind, rigged, tmp_path):
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", kind))
    lamp.data.energy = 3.0 if kind == "SUN" else 500.0
    if kind in {"POINT", "SPOT"}:
        lamp.data.shadow_soft_size = 0.0
    if kind == "AREA":
        lamp.data.size = 0.2
    lamp.location, lamp.rotation_euler = (-3.0, 3.0, 0.0), (0.0, math.radians(-90), 0.0)
    if rigged:
        # As a rig of another file comes.
        rig, empty = bpy.data.collections.new("Rig"), bpy.data.objects.new("Rig", None)
        rig.objects.link(lamp)
        empty.instance_type, empty.instance_collection = "COLLECTION", rig
        scene.collection.objects.link(empty)
    else:
        scene.collection.objects.link(lamp)
    scene.world = None
    bpy.context.view_layer.update()
    kinds = ("scenes", "objects", "cameras", "meshes", "materials")
    before = {name: len(getattr(bpy.data, name)) for name in kinds}
    kept = lamp.data.shadow_soft_size if kind != "SUN" else lamp.data.angle
    path = tmp_path / "lamps.exr"
    relight.bake_lamps(bpy.context, path)
    assert brightest(path) == pytest.approx(90.0, abs=6)
    assert before == {name: len(getattr(bpy.data, name)) for name in kinds}
    assert kept == (lamp.data.shadow_soft_size if kind != "SUN" else lamp.data.angle)
    # Irradiance on a plane that faces the lamp, from Blender's definitions of each lamp's power.
    # A point radiates its watts to all sides alike, an area's face as a diffuse surface does, to one side.
    true = {"SUN": 3.0, "AREA": 500 / math.pi / 9, "POINT": 500 / (4 * math.pi) / 9}
    true["SPOT"] = true["POINT"]
    values = pixels.read(path)[..., :3].mean(-1)
    height, width = values.shape
    latitude = (0.5 - (np.arange(height) + 0.5) / height) * math.pi
    longitude = ((np.arange(width) + 0.5) / width - 0.5) * 2 * math.pi
    facing = np.maximum(-np.cos(latitude)[:, None] * np.sin(longitude)[None], 0)
    area = (2 * math.pi / width) * (math.pi / height) * np.cos(latitude)[:, None]
    assert float((values * facing * area).sum()) == pytest.approx(true[kind], rel=0.1)


def test_the_lamps_light_is_taken_behind_a_wall_that_the_camera_looks_through(scene, camera, tmp_path, monkeypatch):
    places = []
    monkeypatch.setattr(relight.bake, "bake_panorama", lambda _scene, place, *_args, **_more: places.append(place.y))
    camera.data.clip_start = 5.0
    for y in (4.0, 6.0, 20.0):
        bpy.ops.mesh.primitive_plane_add(size=100, location=(0, y, 0), rotation=(math.pi / 2, 0, 0))
    for found in (5.5, 8.0):
        with pytest.raises(ValueError, match="cancelled"):
            relight.bake_lamps(bpy.context, tmp_path / "lamps.exr")
        assert places.pop() == pytest.approx(found, abs=1e-3)
        bpy.data.objects["Plane.001"].hide_render = True


def test_without_light_the_lamps_say_so(scene, camera, tmp_path):
    scene.world = None
    # A lamp that the view layer leaves out gives none.
    old = bpy.data.collections.new("Old")
    scene.collection.children.link(old)
    old.objects.link(bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN")))
    bpy.context.view_layer.layer_collection.children["Old"].exclude = True
    with pytest.raises(ValueError, match="add a lamp or a World"):
        relight.bake_lamps(bpy.context, tmp_path / "lamps.exr")


def test_every_problem_has_its_button(scene, picture, camera):
    settings = scene.limelight.relight

    def found(source=picture):
        return [(p.text, p.operator_idname) for p in relight_problems.find_problems(scene, source)]

    assert [operator for _text, operator in found(None)] == ["image.open", "limelight.relight_reference"]
    settings.reference = picture
    assert found() == []
    settings.reference_type = "HDRI"
    ((text, operator),) = found()
    assert "12 × 8" in text and operator == "limelight.repair"
    settings.reference_type = "LAMPS"
    assert found() == []
    scene.camera = None
    assert found()[0][1] == "limelight.add_camera"
    settings.reference_type = "PROBE"
    assert found()[0][1] == "limelight.repair"
    bpy.ops.limelight.add_probe(location=(0.0, 2.0, 0.0), radius=0.1)
    assert found()[0][1] == "limelight.estimate"
    scene.objects["Probe"].limelight.environment = panorama(0.0)
    assert found() == []
    bpy.ops.limelight.add_probe(location=(1.0, 2.0, 0.0), radius=0.1)
    settings.probe = scene.objects["Probe.001"]
    settings.probe.limelight.environment = panorama(0.0)
    for collection in settings.probe.users_collection:
        collection.objects.unlink(settings.probe)
    assert relight_problems.lit_probe(scene).name == "Probe", "not what the artist has deleted"
    (problem,) = relight_problems.find_problems(scene, picture)
    assert "“Probe.001” is not in this scene" in problem.text
    bpy.ops.limelight.repair(**problem.properties)
    assert settings.probe is None and found() == []
    gone = bpy.data.images.new("gone", 4, 4)
    gone.source, gone.filepath = "FILE", "//nowhere.png"
    assert found(gone)[0][1] == "image.open"


@pytest.mark.parametrize("alpha", [False, True])
def test_a_picture_is_written_bit_for_bit_and_without_delay(scene, tmp_path, alpha):
    values = np.random.default_rng(0).integers(0, 256, (70, 9, 4))
    values[..., 3] = values[..., 3] if alpha else 255
    image = bpy.data.images.new("ä", 9, 70, alpha=alpha)
    image.pixels.foreach_set((values / 255).astype(np.float32).ravel())
    image.pack()
    written = pixels.read(relight.save_picture(image, tmp_path, "a"))[::-1]
    assert (np.rint(written * 255) == values).all()
    large = bpy.data.images.new("large", 4000, 3000)
    large.pixels.foreach_set(np.random.default_rng(1).random(48_000_000, np.float32))
    began = time.process_time()
    relight.save_picture(large, tmp_path, "b")
    assert time.process_time() - began < 2, "to compress it takes longer"


def test_a_sequence_and_a_render_need_a_still(scene, camera, tmp_path):
    for number in (1, 2):
        image = bpy.data.images.new("frame", 4, 4)
        image.generated_color = number / 4, 0.0, 0.0, 1.0
        image.filepath_raw, image.file_format = str(tmp_path / f"shot_{number:02}.png"), "PNG"
        image.save()
    moving = bpy.data.images.load(str(tmp_path / "shot_01.png"))
    moving.source = "SEQUENCE"
    (problem,) = list(relight_problems._source(moving))
    assert problem.operator_idname == "limelight.relight_still"
    scene.frame_set(2)
    folder = tmp_path / "work"
    folder.mkdir()
    still = stills.take(scene, moving, folder)
    assert still.packed_files and "frame 2" in still.name
    assert pixels.of(still)[0, 0, 0] == pytest.approx(0.5, abs=0.01)
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x = scene.render.resolution_y = 8
    world = scene.world = bpy.data.worlds.new("Bright")
    compat.node_tree(world).nodes["Background"].inputs[1].default_value = 100.0
    bpy.ops.render.render()
    result = bpy.data.images["Render Result"]
    assert relight_problems.needs_still(result)
    still = stills.take(scene, result, folder)
    assert tuple(still.size) == (8, 8) and still.is_float


def test_of_a_render_with_layers_the_finished_picture_is_taken(scene, camera, tmp_path):
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.view_layers[0].use_pass_normal = True
    world = scene.world = bpy.data.worlds.new("Bright")
    compat.node_tree(world).nodes["Background"].inputs[0].default_value = 4.0, 2.0, 1.0, 1.0
    if hasattr(scene.render.image_settings, "media_type"):
        scene.render.image_settings.media_type = "MULTI_LAYER_IMAGE"
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    scene.render.filepath = str(tmp_path / "shot ä.exr")
    bpy.ops.render.render(write_still=True)
    layered = bpy.data.images.load(scene.render.filepath)
    assert tuple(layered.size) == (0, 0), "Blender tells no size of layers"
    for needs, problems in (("relight", relight_problems._source), ("face", face_problems._picture)):
        ((text, operator),) = [(p.text, p.operator_idname) for p in problems(layered)]
        assert "holds layers" in text and operator == f"limelight.{needs}_still"
    if not compat.SAVES_FINISHED:
        with pytest.raises(RuntimeError, match="save it as a plain EXR"):
            plate.load_once(scene.render.filepath)
        return
    for still in (stills.take(scene, layered, tmp_path), plate.load_once(scene.render.filepath)):
        assert tuple(still.size) == (48, 32) and still.packed_files
        assert pixels.of(still)[5, 5, :3] == pytest.approx((4, 2, 1), rel=1e-3)
    assert plate.load_once(scene.render.filepath) == still and still.name.startswith("shot ä.exr")


def answer(source, folder, **more):
    """What the engine would answer: a relit picture that is twice as bright, linear."""
    path = folder / "relit.exr"
    pixels.write(path, np.full((source.size[1], source.size[0], 3), 2.5, np.float32))
    return {"relit": str(path), "ratio": None, "before": 0.4, "code_distance": 0.1, **more}


def test_a_result_stays_in_the_file_and_remembers(picture, tmp_path):
    made = {"strength": 80.0, "take": 2, "reference_name": "evening.jpg", "quality": "HIGH"}
    pixels.write(tmp_path / "ratio.exr", np.full((8, 12, 3), 1.5, np.float32))
    first = relit.load(picture, answer(picture, tmp_path), made)
    second = relit.load(picture, answer(picture, tmp_path, ratio=str(tmp_path / "ratio.exr")), made)
    for path in ("relit.exr", "ratio.exr"):
        (tmp_path / path).unlink()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    again = bpy.data.images["photo.png relit.001"]
    assert again.limelight.source == bpy.data.images["photo.png"]
    assert [image.limelight.number for image in relit.results(again.limelight.source)] == [2, 1]
    assert relit.told(again) == "2: evening.jpg, take 2, 80 %"
    assert again.limelight.reached == pytest.approx(0.75)
    assert pixels.of(again)[0, 0, :3] == pytest.approx(2.5)
    assert again.limelight.ratio.colorspace_settings.name == "Non-Color"
    assert pixels.of(again.limelight.ratio)[0, 0, :3] == pytest.approx(1.5)
    del first, second


@pytest.mark.parametrize("space", ["Display P3", "Non-Color"])
def test_a_result_is_read_as_its_original_is(picture, tmp_path, space):
    if space not in picture.colorspace_settings.bl_rna.properties["name"].enum_items:
        pytest.skip("this Blender does not know the colour space")
    path, values = relight.save_picture(picture, tmp_path, "source"), pixels.of(picture)
    picture.colorspace_settings.name, picture.alpha_mode = space, "CHANNEL_PACKED"
    result = relit.load(picture, answer(picture, tmp_path) | {"relit": str(path)}, {})
    # Of data nothing is known but how they look.
    wanted = "sRGB" if picture.colorspace_settings.is_data else space
    assert (result.colorspace_settings.name, result.alpha_mode) == (wanted, "CHANNEL_PACKED")
    assert np.allclose(pixels.of(result), values, atol=1e-6), "also where alpha is 0"


def test_the_result_becomes_the_photo_that_estimates_read(scene, camera, picture, tmp_path):
    camera.data.angle_x = math.radians(70)
    other = relit.load(picture, answer(picture, tmp_path), {})
    relit.use_as_background(scene, other)
    assert math.degrees(camera.data.angle_x) == pytest.approx(50.0, abs=1e-3)
    camera.data.angle_x = math.radians(70)
    second = relit.load(picture, answer(picture, tmp_path), {})
    relit.use_as_background(scene, second)
    assert math.degrees(camera.data.angle_x) == pytest.approx(70.0, abs=1e-3), "the same photo has the same lens"
    assert scene.limelight.plate == second and [b.image for b in camera.data.background_images] == [second]
    assert (scene.render.resolution_x, scene.render.resolution_y) == (12, 8)
    path, size = frames.save_still(scene, tmp_path)
    assert size == (12, 8) and pixels.read(path)[0, 0, :3] == pytest.approx(2.5)
    scene.limelight.source, scene.render.resolution_percentage, scene.render.film_transparent = "SCENE", 50, False
    second.use_fake_user = False
    mesh = depth_mesh.show(scene, np.full((8, 12), 4.0, np.float32))
    relit.remove(second)
    on_it = [node.image for node in mesh.active_material.node_tree.nodes if node.type == "TEX_IMAGE"]
    assert on_it == [picture]
    assert scene.limelight.plate == picture and other.name in bpy.data.images
    assert [b.image for b in camera.data.background_images] == [picture]
    left = scene.limelight.source, scene.render.resolution_percentage, scene.render.film_transparent
    assert left == ("SCENE", 50, False), "the artist's settings are no part of the result"
    with pytest.raises(ValueError, match="not made by Relight"):
        relit.remove(picture)
