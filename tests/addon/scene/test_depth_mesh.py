# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo's depth as a mesh: what it shows, what the engine reads from it, its scale, its ground."""

import math

import bmesh
import bpy
import numpy as np
import pytest
from limelight.scene import camera as cameras
from limelight.scene import capture, depth_mesh, pixels, probes
from mathutils import Matrix, Vector

WIDTH, HEIGHT = 96, 64


@pytest.fixture
def shot(scene):
    """A scene with a photo of 96 × 64 pixels and its camera, 60° wide, turned and off the origin."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.data.angle_x = math.radians(60)
    camera.matrix_world = Matrix.Translation((3, -2, 5)) @ Matrix.Rotation(0.7, 4, "Z") @ Matrix.Rotation(1.2, 4, "X")
    scene.limelight.source = "PLATE"
    scene.limelight.plate = bpy.data.images.new("photo", WIDTH, HEIGHT)
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    bpy.context.view_layer.update()
    return scene


def floor_depth(scene, height=1.5, tilt=0.0):
    """Planar depth of a level floor ``height`` under a camera that looks down by ``tilt``; sky above the horizon."""
    view = cameras.seen(scene, scene.camera, WIDTH, HEIGHT)
    y = (view["cy"] - np.arange(HEIGHT) - 0.5) / view["fy"]
    fall = -(y * math.cos(tilt) - math.sin(tilt))
    depth = np.where(fall > 0.05, height / np.maximum(fall, 1e-6), np.inf)
    return np.repeat(depth[:, None], WIDTH, 1).astype(np.float32)


def test_the_engine_reads_the_depth_that_was_shown(shot):
    depth = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    depth[:20] = np.inf
    depth[20:, 60:] = 2.0
    thing = depth_mesh.show(shot, depth)
    assert thing.hide_render and thing.data.materials[0].node_tree.nodes
    bpy.context.view_layer.update()
    found = capture.cast_depth(bpy.context, WIDTH, (WIDTH, HEIGHT))
    assert np.isinf(found[:18]).all()
    # Whole to the picture's edges, and torn at the jump: neither gaps nor a wall between near and far.
    assert np.allclose(found[22:, :58], 4.0, atol=1e-3) and np.allclose(found[22:, 62:], 2.0, atol=1e-3)
    assert np.isin(np.round(found[22:], 3), (2.0, 4.0)).all()


def test_every_scene_shows_its_own_photo(shot):
    other = shot.copy()
    for scene in (shot, other, shot):
        scene.limelight.plate = bpy.data.images.new(f"photo of {scene.name}", WIDTH, HEIGHT)
        depth_mesh.show(scene, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    for scene in (shot, other):
        (material,) = depth_mesh.find(scene).data.materials
        assert [n.image for n in material.node_tree.nodes if n.type == "TEX_IMAGE"] == [scene.limelight.plate]
    assert len(bpy.data.materials) == 2


def test_a_second_run_replaces_the_first(shot):
    first = depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    again = depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 3.0, np.float32))
    assert first == again and len([o for o in shot.objects if depth_mesh.MARK in o]) == 1
    assert len([m for m in bpy.data.meshes if m.name.startswith("Photo depth")]) == 1
    with pytest.raises(ValueError, match="nothing but sky"):
        depth_mesh.show(shot, np.full((HEIGHT, WIDTH), np.inf, np.float32))


def test_a_mesh_that_was_excluded_is_shown_again(shot):
    thing = depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    bpy.context.view_layer.layer_collection.children[probes.COLLECTION].exclude = True
    assert depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 2.0, np.float32)) == thing
    bpy.context.view_layer.update()
    assert np.median(capture.cast_depth(bpy.context, 16, (WIDTH, HEIGHT))) == pytest.approx(2, abs=1e-3)


def test_a_mesh_that_is_being_edited_stays(shot):
    thing = depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    bpy.context.view_layer.objects.active = thing
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(ValueError, match="back to Object Mode"):
        depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 3.0, np.float32))
    with pytest.raises(RuntimeError, match="back to Object Mode"):
        bpy.ops.limelight.show_depth()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert depth_mesh.find(shot) == thing and thing.data.vertices[0].co.z == pytest.approx(-4.0)


def test_a_mesh_that_was_excluded_while_it_was_edited_is_told_as_that(shot):
    thing = depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    layer = bpy.context.view_layer
    layer.objects.active = thing
    bpy.ops.object.mode_set(mode="EDIT")
    layer.layer_collection.children[probes.COLLECTION].exclude = True
    with pytest.raises(RuntimeError, match="excluded while it was edited: include its collection again, select it"):
        bpy.ops.limelight.show_depth()
    layer.layer_collection.children[probes.COLLECTION].exclude = False
    layer.objects.active = thing
    bpy.ops.object.mode_set(mode="OBJECT")
    assert depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 3.0, np.float32)) == thing


def test_a_linked_duplicate_keeps_the_depth_of_the_first_run(shot):
    first = depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    copy = first.copy()
    shot.collection.objects.link(copy)
    depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 3.0, np.float32))
    assert sorted(round(o.data.vertices[0].co.z) for o in shot.objects if o.type == "MESH") == [-4, -3]


def test_the_photo_lies_on_the_mesh_as_in_the_picture(shot):
    thing = depth_mesh.show(shot, floor_depth(shot))
    uv = thing.data.uv_layers[0].data
    for face in list(thing.data.polygons)[::97]:
        for loop in face.loop_indices:
            point = thing.matrix_world @ thing.data.vertices[thing.data.loops[loop].vertex_index].co
            u, v, _ = cameras.project(shot, shot.camera, point)
            assert tuple(uv[loop].uv) == pytest.approx((u, 1 - v), abs=1e-4)


def test_a_photo_that_moves_lies_on_the_mesh_as_at_the_frame_whose_depth_it_is(shot, tmp_path):
    for number in range(3, 8):
        pixels.write_png(tmp_path / f"shot_{number:04}.png", np.full((HEIGHT, WIDTH, 3), number / 20, np.float32))
    shot.limelight.plate = bpy.data.images.load(str(tmp_path / "shot_0003.png"))
    shot.limelight.plate.source = "SEQUENCE"
    shot.frame_set(5)
    depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32)).hide_render = False
    for frame in (5, 2, 9):
        shot.frame_set(frame)
        with capture.settings_for_capture(shot, (WIDTH, HEIGHT), tmp_path / "seen.png", 1, display=True):
            bpy.ops.render.render(write_still=True)
        seen = pixels.read(tmp_path / "seen.png")[HEIGHT // 2, WIDTH // 2, 0]
        assert 20 * seen == pytest.approx(5, abs=0.15), frame
    shot.frame_set(9)
    with pytest.raises(ValueError, match="has no frame 9"):
        depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32))


def test_scaling_by_a_known_distance_changes_nothing_that_the_camera_sees(shot):
    depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    place = shot.camera.matrix_world @ Vector((0.5, 0.2, -3))
    bpy.ops.limelight.add_probe(location=tuple(place), radius=0.1)
    (probe,) = probes.probes(shot)
    before = cameras.project(shot, shot.camera, probe.matrix_world.translation)
    distance = (probe.matrix_world.translation - shot.camera.matrix_world.translation).length
    for thing in bpy.context.selected_objects:
        thing.select_set(thing == probe)
    assert bpy.ops.limelight.scale_depth(distance=2 * distance) == {"FINISHED"}
    bpy.context.view_layer.update()
    after = cameras.project(shot, shot.camera, probe.matrix_world.translation)
    assert after[:2] == pytest.approx(before[:2], abs=1e-4) and after[2] == pytest.approx(2 * before[2], rel=1e-4)
    assert probe.limelight.radius == pytest.approx(0.2)
    assert np.allclose(capture.cast_depth(bpy.context, 24, (WIDTH, HEIGHT))[2:-2, 2:-2], 8.0, atol=1e-2)
    with pytest.raises(RuntimeError, match="larger than zero"):
        bpy.ops.limelight.scale_depth(distance=0.0)


@pytest.mark.parametrize("switched", ["on", "off", "off and opened anew"])
def test_probes_that_hang_on_what_is_scaled_too_go_once(shot, tmp_path, switched):
    thing = depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    first, between = probes.add_probe(shot, (0, 0, 0), 0.1), bpy.data.objects.new("Rig", None)
    shot.collection.objects.link(between)
    last = probes.add_probe(shot, (0, 0, 0), 0.1, "Another")
    for child, parent in ((first, thing), (between, first), (last, between)):
        child.parent, child.scale, child.location = parent, (1.5, 1.5, 1.5), (0.1, 0.2, -1.0)
    bpy.context.view_layer.update()
    if switched != "on":
        for child in (first, between, last):
            child.hide_viewport = True
    if switched.endswith("anew"):
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
        shot = bpy.context.scene
    spots = probes.probes(shot)
    eye = shot.camera.matrix_world.translation.copy()
    places = [probes.to_world(probe).translation - eye for probe in spots]
    radii = [probes.radius_in_world(probe) for probe in spots]
    depth_mesh.rescale(shot, 3.0)
    bpy.context.view_layer.update()
    for probe, place, radius in zip(spots, places, radii, strict=True):
        assert (probes.to_world(probe).translation - eye - 3 * place).length < 1e-3
        assert probes.radius_in_world(probe) == pytest.approx(3 * radius, rel=1e-4)


def test_what_would_not_stay_scaled_is_not_scaled(shot):
    thing = depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    probe = probes.add_probe(shot, shot.camera.matrix_world @ Vector((0, 0, -3)), 0.1)
    keyed(probe)
    bpy.context.view_layer.update()
    before = thing.matrix_world.copy()
    with pytest.raises(RuntimeError, match="“Probe” would not stay there, because it has keyframes"):
        bpy.ops.limelight.scale_depth(distance=6.0)
    assert thing.matrix_world == before and probe.limelight.radius == pytest.approx(0.1)


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_the_ground_is_found_and_put_under_the_camera(shot, tilt):
    depth = floor_depth(shot, 1.5, tilt)
    # A box stands on it: a level top that is not the ground, and walls.
    depth[30:50, 40:60] = np.minimum(depth[30:50, 40:60], 2.2)
    shot.camera.matrix_world = Matrix.Translation((1, 1, 9)) @ Matrix.Rotation(math.radians(90), 4, "X")
    bpy.context.view_layer.update()
    thing = depth_mesh.show(shot, depth)
    bpy.context.view_layer.update()
    assert depth_mesh.snap_to_ground(shot) == pytest.approx(1.5, abs=0.02)
    bpy.context.view_layer.update()
    assert shot.camera.matrix_world.translation.z == pytest.approx(1.5, abs=0.02)
    heights = np.array([(thing.matrix_world @ vertex.co).z for vertex in thing.data.vertices])
    near = np.array([-vertex.co.z < 12 for vertex in thing.data.vertices])
    assert np.median(np.abs(heights[near])) < 0.02
    looks = -shot.camera.matrix_world.to_3x3().col[2]
    assert math.asin(looks.z) == pytest.approx(-tilt, abs=0.02)


def triangles(shape):
    bmesh.ops.triangulate(shape, faces=shape.faces)


def large_faces(shape):
    bmesh.ops.dissolve_faces(shape, faces=shape.faces)


def one_quad(shape):
    shape.clear()
    shape.faces.new([shape.verts.new((x, -2.5, z)) for x, z in ((-3, -2), (3, -2), (3, -9), (-3, -9))])


@pytest.mark.parametrize(("edit", "height"), [(triangles, 1.5), (large_faces, 1.5), (one_quad, 2.5)])
@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
def test_the_ground_of_an_edited_mesh_is_found_whatever_its_faces(shot, edit, height, mode):
    shot.camera.matrix_world = Matrix.Translation((1, 1, 9)) @ Matrix.Rotation(math.radians(90), 4, "X")
    bpy.context.view_layer.update()
    thing = depth_mesh.show(shot, floor_depth(shot))
    bpy.context.view_layer.objects.active = thing
    bpy.ops.object.mode_set(mode="EDIT")
    edit(bmesh.from_edit_mesh(thing.data))
    bmesh.update_edit_mesh(thing.data)
    bpy.ops.object.mode_set(mode=mode)
    bpy.context.view_layer.update()
    assert depth_mesh.snap_to_ground(shot) == pytest.approx(height, abs=0.02)


def keyed(thing):
    thing.keyframe_insert("location", frame=1)


def driven(thing):
    thing.driver_add("rotation_euler", 2)


def constrained(thing):
    thing.constraints.new("LIMIT_LOCATION")


@pytest.mark.parametrize(
    ("name", "hold"), [("Camera", keyed), ("Camera", driven), ("Camera", constrained), ("Probe", keyed)]
)
def test_what_would_not_stay_on_the_ground_is_not_moved(shot, name, hold):
    probes.add_probe(shot, (0, 0, 0), 0.1)
    shot.camera.matrix_world = Matrix.Translation((1, 1, 9)) @ Matrix.Rotation(math.radians(90), 4, "X")
    bpy.context.view_layer.update()
    thing = depth_mesh.show(shot, floor_depth(shot))
    hold(bpy.data.objects[name])
    bpy.context.view_layer.update()
    before = thing.matrix_world.copy()
    with pytest.raises(RuntimeError, match=f"“{name}” would not stay"):
        bpy.ops.limelight.snap_to_ground()
    assert thing.matrix_world == before and shot.camera.matrix_world.translation.z == pytest.approx(9)


def test_without_ground_or_mesh_nothing_moves(shot):
    before = shot.camera.matrix_world.copy()
    with pytest.raises(RuntimeError, match="no depth mesh"):
        bpy.ops.limelight.snap_to_ground()
    depth_mesh.show(shot, np.full((HEIGHT, WIDTH), 4.0, np.float32))
    shot.camera.matrix_world = Matrix.Rotation(math.radians(90), 4, "X")
    depth_mesh.find(shot).matrix_world = shot.camera.matrix_world
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="no level ground"):
        bpy.ops.limelight.snap_to_ground()
    assert shot.camera.matrix_world != before
