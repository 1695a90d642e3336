# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of shots: cameras and ranges added, worked off, tried again, loaded; the file is the command line's too."""

import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from limelight.bridge import JobList
from limelight.operators import engine_session, run_operator, shot_list, state
from limelight.operators.batch_runs import AddShotsRun, WorkListRun
from limelight.panels import batch as batch_panel
from limelight.scene import compat, pixels, renderer
from limelight.tests.addon.ui.stand_in import asked


@pytest.fixture
def file(engine, scene, tmp_path):
    """A saved file with a photo, so that nothing has to be rendered, a probe and two cameras."""
    photo = bpy.data.images.new("photo", 32, 18)
    photo.filepath_raw, photo.file_format = str(tmp_path / "photo.png"), "PNG"
    photo.save()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a ä.blend"))
    scene = bpy.context.scene
    assert bpy.ops.limelight.set_plate(filepath=str(tmp_path / "photo.png"), fov=1.0) == {"FINISHED"}
    other = bpy.data.objects.new("Side", scene.camera.data)
    scene.collection.objects.link(other)
    other.matrix_world = scene.camera.matrix_world
    other.location.x = 0.2
    settings = scene.limelight.frames
    settings.use, settings.own_range, settings.first, settings.last = True, True, 1, 2
    bpy.context.view_layer.update()
    return scene


def rows():
    return [(row.name, row.state) for row in state.seen(bpy.context).job_rows]


def add(scene, first, last):
    scene.limelight.frames.first, scene.limelight.frames.last = first, last
    assert bpy.ops.limelight.batch_add() == {"FINISHED"}


def begin_to_work():
    run = WorkListRun(bpy.context)
    engine_session.begin(run)
    run.capture(bpy.context)
    return run


def test_ranges_and_cameras_are_listed_and_estimated_in_turn(file, tmp_path):
    add(file, 1, 2)
    assert bpy.ops.limelight.batch_add(every_camera=True) == {"FINISHED"}
    names = ["Scene_001 1-2", "Scene_Camera_001 1-2", "Scene_Side_001 1-2"]
    assert rows() == [(name, "queued") for name in names]
    assert bpy.data.objects["Probe"].limelight.environment is None, "adding estimates nothing"
    assert bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert rows() == [(name, "done") for name in names]
    assert "3 of 3 shots are done" in bpy.context.window_manager.limelight.message
    image = bpy.data.objects["Probe"].limelight.environment
    assert "Scene_Side_001" in image.filepath, "the last one's light is in the probe"
    assert bpy.ops.limelight.batch_load(name=names[0]) == {"FINISHED"}
    image = bpy.data.objects["Probe"].limelight.environment
    assert "Scene_001" in image.filepath and tuple(image.limelight.light_frames) == (1, 2)
    tracks = [json.loads(next((tmp_path / "limelight" / f"{n[:-4]}").glob("track*")).read_text()) for n in names]
    assert tracks[0]["frames"] == tracks[1]["frames"] != tracks[2]["frames"]


def test_the_list_is_one_of_the_command_line(file, tmp_path):
    add(file, 1, 2)
    listed = JobList(tmp_path / "limelight" / "shots.jobs")
    (entry,) = listed.entries.values()
    assert entry.kind == "light" and entry.params["out"] == "Scene_001"
    assert Path(listed.params(entry)["track"]).is_file()
    with listed.writer() as writer:
        writer.tell(entry.id, state="failed", text="The photo is one colour.", remedy="Use another.")
    shot_list.refresh(bpy.context)
    assert rows() == [("Scene_001 1-2", "failed")]
    assert state.seen(bpy.context).job_rows[0].text == "The photo is one colour. Use another."


def test_a_listed_shot_has_its_one_depth_file_with_it(file, tmp_path):
    pixels.write(tmp_path / "z.exr", np.full((4, 8), 4.0, np.float32))
    file.limelight.depth_source, file.limelight.depth_file = "FILE", "//z.exr"
    add(file, 1, 2)
    moved = shutil.copytree(tmp_path / "limelight", tmp_path / "farm" / "limelight")
    (tmp_path / "z.exr").unlink()
    listed = JobList(moved / "shots.jobs")
    depth = Path(listed.params(*listed.entries.values())["depth"])
    assert depth.is_relative_to(moved) and pixels.read(depth)[..., 0] == pytest.approx(4.0)


def test_a_list_that_was_thrown_away_begins_anew(file, engine, tmp_path):
    add(file, 1, 2)
    assert bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert rows() == [("Scene_001 1-2", "done")]
    shutil.rmtree(tmp_path / "limelight")
    add(file, 1, 2)
    assert rows() == [("Scene_001 1-2", "queued")]
    assert bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert rows() == [("Scene_001 1-2", "done")]


def test_what_fails_is_told_and_tried_again_and_what_is_left_out_waits(file, engine):
    add(file, 1, 2)
    add(file, 5, 6)
    first, second = (name for name, _ in rows())
    assert bpy.ops.limelight.batch_skip(name=second) == {"FINISHED"}
    engine(fail=["The photo is one colour", "Use another photo"])
    assert bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert rows() == [(first, "failed"), (second, "cancelled")]
    assert f"{first} failed" in bpy.context.window_manager.limelight.message
    with pytest.raises(RuntimeError, match="No shot on the list waits"):
        bpy.ops.limelight.batch_start()
    engine(seconds=0.1)
    for name in (first, second):
        assert bpy.ops.limelight.batch_retry(name=name) == {"FINISHED"}
    assert bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert {what for _, what in rows()} == {"done"}


def test_a_stopped_list_keeps_what_is_done_and_goes_on(file, engine):
    add(file, 1, 2)
    add(file, 5, 6)
    run = WorkListRun(bpy.context)
    engine_session.begin(run)
    engine(seconds=1.0)
    run.capture(bpy.context)
    while run.fraction == 0:
        run.step()
        time.sleep(0.01)
    engine(seconds=20)  # the first took the second before
    while [what for _, what in rows()] != ["done", "running"]:
        run.step()
        time.sleep(0.01)
    run.cancel()
    run.wait()
    assert run_operator._finish(SimpleNamespace(report=lambda *_: None), bpy.context, run) == {"FINISHED"}
    assert [what for _, what in rows()] == ["done", "queued"]
    assert "Stopped: 1 of 2" in bpy.context.window_manager.limelight.message
    assert engine_session.running_run() is None
    engine(seconds=0.1)
    bpy.ops.limelight.batch_start()
    assert [what for _, what in rows()] == ["done", "done"]


def test_one_frame_is_a_shot_too(file):
    file.limelight.frames.use = False
    file.frame_set(9)
    assert bpy.ops.limelight.batch_add() == {"FINISHED"} and bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert rows() == [("Scene_001 9-9", "done")]
    assert asked()["range"] == "9-9"
    assert tuple(bpy.data.objects["Probe"].limelight.environment.limelight.light_frames) == (9, 9)


def test_a_scene_is_listed_as_it_is_at_that_moment(file, tmp_path):
    file.limelight.source, file.world = "SCENE", bpy.data.worlds.new("Sky")
    tree = compat.node_tree(file.world)
    tree.nodes.clear()
    sky, out = tree.nodes.new("ShaderNodeBackground"), tree.nodes.new("ShaderNodeOutputWorld")
    tree.links.new(sky.outputs[0], out.inputs["Surface"])
    file.render.engine, file.cycles.samples, file.render.resolution_percentage = "CYCLES", 1, 50
    for red in (0.25, 0.5, 0.75):
        sky.inputs["Color"].default_value = (red, 0, 0, 1)
        if red < 0.7:
            add(file, 1, 1)
        else:
            # Pictures of a list are not taken for those of an estimate that was broken off, and the other way round.
            assert bpy.ops.limelight.batch_start() == bpy.ops.limelight.estimate() == {"FINISHED"}
            add(file, 1, 1)
    assert rows() == [("Scene_001 1-1", "done"), ("Scene_002 1-1", "done"), ("Scene_004 1-1", "queued")]
    for name, red in (("Scene_001", 0.25), ("Scene_002", 0.5), ("Scene_004", 0.75)):
        (picture,) = (tmp_path / "limelight" / name / "pictures").iterdir()
        assert pixels.read(picture)[..., 0].mean() == pytest.approx(red, rel=0.15)
    assert bpy.ops.limelight.batch_retry(name="Scene_001 1-1") == {"FINISHED"}
    assert bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert {what for _, what in rows()} == {"done"}


def test_the_panel_offers_what_each_state_needs(file, draw):
    add(file, 1, 2)
    drawn = draw(batch_panel.LIMELIGHT_PT_batch)
    assert drawn.operators() == ["limelight.batch_add", "limelight.batch_add", "limelight.batch_start"]
    assert "Estimate 1 Shot" in drawn.texts()
    row = state.seen(bpy.context).job_rows[0]
    wanted = {"queued": ["batch_skip"], "running": [], "done": ["batch_load", "batch_retry"], "failed": ["batch_retry"]}
    for what, buttons in wanted.items():
        row.state = what

        class Line:
            def draw(self, context):
                batch_panel.LIMELIGHT_UL_jobs.draw_item(None, context, self.layout, None, row, 0, None, "")

        assert draw(Line).operators() == [f"limelight.{name}" for name in buttons]


def test_new_names_while_the_list_is_worked_off_lose_nothing(file):
    assert bpy.ops.limelight.batch_add() == {"FINISHED"}
    run, probe = begin_to_work(), bpy.data.objects["Probe"]
    probe.name, file.name = "Vase", "Shot 7"
    run.wait()
    engine_session.end(run)
    assert "1 of 1 shots are done" in run.load(bpy.context)
    run.close()
    assert probe.limelight.environment is not None


@pytest.fixture
def neighbour(file, tmp_path):
    """``neighbour(name)`` saves the file under another name beside it, without what it holds of the list, and goes on
    there."""

    def make(name="b.blend"):
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / name))
        scene = bpy.context.scene
        scene.limelight.frames.listed.clear()
        scene.limelight.tokens.clear()
        return scene

    return make


def test_files_side_by_side_work_off_their_own_shots(file, neighbour, tmp_path):
    add(file, 1, 2)
    theirs = neighbour()
    assert shot_list.refresh(bpy.context) and rows() == []
    with pytest.raises(RuntimeError, match="No shot on the list waits"):
        bpy.ops.limelight.batch_start()
    add(theirs, 5, 6)
    assert bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert "1 of 1 shots are done" in bpy.context.window_manager.limelight.message
    assert tuple(bpy.data.objects["Probe"].limelight.environment.limelight.light_frames) == (5, 6)
    listed = JobList(tmp_path / "limelight" / "shots.jobs")
    assert [entry.state for entry in listed.entries.values()] == ["queued", "done"]


def test_a_file_under_another_name_keeps_its_list_and_sees_nothing_added_by_the_old_one(file, tmp_path):
    add(file, 1, 2)
    for name in ("version 2.blend", "a ä.blend"):
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / name))
        assert rows() == [("Scene_001 1-2", "queued")]
    add(bpy.context.scene, 5, 6)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "version 2.blend"))
    shot_list.refresh(bpy.context)
    assert rows() == [("Scene_001 1-2", "queued")]


def test_a_file_that_was_not_saved_since_finds_its_list_by_its_own_name(file, tmp_path):
    add(file, 1, 2)
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    shot_list.refresh(bpy.context)
    assert rows() == [("Scene_001 1-2", "queued")] and bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert bpy.data.objects["Probe"].limelight.environment is not None


def test_a_list_opened_later_finds_scene_and_probe_by_what_they_are(file):
    add(file, 1, 2)
    probe = bpy.data.objects["Probe"]
    other = probe.copy()
    file.collection.objects.link(other)
    probe.name, other.name, file.name = "Vase", "Probe", "Shot 7"
    probe.name, other.name = "Vase", "Probe"
    bpy.ops.scene.new(type="FULL_COPY")
    copy = bpy.context.scene
    copy.name = "Scene"
    copy.name = "Shot 8"
    bpy.data.scenes.new("Scene")
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert bpy.ops.limelight.batch_start() == {"FINISHED"}
    lit = [thing.name for thing in bpy.data.objects if thing.limelight.environment is not None]
    assert lit == ["Vase"] and "1 of 1 shots are done" in bpy.context.window_manager.limelight.message


def test_every_second_frame_leaves_the_shot_of_every_frame_whole(file):
    add(file, 1, 3)
    file.limelight.frames.step = 2
    add(file, 1, 3)
    assert bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert rows() == [("Scene_001 1-3", "done"), ("Scene_001 1-3x2", "done")]
    frames = [json.loads(path.read_text())["frames"] for path in sorted(Path(bpy.path.abspath("//")).rglob("track_*"))]
    assert [list(found) for found in frames] == [["1", "2", "3"], ["1", "3"]]


def begin_to_add():
    """A run that has looked where the camera goes and has written no frame yet; ``go_on()`` is its next step."""
    run = AddShotsRun(bpy.context, [])
    engine_session.begin(run)
    told = []

    def go_on():
        answer = run_operator._capture(SimpleNamespace(report=lambda *said: told.append(said[-1])), bpy.context, run)
        return told[-1] if answer is False else answer

    assert go_on() is None
    return go_on


def test_frames_are_written_with_the_settings_of_the_start(file, tmp_path):
    file.limelight.plate.pixels[0] = 0.5  # so that it is written, not linked
    go_on = begin_to_add()
    file.limelight.source, file.render.resolution_y = "SCENE", 20
    while go_on() is None:
        assert (file.limelight.source, file.render.resolution_y) == ("SCENE", 20)
    engine_session.abandon()
    assert [path.name for path in sorted(tmp_path.rglob("pictures/*"))] == ["0001.png", "0002.png"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda file: bpy.data.images.remove(file.limelight.plate), "the photo “photo.png” is gone"),
        (lambda file: setattr(file.limelight, "plate", bpy.data.images.new("o", 4, 4)), "is not the photo any more"),
        (lambda file: bpy.data.objects.remove(file.camera), "the scene has no camera any more"),
    ],
)
def test_a_photo_or_camera_that_is_gone_is_a_sentence(file, change, told):
    file.limelight.plate.pixels[0] = 0.5
    go_on = begin_to_add()
    change(file)
    assert told in go_on()


def test_a_camera_that_misses_the_probe_is_named(file):
    file.objects["Side"].rotation_euler = 1.57, 0.0, 3.14
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="behind the camera at 2 frames from 1 to 2 of “Side”"):
        bpy.ops.limelight.batch_add(every_camera=True)


def test_undo_in_between_takes_no_light_from_the_shots_that_are_done(file, engine):
    add(file, 1, 2)
    add(file, 5, 6)
    run = begin_to_work()
    click = SimpleNamespace(_run=run, _captured=True, _ticks=5, report=lambda *_: None)

    def light():
        return bpy.data.objects["Probe"].limelight.environment

    def tick():
        run_operator.RunOperator._advance(click, bpy.context, SimpleNamespace(type="TIMER", value="NOTHING"))
        time.sleep(0.01)

    bpy.ops.ed.undo_push(message="Before")
    while rows()[0][1] != "done":
        tick()
    # Each load is a step of its own: without one, undo would free images that probes still point to.
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="Cube")
    bpy.ops.ed.undo()
    assert light() is not None and "Cube" not in bpy.data.objects
    bpy.ops.ed.undo()
    assert light() is None, "the step before the light"
    while engine_session.running_run() is run:
        tick()
    assert light() is not None


def test_light_waits_until_blender_has_rendered(file, monkeypatch):
    add(file, 1, 2)
    run = begin_to_work()
    monkeypatch.setattr(renderer, "is_busy", lambda: True)
    run.wait()
    assert bpy.data.objects["Probe"].limelight.environment is None
    monkeypatch.setattr(renderer, "is_busy", lambda: False)
    run.step()
    assert bpy.data.objects["Probe"].limelight.environment is not None
    engine_session.end(run)
    run.close()


def test_a_list_that_goes_meanwhile_is_a_sentence(file, tmp_path):
    add(file, 1, 2)
    run = begin_to_work()
    shutil.rmtree(tmp_path / "limelight")
    run.wait()
    assert run_operator._finish(SimpleNamespace(report=lambda *_: None), bpy.context, run) == {"CANCELLED"}
    message = bpy.context.window_manager.limelight.message
    assert "The list ended" in message and "cannot be read" in message and engine_session.running_run() is None


def test_light_whose_files_are_gone_is_a_sentence(file, tmp_path):
    add(file, 1, 2)
    assert bpy.ops.limelight.batch_start() == {"FINISHED"}
    shutil.rmtree(tmp_path / "limelight" / "Scene_001")
    with pytest.raises(RuntimeError, match="its folder “Scene_001” is gone: put it back"):
        bpy.ops.limelight.batch_load(name="Scene_001 1-2")
    count = len(bpy.data.worlds)
    with pytest.raises(RuntimeError, match="could not be read: put its maps back"):
        bpy.ops.limelight.mark_asset()
    assert len(bpy.data.worlds) == count


def test_undo_while_frames_are_written_leaves_the_shot_to_the_file(file, tmp_path):
    bpy.ops.ed.undo_push(message="Before")
    go_on = begin_to_add()
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="Cube")
    bpy.ops.ed.undo()
    while go_on() is None:
        pass
    engine_session.abandon()
    bpy.data.objects["Probe"].name = "Vase"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "version 2.blend"))
    shot_list.refresh(bpy.context)
    assert rows() == [("Scene_001 1-2", "queued")] and bpy.ops.limelight.batch_start() == {"FINISHED"}
    assert bpy.data.objects["Vase"].limelight.environment is not None
