# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of an object from all around: exact cameras, its own alpha, plain values; nothing else is changed."""

import json
import math
from pathlib import Path

import bpy
import numpy as np
import pytest
from limelight.scene import compat, pixels, splat_capture
from mathutils import Vector

SPOTS = {(1.0, 0.0, 0.0): (0.5, -0.3, 1.2), (0.0, 1.0, 0.0): (-0.4, 0.5, 0.8), (0.0, 0.0, 1.0): (0.1, 0.2, 1.7)}


def shining(name, colour, location, size=0.09):
    """A small ball that shines in a colour."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=16, ring_count=8, radius=size, location=location)
    ball = bpy.context.object
    ball.name = name
    material = bpy.data.materials.new(name)
    tree = compat.node_tree(material)
    tree.nodes.clear()
    glow, out = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    glow.inputs["Color"].default_value = (*colour, 1)
    tree.links.new(glow.outputs[0], out.inputs["Surface"])
    ball.data.materials.append(material)
    return ball


@pytest.fixture
def spots(scene):
    """Three small lights of one colour each, and a floor that is not captured."""
    bpy.ops.mesh.primitive_plane_add(size=20)
    bpy.context.object.name = "Floor"
    scene.view_settings.view_transform, scene.view_settings.exposure = "AgX", 0.0
    return [shining(f"Spot {number}", *entry) for number, entry in enumerate(SPOTS.items())]


def plan(things, **changed):
    settings = {"views": 3, "size": 64, "samples": 4, "lowest": -0.3} | changed
    return splat_capture.plan(bpy.context, things, **settings)


def captured(things, folder, **changed):
    made = splat_capture.begin(bpy.context, things, plan(things, **changed), folder)
    while not made.over:
        made.step()
    made.finish()
    return json.loads((folder / "transforms_train.json").read_text())


def test_cameras_are_exact_and_only_the_object_is_seen(spots, tmp_path):
    told = captured(spots, tmp_path / "out")
    for frame in told["frames"]:
        image = pixels.read(tmp_path / "out" / frame["file_path"])
        assert image.shape == (64, 64, 4) and image[0, 0, 3] == 0 and image[..., 3].max() == 1
        world = np.linalg.inv(np.array(frame["transform_matrix"]))
        for colour, place in SPOTS.items():
            x, y, z = (world @ (*place, 1))[:3]
            expected = told["cx"] - told["fl_x"] * x / z, told["cy"] + told["fl_y"] * y / z
            share = image[..., int(np.argmax(colour))] * image[..., 3]
            rows, columns = np.indices(share.shape) + 0.5
            found = (share * columns).sum() / share.sum(), (share * rows).sum() / share.sum()
            assert math.dist(found, expected) < 0.25


def test_values_are_plain_srgb_at_the_scenes_exposure(spots, scene, tmp_path):
    scene.view_settings.exposure = -1.0
    if hasattr(scene.view_settings, "use_white_balance"):
        scene.view_settings.use_white_balance, scene.view_settings.white_balance_temperature = True, 3000
    for node in spots[0].active_material.node_tree.nodes:
        if "Color" in node.inputs:
            node.inputs["Color"].default_value = (0.5, 0.5, 0.5, 1)
    told = captured(spots[:1], tmp_path / "out", views=2)
    image = pixels.read(tmp_path / "out" / told["frames"][0]["file_path"])
    np.testing.assert_allclose(image[32, 32], [0.537, 0.537, 0.537, 1.0], atol=0.006)


def test_everything_is_put_back_also_after_an_error(spots, scene, tmp_path, monkeypatch):
    floor = bpy.data.objects["Floor"]
    names = ("engine", "resolution_x", "film_transparent", "filepath", "dither_intensity")
    before = [getattr(scene.render, name) for name in names], scene.view_settings.view_transform, len(bpy.data.cameras)
    made = splat_capture.begin(bpy.context, spots, plan(spots), tmp_path / "out")
    made.step()

    def fail(*_):
        assert not floor.visible_camera and spots[0].visible_camera
        raise ValueError("the render was cancelled")

    monkeypatch.setattr(splat_capture.renderer, "render_still", fail)
    with pytest.raises(ValueError, match="cancelled"):
        made.step()
    after = [getattr(scene.render, name) for name in names], scene.view_settings.view_transform, len(bpy.data.cameras)
    assert before == after and floor.visible_camera and scene.camera is None and made.done == 1


def test_a_cut_to_another_camera_is_not_what_is_captured(spots, scene, add_camera, tmp_path):
    far = add_camera(scene)
    far.location.x = 100
    marker = scene.timeline_markers.new("cut", frame=scene.frame_current)
    marker.camera = far
    path = splat_capture.begin(bpy.context, spots, plan(spots), tmp_path / "out").step()
    assert pixels.read(path)[..., 3].max() == 1 and marker.camera == scene.camera == far


def test_a_capture_that_was_broken_off_goes_on_and_others_stay(spots, tmp_path):
    planned, base = plan(spots), tmp_path / "out"
    made = splat_capture.begin(bpy.context, spots, planned, base)
    first = made.step()
    when = first.stat().st_mtime_ns
    assert splat_capture.folder_for(base, planned) == base
    assert splat_capture.folder_for(base, plan(spots, views=4)) == tmp_path / "out_2"
    with pytest.raises(ValueError, match="choose an empty one"):
        splat_capture.begin(bpy.context, spots, plan(spots, views=4), base)
    again = splat_capture.begin(bpy.context, spots, planned, base)
    assert again.done == 1 and again.total == 5
    while not again.over:
        again.step()
    again.finish()
    assert first.stat().st_mtime_ns == when and splat_capture.is_whole(base, planned)
    assert splat_capture.folder_for(base, planned) == tmp_path / "out_2"


@pytest.mark.parametrize("name", ["capture.json", "transforms_train.json"])
def test_a_disk_that_is_full_meanwhile_leaves_a_capture_that_goes_on(spots, tmp_path, monkeypatch, name):
    planned, base = plan(spots), tmp_path / "out"
    write = Path.write_bytes

    def full(path, data):
        if path.name.startswith(name):
            write(path, data[:9])
            raise OSError(28, "No space left on device")
        write(path, data)

    made = splat_capture.begin(bpy.context, spots, planned, base)
    while not made.over:
        made.step()
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        splat_capture.begin(bpy.context, spots, planned, base).finish()
    assert not splat_capture.is_whole(base, planned)
    assert splat_capture.folder_for(base, planned) == base


def test_places_lie_evenly_about_the_object_and_see_all_of_it(spots):
    middle, radius = splat_capture.ball(bpy.context, spots)
    found = np.array(splat_capture.places(Vector(middle), radius, 60, -0.3))
    eyes = found[:, :3, 3] - np.array(middle)
    distance = np.linalg.norm(eyes, axis=1)
    np.testing.assert_allclose(found[:, :3, 2], eyes / distance[:, None], atol=1e-6)
    assert np.ptp(distance) < 1e-5 and radius / distance[0] < math.sin(splat_capture.FOV / 2)
    height = eyes[:, 2] / distance
    assert height.min() == pytest.approx(math.sin(-0.3), abs=0.03) and height.max() > 0.97
    nearest = np.linalg.norm(eyes[:, None] - eyes + 1e9 * np.eye(60)[..., None], axis=-1).min(1)
    assert nearest.max() < 2.2 * nearest.min()


def test_children_and_instances_belong_to_an_object(spots, scene):
    empty = bpy.data.objects.new("Group", None)
    scene.collection.objects.link(empty)
    for spot in spots:
        spot.parent = empty
    spots[0].hide_render = True
    assert set(splat_capture.with_children([empty])) == {empty, *spots[1:]}
    kept = bpy.data.collections.new("Kept")
    kept.objects.link(spots[1])
    copy = bpy.data.objects.new("Copy", None)
    copy.instance_type, copy.instance_collection, copy.location = "COLLECTION", kept, (5, 0, 0)
    scene.collection.objects.link(copy)
    bpy.context.view_layer.update()
    middle, _ = splat_capture.ball(bpy.context, [copy])
    assert middle.x == pytest.approx(5 + spots[1].matrix_world.translation.x, abs=0.02)
    with pytest.raises(ValueError, match="nothing to capture"):
        splat_capture.ball(bpy.context, [empty])


def scattered(scene, thing):
    """A mesh of one point whose geometry nodes put an instance of ``thing`` where that is."""
    mesh = bpy.data.meshes.new("Points")
    mesh.from_pydata([(0, 0, 0)], [], [])
    points = bpy.data.objects.new("Points", mesh)
    scene.collection.objects.link(points)
    tree = bpy.data.node_groups.new("Scatter", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    names = ("NodeGroupInput", "GeometryNodeObjectInfo", "GeometryNodeInstanceOnPoints", "NodeGroupOutput")
    given, info, put, out = (tree.nodes.new(name) for name in names)
    info.inputs["Object"].default_value, info.inputs["As Instance"].default_value = thing, True
    info.transform_space = "RELATIVE"
    tree.links.new(given.outputs[0], put.inputs["Points"])
    tree.links.new(info.outputs["Geometry"], put.inputs["Instance"])
    tree.links.new(put.outputs[0], out.inputs[0])
    points.modifiers.new("Scatter", "NODES").node_group = tree
    return points


def test_what_is_shown_only_as_instances_is_captured(spots, scene, tmp_path):
    red, green, _ = spots
    inner, outer = bpy.data.collections.new("Inner"), bpy.data.collections.new("Outer")
    inner.objects.link(green)
    for name, kept, into in (("Nested", inner, outer), ("Group", outer, scene.collection)):
        empty = bpy.data.objects.new(name, None)
        empty.instance_type, empty.instance_collection = "COLLECTION", kept
        into.objects.link(empty)
    things = [scattered(scene, red), bpy.data.objects["Group"]]
    bpy.context.view_layer.update()
    told = captured(things, tmp_path / "out", views=2)
    image = pixels.read(tmp_path / "out" / told["frames"][0]["file_path"])
    shown = (image[..., :3] * image[..., 3:]).max(axis=(0, 1))
    assert shown[0] > 0.9 and shown[1] > 0.9 and shown[2] < 0.1
