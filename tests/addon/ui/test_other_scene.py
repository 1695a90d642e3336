# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs belongs to the scene and the objects that it began with, wherever the artist looks and works meanwhile."""

import json
import time
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from limelight import preferences
from limelight.operators import engine_session, run_operator
from limelight.operators.batch_runs import AddShotsRun
from limelight.operators.estimate_frames_run import EstimateFramesRun
from limelight.operators.splat_capture import CaptureRun
from limelight.operators.splat_import_run import SplatRun
from limelight.operators.splat_relight import ProxyRun
from limelight.scene import compat, pixels, shot, splat_drawing
from limelight.tests.addon import splat_files
from limelight.tests.addon.ui.stand_in import asked

TELL = SimpleNamespace(report=lambda *_: None)


def sky(scene, red):
    """Light a scene by one colour."""
    scene.world = bpy.data.worlds.new("Sky")
    tree = compat.node_tree(scene.world)
    tree.nodes.clear()
    shown, out = tree.nodes.new("ShaderNodeBackground"), tree.nodes.new("ShaderNodeOutputWorld")
    shown.inputs["Color"].default_value = (red, 0, 0, 1)
    tree.links.new(shown.outputs[0], out.inputs["Surface"])


@pytest.fixture
def other(engine, scene, camera, tmp_path):
    """The scene saved, rendered quickly in red light, and another one, green: ``other()`` opens that in the window."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "two.blend"))
    scene.limelight.source, scene.frame_end = "SCENE", 2
    scene.limelight.frames.use = True
    sky(scene, 0.5)
    second = bpy.data.scenes.new("Second")
    second.render.resolution_x, second.render.resolution_y = 64, 36
    second.camera = bpy.data.objects.new("Eye", camera.data)
    second.collection.objects.link(second.camera)
    sky(second, 0.0)

    def show(name="Second"):
        bpy.context.window_manager.windows[0].scene = bpy.data.scenes[name]
        assert bpy.context.scene.name == name

    return show


def message():
    """What the panels tell of the last run."""
    return bpy.context.window_manager.limelight.message


def finish(run, captured=None):
    """Play a run on to its end, as the window does."""
    while captured is None:
        captured = run_operator._capture(TELL, bpy.context, run)
    if not captured:
        return {"CANCELLED"}
    while not run.over:
        run.step()
        time.sleep(0.01)
    return run_operator._finish(TELL, bpy.context, run)


@pytest.mark.parametrize("kind", [EstimateFramesRun, lambda context: AddShotsRun(context, ["Camera"])])
def test_frames_are_those_of_the_scene_that_the_run_began_in(other, kind, tmp_path):
    scene = bpy.context.scene
    run = kind(bpy.context)
    engine_session.begin(run)
    assert run_operator._capture(TELL, bpy.context, run) is None
    other()
    scene.name, scene.camera.name = "Renamed", "Renamed eye"
    while run_operator._capture(TELL, bpy.context, run) is None:
        assert bpy.context.scene.name == "Second"
    engine_session.abandon()
    pictures = sorted((tmp_path / "limelight").rglob("pictures/*.exr"))
    assert [path.stem for path in pictures] == ["0001", "0002"]
    assert all(pixels.read(path)[..., 0].max() > 0.1 for path in pictures), "the scene's own red light"


def test_frames_are_seen_from_where_the_camera_stood(other, camera, tmp_path):
    mesh = bpy.data.meshes.new("Wall")
    mesh.from_pydata([(-9, 5, -9), (9, 5, -9), (9, 5, 9), (-9, 5, 9)], [], [(0, 1, 2, 3)])
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Black wall", mesh))
    run = EstimateFramesRun(bpy.context)
    engine_session.begin(run)
    assert run_operator._capture(TELL, bpy.context, run) is None
    camera.rotation_euler.x, camera.data.lens = 3.0, 10.0
    while run_operator._capture(TELL, bpy.context, run) is None:
        pass
    engine_session.abandon()
    pictures = list(tmp_path.rglob("pictures/*.exr"))
    assert len(pictures) == 2
    assert all(pixels.read(path)[0, :, 0].max() < 0.45 for path in pictures), "the wall, which hides the sky"
    assert (bpy.context.scene.camera, camera.data.lens) == (camera, 10.0) and len(bpy.data.cameras) == 1


def test_one_estimate_has_one_pose_whatever_is_moved_while_frames_are_looked_at(other, camera, tmp_path, monkeypatch):
    monkeypatch.setattr(shot, "_STRETCH", 0.0)
    rig, scene, probe = bpy.data.objects.new("Rig", None), bpy.context.scene, bpy.data.objects["Probe"]
    scene.collection.objects.link(rig)
    camera.parent = rig
    camera.keyframe_insert("location", index=2, frame=1)
    run = EstimateFramesRun(bpy.context)
    engine_session.begin(run)
    assert run_operator._capture(TELL, bpy.context, run) is None
    assert run.stage == "Looking where camera and probes go"
    rig.location.x, camera.rotation_euler.x, camera.data.lens, probe.location.y = 3.0, 3.0, 10.0, 2.0
    scene.camera = None
    while run_operator._capture(TELL, bpy.context, run) is None:
        pass
    assert (rig.location.x, camera.data.lens, probe.location.y, scene.camera) == (3.0, 10.0, 2.0, None)
    engine_session.abandon()
    (track,) = (tmp_path / "limelight").rglob("track_*.json")
    first, second = json.loads(track.read_text())["frames"].values()
    assert first == second and first["camera_to_world"][0][3] == 0.0


def test_probes_are_found_by_their_new_names_and_settings_are_those_of_the_start(other):
    scene, probe = bpy.context.scene, bpy.data.objects["Probe"]
    scene.limelight.quality = "DRAFT"
    run = EstimateFramesRun(bpy.context)
    engine_session.begin(run)
    assert run_operator._capture(TELL, bpy.context, run) is None
    probe.name, scene.limelight.quality = "Table", "HIGH"
    assert finish(run) == {"FINISHED"}
    assert probe.limelight.environment.name == "Table light" and "light of Table" in message()
    params = asked()
    assert (params["quality"], params["probes"]) == ("draft", [{"name": "Probe"}])


@pytest.mark.parametrize(("blocks", "told"), [("objects", "the probes are gone"), ("scenes", "“Scene” is gone")])
def test_probes_or_a_scene_that_are_gone_are_a_sentence(other, blocks, told):
    gone = {"objects": bpy.data.objects["Probe"], "scenes": bpy.context.scene}[blocks]
    run = EstimateFramesRun(bpy.context)
    engine_session.begin(run)
    assert run_operator._capture(TELL, bpy.context, run) is None
    other()
    getattr(bpy.data, blocks).remove(gone)
    assert finish(run) == {"CANCELLED"}
    assert told in message() and engine_session.running_run() is None


@pytest.fixture
def packed(other, tmp_path):
    """Splats that only the engine reads, with the stand-in's answers about splats."""
    names, values = splat_files.rows(np.eye(3), np.full((3, 3), 0.5), 0.5, 0.1)
    splat_files.write(preferences.ROOT / "answer" / "splats.ply", names, values)
    points, faces = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    splat_files.write_mesh(preferences.ROOT / "answer" / "proxy.ply", points, faces)
    (tmp_path / "packed.spz").write_bytes(b"packed")
    return tmp_path / "packed.spz"


def edit(name):
    """Add a cube to the scene of the window and go into its Edit Mode."""
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.name = name
    bpy.ops.object.mode_set(mode="EDIT")
    return bpy.context.object


@pytest.mark.parametrize("elsewhere", [True, False])
def test_splats_come_into_their_scene_and_leave_an_edited_object_in_its_mode(packed, other, elsewhere):
    scene = bpy.context.scene
    run = SplatRun(bpy.context, [packed], {}, "AUTO")
    engine_session.begin(run)
    if elsewhere:
        other()
    cube = edit("Edited")
    assert finish(run) == {"FINISHED"}
    (thing,) = (found for found in bpy.data.objects if splat_drawing.is_splats(found))
    assert list(thing.users_scene) == [scene] and scene.cycles.transparent_max_bounces >= 1024
    assert bpy.context.mode == "EDIT_MESH" and bpy.context.view_layer.objects.active == cube
    assert scene.view_layers[0].objects.active == (thing if elsewhere else cube)


def test_a_shadow_mesh_finds_splats_with_a_new_name_in_another_scene(packed, other):
    scene = bpy.context.scene
    assert bpy.ops.limelight.import_splats(filepath=str(packed)) == {"FINISHED"}
    thing = bpy.context.view_layer.objects.active
    run = ProxyRun(bpy.context, thing.name, 16)
    engine_session.begin(run)
    thing.name = "Vase"
    other()
    cube = edit("Edited")
    assert finish(run) == {"FINISHED"} and "shadows of “Vase”" in message()
    (proxy,) = thing.children
    assert list(proxy.users_scene) == [scene]
    assert bpy.context.mode == "EDIT_MESH" and bpy.context.view_layer.objects.active == cube


def test_splats_that_are_gone_get_no_shadow_mesh_but_a_sentence(packed):
    assert bpy.ops.limelight.import_splats(filepath=str(packed)) == {"FINISHED"}
    thing = bpy.context.view_layer.objects.active
    run = ProxyRun(bpy.context, thing.name, 16)
    engine_session.begin(run)
    assert run_operator._capture(TELL, bpy.context, run) is True
    bpy.data.objects.remove(thing)
    assert finish(run, captured=True) == {"CANCELLED"} and message() == "the cloud of splats “packed” is gone"


def test_a_capture_goes_on_with_what_got_another_name(other, tmp_path):
    scene, settings = bpy.context.scene, bpy.context.scene.limelight.capture
    settings.folder, settings.views, settings.size, settings.samples = str(tmp_path / "captures"), 8, 32, 1
    bpy.ops.mesh.primitive_cube_add(size=1)
    cube = bpy.context.object
    run = CaptureRun(bpy.context, [cube])
    engine_session.begin(run)
    assert run_operator._capture(TELL, bpy.context, run) is True
    scene.name, cube.name = "Renamed", "Vase"
    other()
    assert finish(run, captured=True) == {"FINISHED"}
    assert bpy.path.abspath(scene.limelight.capture.source) == str(tmp_path / "captures" / "Cube")


def test_a_crop_box_leaves_edited_splats_in_reach(packed):
    assert bpy.ops.limelight.import_splats(filepath=str(packed)) == {"FINISHED"}
    thing = bpy.context.view_layer.objects.active
    bpy.ops.object.mode_set(mode="EDIT")
    assert bpy.ops.limelight.crop_splats() == {"FINISHED"}
    assert bpy.context.mode == "EDIT_MESH" and bpy.context.view_layer.objects.active == thing
