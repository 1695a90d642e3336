# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's command line: ``blender -b FILE --command limelight light …``, run as Blender runs it."""

import sys

import bpy
import pytest
from limelight import preferences
from limelight.scene import command

RENDER = ("--apply", "world", "--engine", sys.executable, "--render")


def test_the_documented_line_lights_and_renders_and_leaves_the_output_settings(engine, scene, tmp_path):
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.filepath, scene.render.image_settings.file_format = "//mine_", "PNG"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot ä.blend"))
    scene = bpy.context.scene
    saved = tmp_path / "lit.blend"
    line = ["light", "--probe", "all", *RENDER, "//out_####.exr", "--save", "//lit.blend"]
    assert command.main(line) == 0
    assert (tmp_path / "out_0001.exr").is_file() and scene.world.limelight.probe == "Probe"
    assert scene.render.filepath == "//mine_" and scene.render.image_settings.file_format == "PNG"
    bpy.ops.wm.open_mainfile(filepath=str(saved))
    assert bpy.context.scene.world.limelight.probe == "Probe" and bpy.context.scene.render.filepath == "//mine_"


@pytest.mark.parametrize("number", [0, 1])
def test_what_goes_wrong_is_one_line_and_an_exit_code(engine, scene, capfd, tmp_path, number):
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    (tmp_path / "in the way").write_text("")
    path = str(tmp_path / "in the way" / "out.exr")
    lines = (["light", "--probe", "Nowhere"], ["light", *RENDER, path])
    assert command.main(lines[number]) == 2
    told = capfd.readouterr().err.strip().splitlines()[-1]
    assert told.endswith(".") and "Traceback" not in told


def test_a_picture_is_written_where_it_was_asked_for_and_one_that_fails_loses_no_light(
    engine, scene, tmp_path, monkeypatch
):
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    monkeypatch.chdir(tmp_path)
    assert command.main(["light", *RENDER, "lit.png"]) == 0
    assert (tmp_path / "lit.png").is_file()
    assert command.main(["light", *RENDER, "lit.png/in the way.png", "--save", "lit.blend"]) == 2
    assert (tmp_path / "lit.blend").is_file()


def test_a_python_that_is_not_there_is_named(engine, scene, capfd, tmp_path):
    gone = str(tmp_path / "gone" / "python")
    assert command.main(["light", "--engine", gone]) == 3
    assert gone in capfd.readouterr().err


def test_ctrl_c_ends_it_as_cancelled(engine, scene, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "tell", interrupted)
    assert command.main(["light", "--engine", sys.executable]) == 130


def test_the_engine_is_the_one_that_the_preferences_describe(engine, scene, tmp_path):
    stored = preferences.addon_preferences(bpy.context)
    stored.models_folder, stored.device = str(tmp_path), "cpu"
    try:
        made = command.make_engine(bpy.context, tmp_path)
        assert (made.device, made.models) == ("cpu", tmp_path)
        assert command.make_engine(bpy.context, tmp_path, "cuda:1").device == "cuda:1"
    finally:
        stored.models_folder, stored.device = "", "auto"


@pytest.mark.parametrize("how", ["world", "lamps", "domes"])
def test_a_range_of_frames_is_lit_and_rendered_and_goes_on_in_its_folder(engine, scene, tmp_path, how):
    photo = bpy.data.images.new("photo", 32, 18)
    photo.filepath_raw, photo.file_format = str(tmp_path / "photo.png"), "PNG"
    photo.save()
    bpy.ops.limelight.set_plate(filepath=str(tmp_path / "photo.png"), fov=1.0)
    scene.render.engine, scene.cycles.samples, scene.render.resolution_percentage = "CYCLES", 1, 50
    other = bpy.data.objects.new("Other", scene.camera.data)
    scene.collection.objects.link(other)
    marker = scene.timeline_markers.new("cut", frame=2)
    marker.camera = other  # looks away; the command's camera counts
    line = ["light", "--range", "2-6x2", "--out", str(tmp_path / "light"), "--apply", how, "--camera", "Camera"]
    line += ["--engine", sys.executable]
    assert command.main([*line, "--render", str(tmp_path / "out_####.png")] if how == "lamps" else line) == 0
    assert marker.camera == other, "the file's cuts are as they were"
    image = bpy.data.objects["Probe"].limelight.environment
    assert tuple(image.limelight.light_frames) == (2, 6)
    assert len(list((tmp_path / "light" / "Scene_001" / "probe_0").glob("*.exr"))) == 6, "held and mixed ones too"
    if how == "lamps":
        assert sorted(p.name for p in tmp_path.glob("out_*")) == [f"out_000{n}.png" for n in (2, 4, 6)]
    (shown,) = {n.image_user.frame_duration for m in (*bpy.data.worlds, *bpy.data.materials) if m.node_tree
                for n in m.node_tree.nodes if n.type == "TEX_ENVIRONMENT"}  # fmt: skip
    assert shown == 5


@pytest.mark.parametrize(("asked", "told"), [
    (["--range", "9-3"], "write FIRST-LAST"), (["--range", "a"], "write FIRST-LAST"),
    (["--camera", "Nowhere"], "There is no camera 'Nowhere'; the scene has: Camera."),
    (["--range", "1-2"], "not saved yet: save the file."),
])  # fmt: skip
def test_a_range_that_cannot_be_is_one_line(engine, scene, capfd, asked, told):
    assert command.main(["light", "--engine", sys.executable, *asked]) == 2
    assert told in capfd.readouterr().err.strip().splitlines()[-1]
