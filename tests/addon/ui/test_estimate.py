# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate, run as a click and as a script, against an engine that speaks the wire."""

import contextlib
import json
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from limelight import preferences
from limelight.bridge import setup
from limelight.operators import depth, engine_run, engine_session, engine_work, estimate, run_operator, state, watch
from limelight.operators import engine as engine_operators
from limelight.operators.estimate_run import EstimateRun
from limelight.scene import capture, depth_mesh, renderer, results


def environment_of(name="Probe"):
    """Pixels of a probe's environment, or None."""
    image = bpy.data.objects[name].limelight.environment
    return None if image is None else np.array(image.pixels[:])


def test_the_operator_gives_what_the_plain_call_gives(engine, scene, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    running = engine_session.engine(bpy.context)
    params = capture.capture(bpy.context, folder)
    params.setdefault("out", str(folder / "result"))
    job = running.wait(running.submit("light", params))
    results.load_results(bpy.context.scene, Path(params["out"]), job.result)
    plain, lamps = environment_of(), bpy.data.objects["Probe"].limelight.lamps
    bpy.data.objects["Probe"].limelight.environment = None
    assert bpy.ops.limelight.estimate() == {"FINISHED"}
    assert np.array_equal(environment_of(), plain) and plain.max() > 1
    assert bpy.data.objects["Probe"].limelight.lamps == lamps
    assert "Estimated the light of Probe" in bpy.context.window_manager.limelight.message


def test_the_light_goes_to_the_scene_it_was_estimated_in(engine, scene):
    run = EstimateRun(bpy.context)
    run.capture(bpy.context)
    run.wait()
    with bpy.context.temp_override(scene=bpy.data.scenes.new("Other")):
        assert run.load(bpy.context) == "Estimated the light of Probe"
    run.close()
    assert environment_of().max() > 1


def test_a_probe_may_get_another_name_meanwhile(engine, scene):
    run = EstimateRun(bpy.context)
    run.capture(bpy.context)
    scene.objects["Probe"].name = "Key"
    run.wait()
    assert run.load(bpy.context) == "Estimated the light of Key" and environment_of("Key").max() > 1
    run.close()


def test_a_probe_that_is_gone_meanwhile_is_told(engine, scene):
    run = EstimateRun(bpy.context)
    run.capture(bpy.context)
    bpy.data.objects.remove(scene.objects["Probe"])
    run.wait()
    with pytest.raises(RuntimeError, match="the probes are gone"):
        run.load(bpy.context)
    run.close()


def test_what_was_stored_before_it_failed_is_known_to_undo(engine, scene, monkeypatch):
    bpy.ops.limelight.add_probe(location=(0.5, 0.0, 1.0), radius=0.1)
    bpy.ops.ed.undo_push(message="Probes")
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="Cube")
    load = results.load_image

    def damaged(existing, path, name, *probe):
        if "001" in name:
            raise RuntimeError("a picture is damaged")
        return load(existing, path, name, *probe)

    monkeypatch.setattr(results, "load_image", damaged)
    with pytest.raises(RuntimeError, match="could not be stored: a picture is damaged"):
        bpy.ops.limelight.estimate()
    assert environment_of() is not None
    bpy.ops.ed.undo()
    # Else the probe would point to images that undo has freed, and Blender crash.
    assert environment_of() is None


def test_the_result_survives_without_the_engines_files(engine, scene):
    bpy.ops.limelight.estimate()
    image = bpy.data.objects["Probe"].limelight.environment
    assert image.packed_file is not None or image.packed_files
    assert not list(Path(bpy.app.tempdir).glob("limelight-*"))


def test_what_keeps_another_take_from_starting_is_told_without_a_traceback(scene):
    with pytest.raises(RuntimeError, match="There is no probe yet: add a probe") as told:
        bpy.ops.limelight.estimate_take(take=2)
    assert "Traceback" not in str(told.value)


def test_another_take_is_asked_for_and_the_average_comes_back(engine, scene):
    bpy.ops.limelight.estimate()
    light = bpy.data.objects["Probe"].limelight
    assert tuple(light.spread) == (0.5, 11.0)
    assert bpy.ops.limelight.estimate_take(take=2) == {"FINISHED"}
    assert scene.limelight.take == 2 and light.spread[0] < 0
    engine(fail=["The photo is one colour", "Use another photo"])
    with pytest.raises(RuntimeError, match="one colour"):
        bpy.ops.limelight.estimate_take(take=3)
    assert scene.limelight.take == 2
    engine(seconds=0.1)
    bpy.ops.limelight.estimate_take(take=0)
    assert scene.limelight.take == 0
    assert tuple(light.spread) == (0.5, 11.0)


def test_the_engines_depth_becomes_a_mesh_that_the_estimate_reads(engine, scene):
    with pytest.raises(RuntimeError, match="There is no photo"):
        bpy.ops.limelight.show_depth()
    scene.limelight.source, scene.limelight.plate = "PLATE", bpy.data.images.new("photo", 64, 36)
    run = EstimateRun(bpy.context)
    assert run.stage == "Writing down what the camera sees", "a photo is not rendered"
    run.close()
    assert bpy.ops.limelight.show_depth() == {"FINISHED"}
    assert scene.limelight.depth_source == "GEOMETRY"
    assert "2.0 to 4.0 m" in bpy.context.window_manager.limelight.message
    bpy.data.objects["Floor"].hide_viewport = True
    bpy.context.view_layer.update()
    found = capture.cast_depth(bpy.context, 64, (64, 36))
    assert np.isinf(found[:9]).all() and np.allclose(found[12:], 4.0, rtol=1e-3)


def test_depth_stands_where_the_camera_saw_it_at_the_frame_that_it_is_of(engine, scene, tmp_path):
    camera = scene.camera
    for frame, x in ((1, 0.0), (2, 5.0)):
        camera.location.x = x
        camera.keyframe_insert("location", frame=frame)
    scene.frame_set(1)
    scene.limelight.source, scene.limelight.plate = "PLATE", bpy.data.images.new("photo", 64, 36)
    run = depth.DepthRun(bpy.context)
    run.capture(bpy.context)
    run.wait()
    scene.frame_set(2)
    run.load(bpy.context)
    bpy.context.view_layer.update()
    assert depth_mesh.find(scene).matrix_world.translation.x == 0 and scene.camera == camera
    scene.limelight.plate = bpy.data.images.new("another", 64, 36)
    with pytest.raises(ValueError, match="“photo” is not the photo any more"):
        run.load(bpy.context)
    run.close()


def test_missing_parts_are_told_before_anything_starts(engine, scene):
    scene.camera = None
    with pytest.raises(RuntimeError, match="camera"):
        bpy.ops.limelight.estimate()
    assert not engine_session.is_alive() and environment_of() is None


def test_without_an_engine_the_sentence_says_so(engine, scene):
    preferences.addon_preferences(bpy.context).existing_python = "/nowhere/python"
    with pytest.raises(RuntimeError, match=r"engine's Python is gone: /nowhere/python"):
        bpy.ops.limelight.estimate()
    assert state.seen(bpy.context).problems[0].operator == "limelight.show_preferences"


def test_an_error_of_the_engine_reaches_the_artist_and_changes_nothing(engine, scene):
    engine(fail=["The photo is one colour", "Use another photo"])
    with pytest.raises(RuntimeError, match=r"The photo is one colour\. Use another photo"):
        bpy.ops.limelight.estimate()
    assert environment_of() is None
    engine(seconds=0.1)
    assert bpy.ops.limelight.estimate() == {"FINISHED"}


def test_a_dying_engine_is_told_with_its_last_words_and_starts_again(engine, scene):
    engine(die=True)
    with pytest.raises(RuntimeError, match=r"ended unexpectedly.*out of memory in layer 7"):
        bpy.ops.limelight.estimate()
    engine(seconds=0.1)
    assert bpy.ops.limelight.estimate() == {"FINISHED"} and environment_of() is not None


def test_cancelling_in_the_middle_keeps_everything(engine, scene):
    bpy.ops.limelight.estimate()
    before, names = environment_of(), sorted(bpy.data.images.keys())
    engine(seconds=20)
    run = EstimateRun(bpy.context)
    engine_session.begin(run)
    run.capture(bpy.context)
    while run.fraction < 0.1:
        run.step()
        time.sleep(0.01)
    assert bpy.ops.limelight.cancel() == {"FINISHED"}
    started = time.monotonic()
    run.wait()
    assert run.cancelled and not run.succeeded and time.monotonic() - started < 3
    operator = SimpleNamespace(report=lambda *_: None)
    assert run_operator._finish(operator, bpy.context, run) == {"CANCELLED"}
    assert np.array_equal(environment_of(), before) and sorted(bpy.data.images.keys()) == names
    assert not run.folder.exists() and engine_session.running_run() is None
    engine(seconds=0.1)
    assert bpy.ops.limelight.estimate() == {"FINISHED"}


@pytest.mark.parametrize("stage", ["capture", "step"])
def test_a_defect_leaves_no_estimate_running(engine, scene, monkeypatch, stage):
    def broken(*_):
        raise ImportError("no such module")

    monkeypatch.setattr(EstimateRun, stage, broken)
    engine(seconds=20)
    run, released = EstimateRun(bpy.context), []
    engine_session.begin(run)
    bpy.context.window_manager.limelight.running = True
    operator = ticked(_run=run, _captured=False, _ticks=2, _release=lambda *_: released.append(True))
    with pytest.raises(ImportError):
        operator.modal(bpy.context, SimpleNamespace(type="TIMER", value="NOTHING"))
    assert engine_session.running_run() is None and not run.folder.exists()
    manager = bpy.context.window_manager.limelight
    assert released == [True] and not manager.running and "failed" in manager.message
    with pytest.raises(RuntimeError, match="no such module"):
        bpy.ops.limelight.estimate()
    assert engine_session.running_run() is None and not manager.running


def ticked(**fields):
    """A stand-in for a modal operator's instance."""
    cls = estimate.LIMELIGHT_OT_estimate
    functions = {k: v for part in (run_operator.RunOperator, cls) for k, v in vars(part).items() if callable(v)}
    return type("Ticked", (), {**functions, "report": lambda *_: None, "_release": lambda *_: None, **fields})()


def test_the_modal_ticks_to_the_same_end_and_each_tick_is_short(engine, scene):
    engine(seconds=1.0)
    run = EstimateRun(bpy.context)
    engine_session.begin(run)
    operator = ticked(_run=run, _captured=False, _ticks=0, _timer=None)
    ticks, answer = [], {"RUNNING_MODAL"}
    while answer not in ({"FINISHED"}, {"CANCELLED"}):
        captured = operator._captured
        started = time.thread_time()
        answer = operator.modal(bpy.context, SimpleNamespace(type="TIMER", value="NOTHING"))
        if captured and answer == {"PASS_THROUGH"}:
            ticks.append(time.thread_time() - started)
        time.sleep(0.02)
    assert answer == {"FINISHED"} and environment_of() is not None
    assert len(ticks) > 10 and sorted(ticks)[len(ticks) * 9 // 10] <= 0.005, f"ticks took {ticks} s"


def test_closing_its_window_ends_the_estimate_in_the_others_too(engine, scene):
    engine(seconds=20)
    run = EstimateRun(bpy.context)
    engine_session.begin(run)
    run.capture(bpy.context)
    manager = bpy.context.window_manager.limelight
    manager.running = True
    ticked(_run=run, _captured=True, _ticks=9, _timer=None).cancel(bpy.context)
    assert engine_session.running_run() is None and run.cancelled
    assert (manager.running, manager.message) == (False, "Cancelled; nothing was changed")


def test_what_runs_belongs_to_a_main_window():
    def where(parent):
        overridden = []
        context = SimpleNamespace(
            window=SimpleNamespace(parent=parent),
            temp_override=lambda **given: overridden.append(given) or contextlib.nullcontext(),
        )
        with run_operator.lasting_window(context):
            return overridden

    assert where(None) == [] and where("main") == [{"window": "main"}], "the preferences may be closed"


def test_a_click_waits_until_blender_has_rendered(engine, scene, monkeypatch):
    run = EstimateRun(bpy.context)
    engine_session.begin(run)
    operator = ticked(_run=run, _captured=False, _ticks=5, _timer=None)

    def tick(busy):
        monkeypatch.setattr(renderer, "is_busy", lambda: busy)
        return operator.modal(bpy.context, SimpleNamespace(type="TIMER", value="NOTHING"))

    assert tick(True) == {"PASS_THROUGH"} and not operator._captured
    assert "Waiting until Blender" in bpy.context.window_manager.limelight.stage
    assert tick(False) == {"PASS_THROUGH"} and operator._captured
    run.wait()
    assert tick(True) == {"PASS_THROUGH"} and environment_of() is None
    assert tick(False) == {"FINISHED"} and environment_of() is not None


def test_a_second_render_is_refused(engine, scene, monkeypatch):
    monkeypatch.setattr(renderer, "is_busy", lambda: True)
    with pytest.raises(RuntimeError, match="Blender renders just now: wait"):
        bpy.ops.limelight.estimate()


def test_loading_a_file_ends_the_estimate(engine, scene, tmp_path):
    engine(seconds=20)
    run = EstimateRun(bpy.context)
    engine_session.begin(run)
    run.capture(bpy.context)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other.blend"), copy=True)
    bpy.context.window_manager.limelight.running = True
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "other.blend"), load_ui=False)
    assert not bpy.context.window_manager.limelight.running
    assert engine_session.running_run() is None and run.cancelled and not run.folder.exists()
    operator = ticked(_run=run, _captured=True, _ticks=9, _timer=None)
    assert operator.modal(bpy.context, SimpleNamespace(type="TIMER", value="NOTHING")) == {"CANCELLED"}


def test_a_file_that_cannot_be_read_leaves_the_estimate_running(engine, scene, tmp_path):
    run = EstimateRun(bpy.context)
    engine_session.begin(run)
    run.capture(bpy.context)
    (tmp_path / "damaged.blend").write_bytes(b"BLENDER-v500" + b"damaged" * 1000)
    for name in ("damaged.blend", "none.blend"):
        with pytest.raises(RuntimeError):
            bpy.ops.wm.open_mainfile(filepath=str(tmp_path / name))
    assert engine_session.running_run() is run
    run.wait()
    assert run_operator._finish(SimpleNamespace(report=lambda *_: None), bpy.context, run) == {"FINISHED"}
    assert environment_of() is not None


def test_a_second_estimate_is_refused_while_one_runs(engine, scene):
    run = EstimateRun(bpy.context)
    engine_session.begin(run)
    try:
        with pytest.raises(RuntimeError, match="running already"):
            bpy.ops.limelight.estimate()
    finally:
        engine_session.end(run)
        run.close()


def test_without_room_for_temporary_files_the_sentence_says_where_to_look(engine, scene, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine_run.tempfile, "mkdtemp", full)
    with pytest.raises(RuntimeError, match=r"No space left.*File Paths > Temporary Files"):
        bpy.ops.limelight.estimate()
    assert engine_session.running_run() is None


def test_a_python_that_does_not_suit_is_refused_before_anything_is_made(scene, tmp_path, monkeypatch):
    stored = preferences.addon_preferences(bpy.context)
    monkeypatch.setattr(engine_operators, "network_refusal", lambda: "")
    stored.environment = str(tmp_path / "own")
    old = tmp_path / "python3.9"
    old.write_text(f"#!/bin/sh\necho 3.9.1\necho {old}\n")
    old.chmod(0o755)
    try:
        for path, words in ((old, r"is Python 3\.9\.1: choose one from 3\.11"), (tmp_path, "choose another")):
            stored.chosen_python = str(path)
            with pytest.raises(RuntimeError, match=words):
                bpy.ops.limelight.setup_engine()
            assert not (tmp_path / "own").exists()
    finally:
        stored.environment = stored.chosen_python = ""


def test_verifying_stores_the_devices_and_tells_problems(engine, scene):
    stored = preferences.addon_preferences(bpy.context)
    assert bpy.ops.limelight.doctor() == {"FINISHED"}
    assert json.loads(stored.doctor_report)["devices"][0]["memory_gb"] == 8.0
    assert "The engine works" in state.get(bpy.context).setup_message
    engine(problems=["The package scipy is missing."])
    assert bpy.ops.limelight.doctor() == {"FINISHED"}
    assert state.get(bpy.context).setup_failed and "scipy" in state.get(bpy.context).setup_message
    stored.doctor_report = ""


def test_setting_up_asks_for_the_network_first_and_names_the_setting(scene, monkeypatch, tmp_path):
    stored = preferences.addon_preferences(bpy.context)
    stored.environment = str(tmp_path / "own")
    monkeypatch.setattr(engine_operators, "network_refusal", lambda: "Preferences > System > Network")
    with pytest.raises(RuntimeError, match="System > Network"):
        bpy.ops.limelight.setup_engine()
    assert not (tmp_path / "own").exists() and not state.get(bpy.context).setup_running
    stored.environment = ""


def test_offline_blender_refuses_the_network_with_the_setting_that_allows_it():
    # The bpy module starts offline, as a fresh Blender does.
    assert bpy.app.online_access is False
    assert "Allow Online Access" in engine_operators.network_refusal()


def test_pythons_of_the_same_version_are_told_apart(scene, monkeypatch, tmp_path):
    found = [(tmp_path / "a" / "python3.13", "3.13.1"), (tmp_path / "b" / "python3.13", "3.13.1")]
    found.append((tmp_path / "b" / "python3.11", "3.11.9"))
    monkeypatch.setattr(setup, "find_pythons", lambda: found)
    assert bpy.ops.limelight.find_pythons() == {"FINISHED"}
    stored = preferences.addon_preferences(bpy.context)
    items = preferences._list_pythons(stored, bpy.context)[1:]
    assert [item[0] for item in items] == [str(path) for path, _version in found]
    assert [item[1] for item in items] == [
        f"Python 3.13.1 in {tmp_path / 'a'}", f"Python 3.13.1 in {tmp_path / 'b'}", "Python 3.11.9"
    ]  # fmt: skip
    assert stored.base_python == items[0][0]
    stored.found_pythons = ""


def test_setting_up_and_removing_an_engine(scene, monkeypatch, tmp_path):
    stored = preferences.addon_preferences(bpy.context)
    folder = tmp_path / "own engine"
    stored.engine_source, stored.environment, stored.chosen_python = "OWN", str(folder), sys.executable
    bare = tmp_path / "requirements.txt"
    bare.write_text("# nothing to download")
    monkeypatch.setattr(engine_operators, "network_refusal", lambda: "")
    whole = setup.SetUp
    monkeypatch.setattr(setup, "SetUp", lambda python, environment: whole(python, environment, bare))
    try:
        assert preferences.settings(bpy.context).python is None
        assert bpy.ops.limelight.setup_engine() == {"FINISHED"}
        assert preferences.settings(bpy.context).python.is_file()
        assert not [p for p in state.seen(bpy.context).problems if "engine" in p.text]
        assert bpy.ops.limelight.remove_engine() == {"FINISHED"}
        assert not folder.exists() and preferences.settings(bpy.context).python is None
        folder.mkdir()
        (folder / "work.blend").write_text("an artist's file")
        with pytest.raises(RuntimeError, match="not made by Limelight"):
            bpy.ops.limelight.remove_engine()
        assert (folder / "work.blend").is_file()
    finally:
        stored.environment = stored.chosen_python = ""


def test_a_set_up_goes_on_when_another_file_is_opened(scene):
    ended = []
    work = SimpleNamespace(over=True, error="", fraction=0.5, stage="Downloading", cancel=lambda: ended.append(work))
    operator = SimpleNamespace(bl_idname="LIMELIGHT_OT_setup_engine", _work=work, _timer=None)
    manager = SimpleNamespace(event_timer_remove=lambda timer: None)
    watch._on_load()
    engine_operators._SteppedOperator.cancel(operator, SimpleNamespace(window_manager=manager))
    watch._on_loaded()
    assert bpy.app.timers.is_registered(engine_work._resume)
    engine_work._resume()
    assert not ended and "is set up" in state.get(bpy.context).setup_message


def test_the_engine_is_shared_and_ends_with_the_session(engine, scene):
    first = engine_session.engine(bpy.context)
    first.start()
    assert engine_session.engine(bpy.context) is first and engine_session.is_alive()
    threads = threading.active_count()
    engine_session.stop()
    assert not first.alive and not engine_session.is_alive() and threading.active_count() <= threads
