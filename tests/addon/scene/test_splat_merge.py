# SPDX-License-Identifier: GPL-3.0-or-later
"""Merged splats look as they did apart, whatever their settings were, and what hung on them is where it was."""

import bpy
import numpy as np
import pytest
from limelight.scene import splat_bake, splat_data, splat_drawing, splat_edit, splat_proxy, splats
from limelight.tests.addon import splat_files
from limelight.tests.addon.scene.test_splat_edit import cloud_of, seen


def drawn():
    """(N, 12): where each hull that is drawn lies, and its shape, in an order of its own."""
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    found = np.array([np.array(instance.matrix_world) for instance in graph.object_instances if instance.is_instance])
    shape = found[:, :3, :3] @ found[:, :3, :3].transpose(0, 2, 1)
    rows = np.concatenate([found[:, :3, 3], shape.reshape(-1, 9)], axis=1)
    return rows[np.lexsort(np.round(rows[:, :3], 4).T)]


@pytest.fixture
def two(scene, tmp_path):
    """Two clouds, placed differently."""
    paths = [splat_files.write(tmp_path / f"{seed}.ply", *cloud_of(seed, 40)) for seed in (1, 2)]
    first, second = (splats.add(bpy.context, path, path.stem, "Z_UP")[0] for path in paths)
    first.rotation_euler, second.rotation_euler = (0.4, 0, 0), (0, 1.1, 0.2)
    second.location, second.scale = (3, 0, 1), (2, 2, 2)
    bpy.context.view_layer.update()
    return first, second


def crop(thing, share):
    """A turned box that hides some of a cloud."""
    box = bpy.data.objects.new("box", None)
    bpy.context.collection.objects.link(box)
    box.parent, box.scale, box.rotation_euler.z = thing, (share,) * 3, 0.5
    splat_drawing.set_input(thing, "Crop Box", box)
    return box


@pytest.mark.parametrize("cropped", [(0,), (1,), (0, 1)])
def test_crop_boxes_limits_and_sizes_count_as_before(two, cropped):
    first, second = two
    for number in cropped:
        crop(two[number], 1.2)
    splat_drawing.set_input(first, "Least Opacity", 0.2)
    splat_drawing.set_input(second, "Least Opacity", 0.5)
    splat_drawing.set_input(first, "Size", 0.8)
    splat_drawing.set_input(second, "Size", 1.7)
    before = drawn()
    splat_edit.merge(first, [second])
    after = drawn()
    assert 0 < len(before) < 80 and len(before) == len(after)
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_cloud_that_hangs_on_another_is_merged_into_that_alone(two):
    child, parent = two
    between = bpy.data.objects.new("rig", None)
    bpy.context.collection.objects.link(between)
    child.parent, between.parent, between.location = between, parent, (1, 2, 3)
    before = drawn()
    with pytest.raises(ValueError, match="“1” hangs on “2”, which would go: merge into that, or clear the parent"):
        splat_edit.merge(child, [parent])
    np.testing.assert_allclose(drawn(), before, atol=1e-4)
    splat_edit.merge(parent, [child])
    np.testing.assert_allclose(drawn(), before, atol=1e-4)


def test_settings_that_are_alike_still_only_hide(two):
    for thing in two:
        splat_drawing.set_input(thing, "Least Opacity", 0.5)
    before = drawn()
    splat_edit.merge(two[0], [two[1]])
    assert len(two[0].data.vertices) == 80 and splat_drawing.value(two[0], "Least Opacity") == 0.5
    np.testing.assert_allclose(drawn(), before, atol=1e-4)


def test_each_keeps_its_exposure(two):
    first, second = two
    splat_drawing.set_input(first, "Exposure", 0.5)
    splat_drawing.set_input(second, "Exposure", 1.5)
    eye, matrix = np.array([0.0, -9.0, 0.0]), np.array(second.matrix_world)
    before = 0.5 + seen(splat_data.read(second), eye, matrix)
    splat_edit.merge(first, [second])
    after = 0.5 + seen(splat_data.read(first), eye, np.array(first.matrix_world))[40:]
    wanted = 2 * ((np.clip(before, 0, None) + 0.055) / 1.055) ** 2.4
    found = ((np.clip(after, 0, None) + 0.055) / 1.055) ** 2.4
    assert splat_drawing.value(first, "Exposure") == 0.5
    assert np.abs(found - wanted)[before > 0.1].mean() < 0.03


def test_lit_clouds_keep_their_material(two):
    first, second = two
    for thing in two:
        splat_drawing.relight(thing, 1.0)
    for name, value in (("Albedo Gain", -1.0), ("Roughness Bias", 0.2), ("Blend by Progress", 0.5)):
        splat_drawing.set_input(second, name, value)
    before = splat_data.read(second).material
    splat_edit.merge(first, [second])
    after = splat_data.read(first).material
    np.testing.assert_allclose(after["albedo"][40:], before["albedo"] / 2, atol=1e-6)
    np.testing.assert_allclose(after["roughness"][40:], np.clip(before["roughness"] + 0.2, 0, 1), atol=1e-6)
    np.testing.assert_allclose(1 - after["progress"][40:], (1 - before["progress"]) / 2, atol=1e-6)
    assert splat_drawing.value(first, "Albedo Gain") == 0


def test_what_no_gaussian_can_have_for_itself_is_refused_and_nothing_changes(two):
    first, second = two
    splat_drawing.relight(second, 1.0)
    with pytest.raises(ValueError, match="differ in Relight: set both alike"):
        splat_edit.merge(first, [second])
    assert len(first.data.vertices) == len(second.data.vertices) == 40


def test_nothing_is_merged_into_what_has_no_size(two):
    two[0].scale.z = 0
    with pytest.raises(ValueError, match="scaled to nothing"):
        splat_edit.merge(two[0], [two[1]])
    assert len(two[0].data.vertices) == 40


def test_children_stay_where_they_were_also_when_they_move(two):
    first, second = two
    child = bpy.data.objects.new("child", None)
    bpy.context.collection.objects.link(child)
    child.parent, child.location = second, (1, 2, 3)
    child.keyframe_insert("location", frame=1)
    bpy.context.view_layer.update()
    before = np.array(child.matrix_world)
    splat_edit.merge(first, [second])
    bpy.context.scene.frame_set(1)
    np.testing.assert_allclose(np.array(child.matrix_world), before, atol=1e-5)
    splat_edit.apply_transform(first)
    bpy.context.scene.frame_set(1)
    np.testing.assert_allclose(np.array(child.matrix_world), before, atol=1e-5)


@pytest.mark.parametrize("which", [(0, 1), (1,)])
def test_shadow_meshes_become_one(two, tmp_path, which):
    points, faces = [(0, 0, 1), (1, 0, 0), (0, 1, 0), (-1, -1, 0)], [(0, 1, 2), (0, 2, 3), (0, 3, 1), (1, 3, 2)]
    path = splat_files.write_mesh(tmp_path / "mesh.ply", points, faces)
    for number in which:
        splat_proxy.add(two[number], path)
    bpy.context.view_layer.update()
    matrices = [np.array(two[number].matrix_world) for number in which]
    splat_edit.merge(two[0], [two[1]])
    bpy.context.view_layer.update()
    proxy = splat_proxy.of(two[0])
    world = np.array([proxy.matrix_world @ vertex.co for vertex in proxy.data.vertices])
    wanted = np.concatenate([np.array(points) @ m[:3, :3].T + m[:3, 3] for m in matrices])
    np.testing.assert_allclose(world, wanted, atol=1e-5)
    assert len(proxy.data.polygons) == 4 * len(which) and splat_drawing.value(two[0], "Shadow Mesh") == proxy
    assert len(proxy.data.color_attributes["albedo"].data) == len(proxy.data.vertices)
    assert [thing for thing in bpy.data.objects if splat_drawing.PROXY in thing] == [proxy]


def test_what_else_the_first_clouds_points_have_stays(two):
    first, second = two
    first.data.attributes.new("mine", "FLOAT", "POINT").data[5].value = 2
    first.vertex_groups.new(name="sky").add([5], 0.25, "REPLACE")
    splat_edit.merge(first, [second])
    splat_edit.apply_transform(first)
    assert first.data.attributes["mine"].data[5].value == 2 and first.data.vertices[5].groups[0].weight == 0.25


def test_colours_that_do_not_depend_on_the_view_are_brightened_exactly():
    _, values = cloud_of(3, 9, degree=0)
    base = values[:, 3:6].astype(np.float32)
    cloud = splat_bake.Cloud(
        values[:, :3], np.pad(base, [(0, 0), (0, 1)], constant_values=1), np.ones((9, 3)), np.ones((9, 4)),
        np.empty((9, 0, 3), np.float32), {}, 0,
    )  # fmt: skip
    brighter = splat_bake.exposed(splat_bake.exposed(cloud, 2.0), -2.0)
    np.testing.assert_allclose(brighter.base, cloud.base, atol=1e-4)
