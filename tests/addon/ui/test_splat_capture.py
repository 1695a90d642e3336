# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture This Object and Train as the artist meets them: progress, stop, going on, sentences."""

import json
import os
import time
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from limelight import preferences
from limelight.operators import engine_session, splat_train
from limelight.operators.splat_capture import LIMELIGHT_OT_capture_object, base_folder
from limelight.operators.splat_train import LIMELIGHT_OT_train_splats, result_file
from limelight.panels.splat_capture import LIMELIGHT_PT_splat_capture
from limelight.scene import command, splat_drawing
from limelight.tests.addon import splat_files
from limelight.tests.addon.ui.stand_in import asked


@pytest.fixture
def cube(scene, tmp_path):
    """A selected cube, and settings for a tiny capture into a folder with a space and an umlaut."""
    bpy.ops.mesh.primitive_cube_add(size=1)
    settings = scene.limelight.capture
    settings.folder, settings.views, settings.size, settings.samples = str(tmp_path / "my schöne"), 8, 32, 1
    return bpy.context.object


def test_a_folder_that_takes_no_pictures_is_a_sentence(cube, scene):
    scene.limelight.capture.folder = "/proc/captures"
    with pytest.raises(RuntimeError, match=r"the folder /proc/captures/Cube cannot be written to .*: choose another"):
        bpy.ops.limelight.capture_object()


@pytest.fixture
def photos(engine, scene, tmp_path):
    """A folder of pictures, and the stand-in engine with the splats that it will have learnt."""
    names, values = splat_files.rows(np.eye(3), np.full((3, 3), 0.5), 0.5, 0.1)
    splat_files.write(preferences.ROOT / "answer" / "splats.ply", names, values)
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "transforms.json").write_text("{}")
    scene.limelight.capture.source = str(folder)
    return folder


class Window:
    """Stands in for an operator that was clicked: events as a window would send them."""

    def __init__(self, operator, **properties):
        run = operator.make_run(SimpleNamespace(**properties), bpy.context)
        engine_session.begin(run)
        self.run, self._operator = run, operator
        self._state = SimpleNamespace(_run=run, _captured=False, _ticks=5, report=lambda *_: None)

    def send(self, kind, value="NOTHING"):
        """One event; what the operator answers."""
        return self._operator._advance(self._state, bpy.context, SimpleNamespace(type=kind, value=value))

    def tick(self, until):
        """Ticks until something holds, or for a minute."""
        end = time.monotonic() + 60
        while not until() and time.monotonic() < end:
            self.send("TIMER")


def test_a_click_captures_and_training_finds_the_pictures(cube, scene):
    assert bpy.ops.limelight.capture_object() == {"FINISHED"}
    folder = base_folder(scene, "Cube")
    told = json.loads((folder / "transforms_train.json").read_text())
    assert len(told["frames"]) == 8 and len(list((folder / "test").glob("*.png"))) == 2
    assert scene.limelight.capture.source == str(folder) and scene.limelight.capture.tone == "SRGB"
    assert "10 pictures of “Cube”" in bpy.context.window_manager.limelight.message
    assert bpy.ops.limelight.capture_object() == {"FINISHED"}
    assert scene.limelight.capture.source.endswith("Cube_2")


def test_a_capture_is_found_where_its_project_was_moved_to(cube, scene, tmp_path):
    (tmp_path / "old").mkdir()
    scene.limelight.capture.folder = ""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "old" / "vase.blend"))
    assert bpy.ops.limelight.capture_object() == {"FINISHED"}
    bpy.ops.wm.save_mainfile()
    (tmp_path / "old").rename(tmp_path / "new")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "new" / "vase.blend"))
    assert splat_train.source_of(bpy.context.scene) == tmp_path / "new" / "captures" / "Cube"


def test_a_capture_tells_how_far_it_is_stops_and_goes_on(cube, scene):
    window = Window(LIMELIGHT_OT_capture_object)
    run = window.run
    window.tick(lambda: run.fraction >= 0.3)
    manager = bpy.context.window_manager.limelight
    assert manager.running and manager.stage == "Rendering view 4 of 10" and manager.fraction == pytest.approx(0.3)
    assert run.preview.endswith("view_0002.png") and run.eta > 0
    window.send("ESC", "PRESS")
    assert window.send("TIMER") == {"CANCELLED"} and "the rest is rendered" in manager.message
    folder = base_folder(scene, "Cube")
    first = folder / "train" / "view_0000.png"
    when = first.stat().st_mtime_ns
    assert bpy.ops.limelight.capture_object() == {"FINISHED"}
    assert first.stat().st_mtime_ns == when and (folder / "transforms_train.json").is_file()


def test_an_object_that_goes_away_ends_a_capture_with_a_sentence(cube, scene):
    run = LIMELIGHT_OT_capture_object.make_run(None, bpy.context)
    engine_session.begin(run)
    run.capture(bpy.context)
    bpy.data.objects.remove(cube)
    run.step()
    assert run.over and not run.succeeded and "is gone" in run.error_text
    engine_session.end(run)
    run.close()


def test_nothing_to_capture_is_a_sentence(scene):
    with pytest.raises(RuntimeError, match="Nothing is selected"):
        bpy.ops.limelight.capture_object()
    bpy.ops.object.empty_add()
    with pytest.raises(RuntimeError, match="nothing to capture"):
        bpy.ops.limelight.capture_object()


def test_training_asks_the_engine_and_brings_the_splats_in(photos, scene):
    settings = scene.limelight.capture
    settings.iterations, settings.gaussians, settings.tone = 500, 2000, "ACES"
    assert bpy.ops.limelight.train_splats() == {"FINISHED"}
    params = asked()
    assert params == {"scene": str(photos), "out": str(photos / "splats.ply"), "iterations": 500, "gaussians": 2000,
                     "tone": "aces", "overwrite": False}  # fmt: skip
    thing = bpy.context.object
    assert splat_drawing.is_splats(thing) and thing.name == "photos splats" and thing.rotation_euler.x == 0
    assert "PSNR 31.5 dB" in bpy.context.window_manager.limelight.message
    with pytest.raises(RuntimeError, match="is there already"):
        bpy.ops.limelight.train_splats()
    assert bpy.ops.limelight.train_splats(again=True) == {"FINISHED"}
    assert asked()["overwrite"]
    # Killed before it was noted, a training is still to be finished.
    (photos / "splats.ply.made.json").unlink()
    assert bpy.ops.limelight.train_splats() == {"FINISHED"}


def test_training_shows_psnr_and_pictures_and_can_be_stopped(photos, engine, scene):
    engine(seconds=20)
    window, manager = Window(LIMELIGHT_OT_train_splats, again=False), bpy.context.window_manager.limelight
    window.tick(lambda: window.run.preview and "PSNR" in manager.stage)
    assert manager.running and "PSNR 24.1 dB" in manager.stage
    window.send("ESC", "PRESS")
    window.tick(lambda: not manager.running)
    assert manager.message == "Stopped; Train goes on from here" and not result_file(photos).exists()


def test_what_keeps_a_training_from_starting_is_a_sentence(engine, scene, tmp_path):
    with pytest.raises(RuntimeError, match="no pictures yet"):
        bpy.ops.limelight.train_splats()
    scene.limelight.capture.source = str(tmp_path / "gone")
    with pytest.raises(RuntimeError, match="“gone” is gone"):
        bpy.ops.limelight.train_splats()


def test_pictures_that_are_no_whole_path_start_at_the_file(photos, scene, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    scene.limelight.capture.source, scene.limelight.capture.start = "photos", "start.ply"
    assert bpy.ops.limelight.train_splats() == {"FINISHED"}
    params = asked()
    assert (params["scene"], params["start"]) == (str(photos), str(tmp_path / "start.ply"))


def test_the_panel_offers_both_and_shows_progress(cube, scene, draw):
    shown = draw(LIMELIGHT_PT_splat_capture)
    assert shown.operators() == ["limelight.capture_object", "limelight.train_splats", "limelight.train_splats"]
    manager = bpy.context.window_manager.limelight
    manager.running, manager.kind, manager.stage = True, "splat_train", "Stage 1 of 4, radiance: PSNR 20.0 dB"
    assert "limelight.cancel" in draw(LIMELIGHT_PT_splat_capture).operators()
    manager.running = False


def test_the_command_captures_trains_and_saves(photos, cube, scene, tmp_path, capfd):
    out, saved = tmp_path / "seen", tmp_path / "with splats.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    line = ["capture", "--object", "Cube", "--out", "//seen", "--views", "8", "--size", "32", "--samples", "1"]
    assert command.main(line) == 0 and (out / "transforms_train.json").is_file()
    when = (out / "train" / "view_0000.png").stat().st_mtime_ns
    engine = ["--engine", preferences.addon_preferences(bpy.context).existing_python]
    assert command.main([*line, "--train", str(tmp_path / "cube.ply"), "--save", str(saved), *engine]) == 0
    params = asked()
    assert params["scene"] == str(out) and params["tone"] == "srgb"
    assert (out / "train" / "view_0000.png").stat().st_mtime_ns == when
    bpy.ops.wm.open_mainfile(filepath=str(saved))
    assert splat_drawing.is_splats(bpy.data.objects["cube"])


@pytest.mark.parametrize("changed", [
    ["--object", "None"], ["--views", "3"], ["--lowest", "90"], ["--out", "{full}"],
    ["--train", "a.spz"], ["--train", "a.compressed.ply"],
])  # fmt: skip
def test_a_wrong_command_is_a_line(cube, tmp_path, capfd, changed):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    line = ["capture", "--object", "Cube", "--out", str(tmp_path / "out"), "--size", "32", "--samples", "1"]
    line += [word.format(full=tmp_path / "full") for word in changed]
    assert command.main(line) == 2
    told = capfd.readouterr().err.strip().splitlines()[-1]
    assert told.endswith(".") and "Traceback" not in told
    assert "--train" not in changed or "write the splats to a .ply" in told


@pytest.mark.skipif(os.name == "nt", reason="such folders are there")
def test_a_folder_of_windows_is_a_sentence_elsewhere(cube, scene, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    scene.limelight.capture.folder = "C:\\captures"
    with pytest.raises(RuntimeError, match="is one of Windows: choose one"):
        bpy.ops.limelight.capture_object()
    assert [path.name for path in tmp_path.iterdir()] == ["a.blend"]


def test_a_linked_object_is_captured_rather_than_its_namesake(cube, scene, tmp_path):
    library = str(tmp_path / "set.blend")
    bpy.ops.wm.save_as_mainfile(filepath=library, copy=True)
    cube.location.x = 50
    with bpy.data.libraries.load(library, link=True) as (_there, wanted):
        wanted.objects = ["Cube"]
    (linked,) = wanted.objects
    scene.collection.objects.link(linked)
    cube.select_set(False)
    linked.select_set(True)
    bpy.context.view_layer.objects.active = linked
    assert bpy.ops.limelight.capture_object() == {"FINISHED"}
    told = json.loads((base_folder(scene, "Cube") / "transforms_train.json").read_text())
    assert max(abs(frame["transform_matrix"][0][3]) for frame in told["frames"]) < 10
    picture = bpy.data.images.load(str(base_folder(scene, "Cube") / "train" / "view_0000.png"))
    assert max(picture.pixels[:][3::4]) == 1


def test_an_object_that_is_moved_meanwhile_ends_the_capture_which_goes_on_where_it_was(cube, scene):
    window = Window(LIMELIGHT_OT_capture_object)
    window.tick(lambda: window.run.fraction >= 0.3)
    cube.location.x = 30
    bpy.context.view_layer.update()
    window.tick(lambda: window.run.over)
    assert "moved or changed meanwhile: undo that" in bpy.context.window_manager.limelight.message
    cube.location.x = 0
    bpy.context.view_layer.update()
    assert bpy.ops.limelight.capture_object() == {"FINISHED"} and base_folder(scene, "Cube").is_dir()
    assert not base_folder(scene, "Cube_2").exists()


@pytest.mark.parametrize("kind", ["modifier", "shape key", "edit"])
def test_an_object_that_is_changed_meanwhile_ends_the_capture_too(cube, scene, kind):
    basis, dent = cube.shape_key_add(name="Basis"), cube.shape_key_add(name="Dent")
    dent.data[0].co *= 0.5
    dent.value, cube.active_shape_key_index = 0.0, 0
    window = Window(LIMELIGHT_OT_capture_object)
    window.tick(lambda: window.run.fraction >= 0.1)
    bpy.ops.object.mode_set(mode="EDIT")
    window.tick(lambda: window.run.fraction >= 0.2)
    bpy.ops.object.mode_set(mode="OBJECT")
    cube.hide_set(True)
    window.tick(lambda: window.run.fraction >= 0.3)
    cube.hide_set(False)
    assert not window.run.over
    if kind == "modifier":
        cube.modifiers.new("Round", "BEVEL")
    elif kind == "shape key":
        dent.value = 1.0
    else:
        basis.data[3].co *= 0.5
        cube.data.update()
    bpy.context.view_layer.update()
    window.tick(lambda: window.run.over)
    assert "moved or changed meanwhile: undo that" in bpy.context.window_manager.limelight.message
