# SPDX-License-Identifier: GPL-3.0-or-later
"""Editing splats for good: what is deleted, and that moved, turned and merged clouds look as they did before."""

import math

import bpy
import numpy as np
import pytest
from limelight.scene import splat_data, splat_drawing, splat_edit, splat_file, splat_harmonics, splat_place, splats
from limelight.tests.addon import splat_files
from mathutils import Euler, Matrix


def cloud_of(seed, count=12, degree=3, material=True):
    """A table of Gaussians of all shapes and turns."""
    random = np.random.default_rng(seed)
    quats = random.normal(size=(count, 4))
    return splat_files.rows(
        random.normal(size=(count, 3)), random.uniform(size=(count, 3)), random.uniform(0.1, 0.9, count),
        random.uniform(0.05, 0.3, (count, 3)), random.normal(size=(count, 3 * ((degree + 1) ** 2 - 1))) * 0.1,
        quats / np.linalg.norm(quats, axis=1, keepdims=True), random.uniform(size=(count, 6)) if material else None,
    )  # fmt: skip


@pytest.fixture
def add(scene, tmp_path):
    """``add(table, name)``: a cloud in the scene."""

    def made(table, name="cloud"):
        return splats.add(bpy.context, splat_files.write(tmp_path / f"{name}.ply", *table), name, "Z_UP")[0]

    return made


def covariances(cloud):
    """(N, 3, 3)."""
    axes = splat_place.matrices(cloud.rotations) * cloud.scales[:, None, :]
    return axes @ axes.transpose(0, 2, 1)


def seen(cloud, point, matrix):
    """(N, 3): colours in the direction from a world ``point``, for a cloud under ``matrix``."""
    inverse = np.linalg.inv(matrix)
    towards = cloud.means - (inverse[:3, :3] @ point + inverse[:3, 3])
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    found = splat_files.DC * cloud.base[:, :3]
    for degree in splat_harmonics.DEGREES:
        if degree.stop <= cloud.harmonics.shape[1]:
            found = found + np.einsum("nk,nkc->nc", splat_harmonics.values(towards, degree), cloud.harmonics[:, degree])
    return found


def test_an_applied_transform_changes_nothing_that_is_seen(add):
    thing = add(cloud_of(0))
    child = bpy.data.objects.new("child", None)
    bpy.context.collection.objects.link(child)
    child.parent = thing
    matrix = Matrix.LocRotScale((1, 2, 3), Euler((0.3, -0.8, 1.9)), (1.5, 1.5, 1.5))
    thing.matrix_world = matrix
    before, m = splat_data.read(thing), np.array(matrix)
    splat_edit.apply_transform(thing)
    after = splat_data.read(thing)
    np.testing.assert_allclose(np.array(thing.matrix_world), np.eye(4), atol=1e-6)
    np.testing.assert_allclose(np.array(child.matrix_world), m, atol=1e-5)
    np.testing.assert_allclose(after.means, before.means @ m[:3, :3].T + m[:3, 3], atol=1e-5)
    np.testing.assert_allclose(covariances(after), m[:3, :3] @ covariances(before) @ m[:3, :3].T, atol=1e-5)
    eye = np.array([4.0, -3.0, 2.0])
    np.testing.assert_allclose(seen(after, eye, np.eye(4)), seen(before, eye, m), atol=1e-5)
    np.testing.assert_array_equal(after.material["albedo"], before.material["albedo"])
    assert all(before.material[name].shape == after.material[name].shape for name in before.material)


def test_stretched_and_mirrored_gaussians_keep_their_shape():
    random = np.random.default_rng(3)
    turns = random.normal(size=(20, 4)).astype(np.float32)
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    cloud = splat_file.Cloud(
        np.zeros((20, 3), np.float32), np.zeros((20, 4), np.float32),
        random.uniform(0.1, 1, (20, 3)).astype(np.float32), turns, np.empty((20, 0, 3), np.float32), {}, 0,
    )  # fmt: skip
    for scale in ((1, 2, 0.5), (-1, 1, 1)):
        linear = np.diag(scale) @ np.array(Euler((0.5, 0.2, 0.1)).to_matrix())
        matrix = np.eye(4)
        matrix[:3, :3] = linear
        found = splat_place.placed(cloud, matrix)
        np.testing.assert_allclose(covariances(found), linear @ covariances(cloud) @ linear.T, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(found.rotations, axis=1), 1, atol=1e-6)


def test_merged_clouds_lie_where_they_lay(add):
    first, second = add(cloud_of(1, 8, degree=1, material=False), "first"), add(cloud_of(2, 5), "second")
    first.rotation_euler, second.rotation_euler = (0.4, 0, 0), (0, 1.1, 0.2)
    second.location, second.scale = (3, 0, 1), (2, 2, 2)
    for thing in (first, second):
        splat_drawing.set_input(thing, "Exposure", 1.5)
    bpy.context.view_layer.update()
    eye, m, n = np.array([0.0, -6.0, 0.0]), np.array(first.matrix_world), np.array(second.matrix_world)
    one, two = splat_data.read(first), splat_data.read(second)
    splat_edit.merge(first, [second])
    both = splat_data.read(first)
    assert len(both.means) == 13 and both.harmonics.shape[1] == 15 and "second" not in bpy.data.objects
    np.testing.assert_allclose(seen(both, eye, m), np.concatenate([seen(one, eye, m), seen(two, eye, n)]), atol=1e-4)
    world = both.means @ m[:3, :3].T + m[:3, 3]
    np.testing.assert_allclose(world[8:], two.means @ n[:3, :3].T + n[:3, 3], atol=1e-5)
    # What has no material is lit as the dull surface that it was drawn as.
    np.testing.assert_allclose(both.material["progress"][:8], 1)
    np.testing.assert_allclose(both.material["progress"][8:], two.material["progress"], atol=1e-6)
    assert splat_drawing.value(first, "Exposure") == 1.5


def test_linked_duplicates_are_edited_apart(add):
    first = add(cloud_of(6))
    second, third = first.copy(), first.copy()
    for number, copy in enumerate((second, third), start=1):
        bpy.context.collection.objects.link(copy)
        copy.location.x = 5 * number
    before = splat_data.read(first).means
    splat_edit.apply_transform(second)
    np.testing.assert_allclose(splat_data.read(third).means, before)
    np.testing.assert_allclose(splat_data.read(second).means, before + np.array([5, 0, 0]), atol=1e-5)
    splat_edit.merge(first, [third])
    expected = np.concatenate([before, before + np.array([10, 0, 0])])
    np.testing.assert_allclose(splat_data.read(first).means, expected, atol=1e-5)
    assert len(bpy.data.meshes) == 2 and first.data != second.data


def test_what_is_deleted_is_what_was_meant(add):
    table = splat_files.rows(
        [[x, 0, 0] for x in range(9)] + [[1000, 0, 0]], np.full((10, 3), 0.5), [0.05] * 2 + [0.5] * 8,
        np.array([[0.1] * 3] * 9 + [[0.1] * 3]) * np.array([1] * 4 + [50] + [1] * 5)[:, None],
    )  # fmt: skip
    thing = add(table)
    thing.data.attributes.new("mine", "FLOAT", "POINT").data.foreach_set("value", np.arange(10, dtype=np.float32))
    assert splat_edit.chosen(thing, "FAINT", 0.1).nonzero()[0].tolist() == [0, 1]
    assert splat_edit.chosen(thing, "LARGE", 10).nonzero()[0].tolist() == [4]
    assert splat_edit.chosen(thing, "STRAY", 10).nonzero()[0].tolist() == [9]
    with pytest.raises(ValueError, match="no crop box"):
        splat_edit.chosen(thing, "OUTSIDE", 0)
    box = bpy.data.objects.new("box", None)
    bpy.context.collection.objects.link(box)
    box.location, box.scale, thing.location = (103, 0, 0), (1.5, 1, 1), (100, 0, 0)
    splat_drawing.set_input(thing, "Crop Box", box)
    outside = splat_edit.chosen(thing, "OUTSIDE", 0)
    assert (~outside).nonzero()[0].tolist() == [2, 3, 4]
    splat_edit.delete(thing, outside)
    assert len(thing.data.vertices) == 3
    left = np.empty(3, np.float32)
    thing.data.attributes["mine"].data.foreach_get("value", left)
    assert left.tolist() == [2, 3, 4] and splat_data.read(thing).means[:, 0].tolist() == [2, 3, 4]
    with pytest.raises(ValueError, match="Nothing would be left"):
        splat_edit.delete(thing, np.ones(3, bool))


def test_what_is_left_keeps_all_that_blender_knows_of_it(add):
    thing = add(cloud_of(7))
    before = splat_data.read(thing)
    thing.vertex_groups.new(name="sky").add([1, 10], 0.25, "REPLACE")
    thing.data.attributes.new("turns", "FLOAT4X4", "POINT").data[10].value = Matrix.Translation((1, 2, 3))
    thing.data.attributes.new("name", "STRING", "POINT").data[10].value = b"tree"
    splat_edit.delete(thing, np.arange(12) < 4)
    data, after = thing.data, splat_data.read(thing)
    weights = [[element.weight for element in vertex.groups] for vertex in data.vertices]
    assert weights == [[0.25] if index == 6 else [] for index in range(8)]
    assert data.attributes["turns"].data[6].value == Matrix.Translation((1, 2, 3))
    assert data.attributes["name"].data[6].value == b"tree"
    for name in ("means", "base", "scales", "rotations", "harmonics"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name)[4:])


def test_an_edited_cloud_is_written_as_it_is(add, tmp_path):
    thing = add(cloud_of(4))
    splat_edit.delete(thing, np.arange(12) < 4)
    splat_file.write(tmp_path / "out.ply", splat_data.read(thing))
    before, after = splat_file.read(tmp_path / "cloud.ply"), splat_file.read(tmp_path / "out.ply")
    for name in ("means", "base", "scales", "rotations", "harmonics"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name)[4:], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after.material["roughness"], before.material["roughness"][4:])


def test_harmonics_turn_in_the_right_direction():
    """The lobe of degree one along +x is that along +y after a quarter turn about z."""
    harmonics = np.zeros((1, 3, 1), np.float32)
    harmonics[0, 2] = -1
    turned = splat_harmonics.turned(harmonics, np.array(Matrix.Rotation(math.pi / 2, 3, "Z")))
    np.testing.assert_allclose(turned[0, :, 0], [-1, 0, 0], atol=1e-6)


def test_a_cloud_without_its_attributes_is_a_sentence(add):
    thing = add(cloud_of(5))
    thing.data.attributes.remove(thing.data.attributes["scale"])
    with pytest.raises(ValueError, match="lost the attributes"):
        splat_data.read(thing)
