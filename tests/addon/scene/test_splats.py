# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats in Blender: attributes as Blender 5.3 names them, pictures as the Gaussians' formulas say, limits kept."""

import math
import time

import bmesh
import bpy
import numpy as np
import pytest
from limelight.scene import bake, compat, pixels, probes, splat_drawing, splat_file, splat_nodes, splats
from limelight.tests.addon import splat_files

PIXELS = 33
#: Metres that the camera sees across.
SPAN = 2.0


@pytest.fixture
def look(scene, tmp_path):
    """Render a plain PLY from −Y through an orthographic camera; returns linear RGBA, rows from the top."""

    def render(path, samples=64, axes="Z_UP"):
        thing, _ = splats.add(bpy.context, path, "cloud", axes)
        camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        scene.collection.objects.link(camera)
        camera.location, camera.rotation_euler = (0.0, -5.0, 0.0), (math.pi / 2, 0.0, 0.0)
        camera.data.type, camera.data.ortho_scale = "ORTHO", SPAN
        scene.camera, scene.cycles.samples = camera, samples
        scene.render.resolution_x = scene.render.resolution_y = PIXELS
        scene.render.film_transparent, scene.render.filter_size = True, 0.01
        scene.render.filepath = str(tmp_path / "seen.exr")
        compat.set_still_format(scene.render.image_settings, "OPEN_EXR")
        scene.render.image_settings.color_mode = "RGBA"
        bpy.ops.render.render(write_still=True)
        return thing, pixels.read(tmp_path / "seen.exr")

    return render


def distances():
    """(H, W): of each pixel from the picture's middle, in metres."""
    across = ((np.arange(PIXELS) + 0.5) / PIXELS - 0.5) * SPAN
    return np.hypot(*np.meshgrid(across, across))


def values_of(thing, name, width, member):
    found = np.empty(len(thing.data.vertices) * width, np.float32)
    thing.data.attributes[name].data.foreach_get(member, found)
    return found.reshape(-1, width).squeeze()


def test_attributes_are_those_of_native_splats(scene, tmp_path):
    rest = np.arange(18).reshape(2, 9) / 10
    names, values = splat_files.rows(
        [[1, 2, 3], [4, 5, 6]], [[0.2, 0.4, 0.6]] * 2, [0.25, 0.75], [0.1, 0.2, 0.3], rest,
        [[2, 0, 0, 0], [0, 0, 3, 4]], [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]] * 2,
    )  # fmt: skip
    thing, left_out = splats.add(bpy.context, splat_files.write(tmp_path / "a.ply", names, values), "two", "Y_DOWN")
    assert left_out == 0 and splat_drawing.is_splats(thing) and thing == bpy.context.object
    kinds = {a.name: a.data_type for a in thing.data.attributes}
    assert kinds["radiance:base"] == ("FLOAT4" if bpy.app.version >= (5, 2, 0) else "FLOAT_COLOR")
    assert kinds["scale"] == "FLOAT_VECTOR" and kinds["rotation"] == "QUATERNION"
    base = values_of(thing, "radiance:base", 4, "vector" if kinds["radiance:base"] == "FLOAT4" else "color")
    np.testing.assert_allclose(base[:, :3] * splat_files.DC + 0.5, [[0.2, 0.4, 0.6]] * 2, atol=1e-6)
    np.testing.assert_allclose(base[:, 3], [0.25, 0.75], atol=1e-6)
    np.testing.assert_allclose(values_of(thing, "scale", 3, "vector")[0], [0.1, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_allclose(values_of(thing, "rotation", 4, "value"), [[1, 0, 0, 0], [0, 0, 0.6, 0.8]], atol=1e-6)
    # A file goes channel by channel, an attribute holds one coefficient of all three.
    np.testing.assert_allclose(values_of(thing, "radiance:sh_1", 3, "vector")[0], rest[0, [1, 4, 7]], atol=1e-6)
    assert "radiance:sh_3" not in kinds
    np.testing.assert_allclose(values_of(thing, "albedo", 3, "vector")[1], [0.1, 0.2, 0.3], atol=1e-6)
    np.testing.assert_allclose(values_of(thing, "progress", 1, "value"), 0.6, atol=1e-6)
    # Down in the file is down in the scene: −Y of it is up.
    bpy.context.view_layer.update()
    np.testing.assert_allclose(thing.matrix_world @ thing.data.vertices[0].co, [1, 3, -2], atol=1e-5)


def test_material_is_drawn_by_our_nodes_where_blender_has_splats_of_its_own(scene, tmp_path, monkeypatch):
    """Its own take no light; those without material stay its own, if its importer makes splats of them."""
    monkeypatch.setattr(compat, "NATIVE_SPLATS", True)
    monkeypatch.setattr(splats, "_native", lambda *_: bpy.data.objects.new("native", None))
    for material, drawn in (([[0.5] * 6], True), (None, False)):
        names, values = splat_files.rows([[0, 0, 0]], [[0.5] * 3], 0.5, 0.1, material=material)
        path = splat_files.write(tmp_path / "a.ply", names, values)
        monkeypatch.setattr(splats.selection, "select_alone", lambda *_: None)
        thing, _ = splats.add(bpy.context, path, "a", "Z_UP")
        assert bool(splat_drawing.inputs(thing)) == drawn


def test_a_gaussian_looks_like_its_formula(look, tmp_path):
    names, values = splat_files.rows([[0, 0, 0]], [[0.5, 0.25, 0.75]], 0.9, 0.2)
    _, seen = look(splat_files.write(tmp_path / "a.ply", names, values))
    expected = 0.9 * np.exp(-((distances() / 0.2) ** 2) / 2)
    expected[expected < 1 / 255] = 0
    assert np.abs(seen[..., 3] - expected).max() < 0.06
    light = [((c + 0.055) / 1.055) ** 2.4 for c in (0.5, 0.25, 0.75)]
    middle = PIXELS // 2
    np.testing.assert_allclose(seen[middle, middle, :3], np.multiply(light, 0.9), rtol=0.03)


@pytest.mark.parametrize(("radius", "subdivisions"), [(splat_nodes._HULL, 1), (splat_nodes._FINER_HULL, 2)])
def test_a_hull_touches_what_it_encloses(radius, subdivisions):
    shape = bmesh.new()
    bmesh.ops.create_icosphere(shape, subdivisions=subdivisions, radius=radius)
    assert min(face.normal @ face.verts[0].co for face in shape.faces) == pytest.approx(1, abs=1e-4)


def test_a_turned_gaussian_is_long_where_it_should_be(look, tmp_path):
    """Long along x, turned by 30° about y: it rises to the left as seen from −y."""
    half = math.radians(15)
    names, values = splat_files.rows(
        [[0, 0, 0]], [[1, 1, 1]], 0.9, [0.3, 0.05, 0.1], quats=[[math.cos(half), 0, math.sin(half), 0]]
    )
    _, seen = look(splat_files.write(tmp_path / "a.ply", names, values))
    across = ((np.arange(PIXELS) + 0.5) / PIXELS - 0.5) * SPAN
    x, z = np.meshgrid(across, -across)
    along, beside = x * math.cos(2 * half) - z * math.sin(2 * half), x * math.sin(2 * half) + z * math.cos(2 * half)
    expected = 0.9 * np.exp(-((along / 0.3) ** 2 + (beside / 0.1) ** 2) / 2)
    expected[expected < 1 / 255] = 0
    # A pixel shows the mean over its area, and a ray either stops or goes on.
    assert np.abs(seen[..., 3] - expected).max() < 0.06


def test_the_nearer_covers_the_farther(look, tmp_path):
    names, values = splat_files.rows([[0, 1, 0], [0, -1, 0]], [[0, 1, 0], [1, 0, 0]], 0.8, 0.4)
    _, seen = look(splat_files.write(tmp_path / "a.ply", names, values), samples=256)
    middle = PIXELS // 2
    np.testing.assert_allclose(seen[middle, middle], [0.8, 0.2 * 0.8, 0.0, 0.96], atol=0.05)


@pytest.mark.parametrize("degree", [1, 3])
def test_colours_depend_on_where_the_camera_is(look, tmp_path, degree):
    """Seen along +y the first harmonic of degree one is −.4886; the others of degree one vanish."""
    each = (degree + 1) ** 2 - 1
    rest = np.zeros((1, 3 * each))
    rest[0, 0] = -0.5
    names, values = splat_files.rows([[0, 0, 0]], [[0.5, 0.5, 0.5]], 0.95, 0.3, rest)
    path = splat_files.write(tmp_path / "a.ply", names, values)
    thing, seen = look(path)
    middle = PIXELS // 2
    red, green = seen[middle, middle, :2] / seen[middle, middle, 3]
    assert abs(red - ((0.5 + 0.4886 * 0.5 + 0.055) / 1.055) ** 2.4) < 0.03
    assert abs(green - 0.214) < 0.01
    splat_drawing.set_input(thing, "View-Dependent", False)
    bpy.ops.render.render(write_still=True)
    seen = pixels.read(tmp_path / "seen.exr")
    assert abs(seen[middle, middle, 0] / seen[middle, middle, 3] - 0.214) < 0.01


def test_settings_change_what_is_drawn(look, tmp_path):
    names, values = splat_files.rows([[0, 0, 0]], [[0.5, 0.5, 0.5]], 0.9, 0.2)
    thing, before = look(splat_files.write(tmp_path / "a.ply", names, values))
    middle = PIXELS // 2
    splat_drawing.set_input(thing, "Exposure", 1.0)
    splat_drawing.set_input(thing, "Size", 0.5)
    bpy.ops.render.render(write_still=True)
    seen = pixels.read(tmp_path / "seen.exr")
    np.testing.assert_allclose(seen[middle, middle, :3], 2 * before[middle, middle, :3], rtol=0.08)
    assert seen[..., 3].sum() < 0.3 * before[..., 3].sum()
    splat_drawing.set_input(thing, "Least Opacity", 0.95)
    bpy.ops.render.render(write_still=True)
    assert pixels.read(tmp_path / "seen.exr")[..., 3].max() == 0


def many(count, path):
    """A file of ``count`` Gaussians with harmonics of degree three."""
    random = np.random.default_rng(0)
    names, values = splat_files.rows(
        random.normal(size=(count, 3)), random.uniform(size=(count, 3)), 0.5, 0.01, random.normal(size=(count, 45))
    )
    return splat_files.write(path, names, values)


def test_two_hundred_thousand_come_in_five_seconds_and_the_viewport_shows_fewer(scene, tmp_path):
    path = many(200_000, tmp_path / "many.ply")
    # Of this process: what else the machine does is no matter here.
    start = time.process_time()
    thing, _ = splats.add(bpy.context, path, "many", "Y_DOWN")
    drawn = instances()
    assert time.process_time() - start < 5
    assert len(thing.data.vertices) == 200_000 and 45_000 < drawn < 55_000
    splat_drawing.set_input(thing, "Most in Viewport", 1000)
    assert 800 < instances() < 1200


def instances():
    graph = bpy.context.evaluated_depsgraph_get()
    return sum(1 for instance in graph.object_instances if instance.is_instance)


def test_a_crop_box_leaves_out_what_is_outside(scene, tmp_path):
    names, values = splat_files.rows([[x, 0, 0] for x in range(10)], np.full((10, 3), 0.5), 0.5, 0.1)
    thing, _ = splats.add(bpy.context, splat_files.write(tmp_path / "a.ply", names, values), "row", "Y_DOWN")
    thing.location.x = 100
    bpy.context.view_layer.update()
    assert instances() == 10
    box = splats.add_crop_box(bpy.context, thing)
    bpy.context.view_layer.update()
    # Two hundredths of the width are cut off as far out.
    assert instances() == 8 and box == bpy.context.object
    box.location.x += 5
    bpy.context.view_layer.update()
    assert instances() == 4


def test_a_deleted_crop_box_crops_no_more(scene, tmp_path):
    names, values = splat_files.rows([[x, 0, 0] for x in range(10)], np.full((10, 3), 0.5), 0.5, 0.1)
    thing, _ = splats.add(bpy.context, splat_files.write(tmp_path / "a.ply", names, values), "row", "Y_DOWN")
    splats.add_crop_box(bpy.context, thing)
    bpy.context.view_layer.update()
    assert instances() == 8
    bpy.ops.object.delete()
    bpy.context.view_layer.update()
    bpy.context.view_layer.update()
    assert splat_drawing.value(thing, "Crop Box") is None and instances() == 10


def test_an_appended_cloud_keeps_its_crop_box(scene, tmp_path):
    names, values = splat_files.rows([[x, 0, 0] for x in range(10)], np.full((10, 3), 0.5), 0.5, 0.1)
    thing, _ = splats.add(bpy.context, splat_files.write(tmp_path / "a.ply", names, values), "row", "Y_DOWN")
    splats.add_crop_box(bpy.context, thing)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.append(directory=str(tmp_path / "set.blend" / "Object"), filename="row")
    bpy.context.view_layer.update()
    assert splat_drawing.value(bpy.data.objects["row"], "Crop Box") == bpy.data.objects["row crop"] and instances() == 8


def test_joined_clouds_are_one(scene, tmp_path):
    first, _ = splats.add(bpy.context, many(10, tmp_path / "a.ply"), "a", "Y_DOWN")
    second, _ = splats.add(bpy.context, many(7, tmp_path / "b.ply"), "b", "Y_DOWN")
    with bpy.context.temp_override(active_object=first, selected_editable_objects=[first, second]):
        bpy.ops.object.join()
    bpy.context.view_layer.update()
    assert instances() == 17 and "radiance:sh_14" in first.data.attributes


def test_rays_reach_through_many_layers(scene, tmp_path):
    scene.cycles.transparent_max_bounces = 8
    many(10, tmp_path / "a.ply")
    splats.add(bpy.context, tmp_path / "a.ply", "a", "Y_DOWN")
    assert scene.cycles.transparent_max_bounces == 1024


def test_what_is_baked_behind_many_layers_is_not_black(scene, tmp_path):
    row = np.linspace((2, 0, 0), (4, 0, 0), 30)
    names, values = splat_files.rows(row, np.ones((30, 3)), 0.1, 0.4)
    splats.add(bpy.context, splat_files.write(tmp_path / "row.ply", names, values), "row", "Z_UP")
    scene.world = bpy.data.worlds.new("white")
    next(n for n in compat.node_tree(scene.world).nodes if n.type == "BACKGROUND").inputs[0].default_value = (1,) * 4
    truth = bake.bake_truth(bpy.context, probes.add_probe(scene, (0, 0, 0), 0.1), 32, 4)
    assert pixels.of(truth)[8, 16, :3].min() > 0.9


def test_clouds_share_nodes_and_material(scene, tmp_path):
    path = many(10, tmp_path / "a.ply")
    first, second = (splats.add(bpy.context, path, "a", "Y_UP")[0] for _ in range(2))
    assert first.modifiers[0].node_group == second.modifiers[0].node_group
    assert len([m for m in bpy.data.materials if m.name.startswith("Limelight Splats")]) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data.replace(b"vertex 10", b"vertex 1000000000"),
        lambda data: data.replace(b"vertex 10", b"vertex 0"),
        lambda data: data.replace(b"binary_little_endian", b"ascii"),
        lambda data: data.replace(b"property float rot_3", b"property float rot_4"),
        lambda data: data.replace(b"property float x", b"property list uchar int x"),
        lambda data: b"ply\n",
        lambda data: b"",
    ],
)
def test_other_files_are_not_read_here(tmp_path, damage):
    path = many(10, tmp_path / "a.ply")
    assert splat_file.plain(path)
    path.write_bytes(damage(path.read_bytes()))
    assert not splat_file.plain(path)
    with pytest.raises(ValueError, match="no binary PLY of Gaussian splats"):
        splat_file.read(path)
    assert not splat_file.plain(tmp_path / "none.ply")


def test_impossible_numbers_are_left_out(scene, tmp_path):
    names, values = splat_files.rows(np.zeros((4, 3)), np.full((4, 3), 0.5), 0.5, 0.1)
    values[0, 0], values[1, names.index("scale_1")] = np.nan, 500
    thing, left_out = splats.add(bpy.context, splat_files.write(tmp_path / "a.ply", names, values), "a", "Y_DOWN")
    assert left_out == 2 and len(thing.data.vertices) == 2
    with pytest.raises(ValueError, match="no Gaussian with usable numbers"):
        splats.add(bpy.context, splat_files.write(tmp_path / "b.ply", names, values * np.nan), "b", "Y_DOWN")
