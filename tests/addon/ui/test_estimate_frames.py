# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate over frames: what the engine is asked, how it goes on after a break, what it leaves in the file."""

import errno
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest
from limelight.operators import engine_session, estimate, run_operator, watch
from limelight.operators.estimate_frames_run import EstimateFramesRun
from limelight.panels import frames
from limelight.scene import problems, shot_folder, shot_range
from limelight.tests.addon.ui.stand_in import asked


def shoot(folder, numbers, size=(32, 18)):
    """Numbered pictures."""
    for number in numbers:
        image = bpy.data.images.new("frame", *size)
        image.generated_color = (number / 20, 0.5, 0.5, 1.0)
        image.filepath_raw, image.file_format = str(folder / f"shot_{number:04d}.png"), "PNG"
        image.save()
        bpy.data.images.remove(image)
    return folder / f"shot_{numbers[0]:04d}.png"


@pytest.fixture
def moving(engine, scene, tmp_path):
    """A saved file with a sequence behind a tracked camera and a probe that moves, frames 3 to 6."""
    first = shoot(tmp_path, range(3, 8))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot ä.blend"))
    scene = bpy.context.scene
    assert bpy.ops.limelight.set_plate(filepath=str(first), fov=1.0) == {"FINISHED"}
    scene.limelight.plate.source = "SEQUENCE"
    camera, probe = scene.camera, bpy.data.objects["Probe"]
    for frame in (3, 6):
        camera.location.x, probe.location.x = 0.1 * frame, 0.2 * frame
        camera.keyframe_insert("location", frame=frame)
        probe.keyframe_insert("location", frame=frame)
    scene.frame_start, scene.frame_end = 3, 6
    scene.frame_set(4)
    scene.limelight.frames.use = True
    return scene


def test_every_frame_has_its_picture_camera_and_probe(moving, tmp_path):
    assert bpy.ops.limelight.estimate() == {"FINISHED"}
    params, folder = asked(), tmp_path / "limelight" / "Scene_001"
    assert params["range"] == "3-6" and params["out"] == str(folder) and params["depth"] is None
    assert params["probes"] == [{"name": "Probe"}]
    track = json.loads(Path(params["track"]).read_text())["frames"]
    assert sorted(track) == ["3", "4", "5", "6"]
    for number, entry in track.items():
        moving.frame_set(int(number))
        where = entry["probes"]["Probe"]["position_world"]
        assert where == pytest.approx(list(bpy.data.objects["Probe"].matrix_world.translation), abs=1e-5)
        assert [row[3] for row in entry["camera_to_world"][:3]] == pytest.approx(list(moving.camera.location), abs=1e-5)
        assert (entry["camera"]["width"], entry["camera"]["height"]) == (32, 18)
    assert track["3"]["camera_to_world"] != track["6"]["camera_to_world"]
    light = bpy.data.objects["Probe"].limelight
    assert light.environment.source == "SEQUENCE" and tuple(light.environment.limelight.light_frames) == (3, 6)
    assert light.environment.filepath.startswith("//")
    assert "in 4 frames" in bpy.context.window_manager.limelight.message
    assert not (folder / "pictures").exists(), "what was given to the engine is not kept"


def test_the_frame_stays_where_the_artist_left_it(moving):
    camera = moving.camera
    other = bpy.data.objects.new("Other", camera.data)
    moving.collection.objects.link(other)
    other.matrix_world = camera.matrix_world
    other.location.z += 0.1
    moving.timeline_markers.new("start", frame=1).camera = camera
    moving.timeline_markers.new("cut", frame=5).camera = other
    bpy.ops.limelight.estimate()
    assert moving.frame_current == 4 and moving.camera == camera
    track = json.loads(Path(asked()["track"]).read_text())["frames"]
    heights = [track[number]["camera_to_world"][2][3] for number in "3456"]
    assert heights == pytest.approx([1.0, 1.0, 1.1, 1.1]), "each frame is seen by its own camera"


def test_world_and_lamps_follow_the_frames(moving):
    bpy.ops.limelight.estimate()
    assert bpy.ops.limelight.apply_lamps() == {"FINISHED"}
    (lamp,) = [o for o in moving.objects if o.type == "LIGHT"]
    for frame in (3, 6):
        moving.frame_set(frame)
        assert lamp.data.energy == pytest.approx(3.0 * frame)
    users = [n.image_user for n in moving.world.node_tree.nodes if n.type == "TEX_ENVIRONMENT"]
    assert {(u.frame_start, u.frame_duration, u.frame_offset, u.use_cyclic) for u in users} == {(3, 4, 2, False)}


def test_a_broken_run_goes_on_in_its_folder_and_another_shot_gets_its_own(moving, engine, draw, tmp_path):
    engine(seconds=20)
    run = EstimateFramesRun(bpy.context)
    engine_session.begin(run)
    while not run.gather(bpy.context):
        pass
    run.capture(bpy.context)
    folder = tmp_path / "limelight" / "Scene_001"
    while run.fraction < 0.1:
        run.step()
        time.sleep(0.01)
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "pictures").iterdir()}
    assert sorted(before) == [f"000{n}.png" for n in range(3, 7)]
    run.cancel()
    run.wait()
    assert run_operator._finish(SimpleNamespace(report=lambda *_: None), bpy.context, run) == {"CANCELLED"}
    assert (folder / "pictures").is_dir() and bpy.data.objects["Probe"].limelight.environment is None
    (folder / "frames").mkdir()
    (folder / "frames" / "0003.json").write_text("{}")
    (folder / "unfinished").mkdir()
    for name in ("0003.json", "0004.json"):
        (folder / "unfinished" / name).write_text("{}")
    assert shot_range.progress(moving, tmp_path / "limelight") == (1, 1, 4)
    watch.refresh(bpy.context)
    drawn = " ".join(draw(frames.LIMELIGHT_PT_frames).texts())
    assert "1 of 4 frames are done, 1 more are painted" in drawn
    engine(seconds=0.1)
    bpy.ops.limelight.estimate()
    assert asked()["out"] == str(folder)
    moving.limelight.quality = "DRAFT"
    bpy.ops.limelight.estimate()
    assert asked()["out"] == str(folder.with_name("Scene_002"))
    moving.frame_end = 7
    bpy.ops.limelight.estimate()
    assert asked()["out"] == str(folder.with_name("Scene_002")), "a longer range goes on where it was"
    bpy.ops.limelight.estimate(anew=True)
    assert asked()["out"] == str(folder.with_name("Scene_003"))
    bpy.data.objects["Probe"].limelight.radius *= 0.9
    bpy.ops.limelight.estimate()
    assert asked()["out"] == str(folder.with_name("Scene_004")), "another probe"


def test_a_picture_that_changed_makes_another_shot(moving, tmp_path):
    bpy.ops.limelight.estimate()
    shoot(tmp_path, [5])
    bpy.ops.limelight.estimate()
    assert Path(asked()["out"]).name == "Scene_002"


def test_files_in_one_folder_go_on_with_their_own_shots(moving, tmp_path):
    """Two .blend files side by side, as artists keep shots, share the folder and the scene's usual name."""
    camera, out = moving.camera.data, []
    for angle in (0.9, 1.1, 0.9, 1.1):
        camera.angle = angle
        bpy.ops.limelight.estimate()
        out.append(Path(asked()["out"]).name)
        watch.refresh(bpy.context)
    assert out == ["Scene_001", "Scene_002"] * 2
    camera.angle, moving.frame_end = 0.9, 5
    bpy.ops.limelight.estimate()
    (tmp_path / "limelight" / "Scene_001" / "frames" / "0003.json").unlink()
    assert shot_range.progress(moving, tmp_path / "limelight") == (3, 0, 4)


def test_a_render_of_the_scene_is_taken_anew_each_time(moving):
    moving.limelight.source = "SCENE"
    moving.world = bpy.data.worlds.new("Sky")
    moving.render.resolution_percentage = 50
    moving.frame_end = 4
    bpy.ops.limelight.estimate()
    params = asked()
    assert params["images"][0].endswith("####.exr") and params["depth"].endswith("depths/####.exr")
    bpy.ops.limelight.estimate()
    assert asked()["out"] != params["out"]


def test_what_is_wrong_is_told_with_its_frames_before_the_engine_starts(moving):
    probe = bpy.data.objects["Probe"]
    probe.location.x = 50
    probe.keyframe_insert("location", frame=6)
    with pytest.raises(RuntimeError, match=r"Probe is outside the picture at 3 frames from 4 to 6"):
        bpy.ops.limelight.estimate()
    assert not engine_session.is_alive() and engine_session.running_run() is None


def told():
    return [(p.text, p.operator_idname, p.properties) for p in problems.find_problems(bpy.context)]


def test_ranges_that_cannot_be_are_repaired_by_a_button(moving):
    assert told() == []
    moving.frame_end = 9
    ((text, _name, repair),) = told()
    assert "has no frame 9, it has 3 to 7" in text
    bpy.ops.limelight.repair(**repair)
    assert moving.frame_end == 7 and told() == []
    settings = moving.limelight.frames
    settings.own_range, settings.first, settings.last = True, 6, 5
    ((text, _name, repair),) = told()
    assert "comes before" in text
    bpy.ops.limelight.repair(**repair)
    assert told() == [] and not settings.own_range


@pytest.mark.parametrize(
    ("folder", "place"),
    [("", "limelight"), ("//light\\v2", "light/v2"), ("maps", "maps"), ("~2/maps", "~2/maps")],
)
def test_a_folder_that_is_no_whole_path_starts_at_the_file(moving, tmp_path, monkeypatch, folder, place):
    monkeypatch.chdir("/")
    moving.limelight.frames.folder = folder
    bpy.ops.limelight.estimate()
    assert asked()["out"] == str(tmp_path / place / "Scene_001")


@pytest.mark.parametrize("folder", ["C:\\shots\\light", "//photo.txt/light"])
def test_a_folder_that_cannot_be_is_told_with_a_button(moving, tmp_path, folder):
    (tmp_path / "photo.txt").write_text("")
    moving.limelight.frames.folder = folder
    ((text, _name, repair),) = told()
    assert f"“{folder}”" in text
    bpy.ops.limelight.repair(**repair)
    assert told() == [] and moving.limelight.frames.folder == "//limelight"


def test_a_folder_that_cannot_be_written_to_is_a_sentence(moving):
    moving.limelight.frames.folder = "/proc/light"
    with pytest.raises(RuntimeError, match=r"the folder /proc/light cannot be written to .*: choose another"):
        bpy.ops.limelight.estimate()


def test_a_drive_that_is_read_only_is_a_sentence(moving, monkeypatch):
    def refuse(*_args, **_keywords):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(shot_folder, "_choose", refuse)
    with pytest.raises(RuntimeError, match=r"cannot be written to \(Read-only file system\): choose another"):
        bpy.ops.limelight.estimate()


def test_an_unsaved_file_has_no_place_for_sequences(engine, scene):
    scene.limelight.frames.use = True
    ((text, operator, _),) = told()
    assert "not saved" in text and operator == "wm.save_as_mainfile"
    with pytest.raises(RuntimeError, match="not saved yet"):
        bpy.ops.limelight.estimate()


def test_the_modal_writes_frames_down_in_short_ticks(moving, engine):
    engine(seconds=0.3)
    run = EstimateFramesRun(bpy.context)
    engine_session.begin(run)
    cls = estimate.LIMELIGHT_OT_estimate
    functions = {k: v for part in (run_operator.RunOperator, cls) for k, v in vars(part).items() if callable(v)}
    fields = {"_run": run, "_captured": False, "_ticks": 0, "_timer": None, "_release": lambda *_: None}
    operator = type("Ticked", (), {**functions, "report": lambda *_: None, **fields})()
    stages, answer = [], set()
    while answer not in ({"FINISHED"}, {"CANCELLED"}):
        answer = operator.modal(bpy.context, SimpleNamespace(type="TIMER", value="NOTHING"))
        stages.append(bpy.context.window_manager.limelight.stage)
        assert moving.frame_current == 4
        time.sleep(0.01)
    assert answer == {"FINISHED"} and {"Writing down frame 4", "Writing down frame 6"} <= set(stages)
    assert shot_folder.newest(Path(bpy.path.abspath("//limelight")), "Scene") is not None
