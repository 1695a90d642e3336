# SPDX-License-Identifier: GPL-3.0-or-later
"""Every panel draws in every state, from cached state only, with icons and properties that this Blender has."""

from types import SimpleNamespace

import bpy
import pytest
from limelight import panels, preferences
from limelight.operators import previews, state, watch
from limelight.panels import engine_preferences, estimate, wording

PANELS = [cls for cls in panels.classes() if issubclass(cls, bpy.types.Panel)]


def light(probe):
    """Give ``probe`` an environment as an estimate would."""
    probe.limelight.environment = bpy.data.images.new("env", 8, 4, float_buffer=True)


@pytest.fixture
def two_probes(scene, camera):
    """Two probes, the second active, the first with light."""
    for x in (0.0, 1.0):
        bpy.ops.limelight.add_probe(location=(x, 0.0, 1.0), radius=0.1)
    first, second = (scene.objects[r.name] for r in state.seen(bpy.context).probe_rows)
    light(first)
    watch.refresh(bpy.context)
    return first, second


@pytest.mark.parametrize("panel", PANELS, ids=lambda p: p.__name__)
def test_draws_in_an_empty_scene(panel, draw, scene):
    watch.refresh(bpy.context)
    scene.world = scene.world or bpy.data.worlds.new("World")
    recorder = draw(panel, space_data=SimpleNamespace(image=None))
    assert recorder.calls


@pytest.mark.parametrize("panel", PANELS, ids=lambda p: p.__name__)
def test_draws_with_plate_probes_and_light(panel, draw, scene, two_probes):
    scene.limelight.plate = bpy.data.images.new("photo", 8, 8)
    for source in ("PLATE", "SCENE"):
        scene.limelight.source = source
        for depth in ("GEOMETRY", "FILE", "ESTIMATE"):
            scene.limelight.depth_source = depth
            scene.world = scene.world or bpy.data.worlds.new("World")
            for name in ("", "Probe"):
                scene.world.limelight.probe = name
                for image in (None, scene.limelight.plate):
                    assert draw(panel, space_data=SimpleNamespace(image=image)).calls


def test_problems_come_with_their_buttons(draw, scene):
    watch.refresh(bpy.context)
    recorder = draw(bpy.types.LIMELIGHT_PT_estimate)
    problems = state.seen(bpy.context).problems
    assert len(problems) >= 2
    for problem in problems:
        assert problem.text.split()[0] in " ".join(recorder.texts())
    repairs = [p.operator for p in problems if p.operator]
    assert [o for o in recorder.operators() if o != "limelight.estimate"] == repairs
    assert "limelight.estimate" in recorder.operators()


def test_each_window_shows_the_probes_and_problems_of_its_own_scene(draw, scene, two_probes):
    second = bpy.data.scenes.new("Second")
    with bpy.context.temp_override(scene=second, view_layer=second.view_layers[0]):
        watch.refresh(bpy.context)

    def shown(scene):
        own = {"scene": scene, "view_layer": scene.view_layers[0]}
        lists = [args for name, args, _ in draw(bpy.types.LIMELIGHT_PT_probes, **own).calls if name == "template_list"]
        return [row.name for args in lists for row in args[2].probe_rows], draw(bpy.types.LIMELIGHT_PT_estimate, **own)

    assert (shown(scene)[0], shown(second)[0]) == ([probe.name for probe in two_probes], [])
    assert "limelight.add_camera" in shown(second)[1].operators()
    assert "limelight.add_camera" not in shown(scene)[1].operators()


def test_an_estimate_says_how_sure_it_is_and_offers_another_take(draw, scene, two_probes):
    first, _ = two_probes
    bpy.ops.limelight.select_probe(name=first.name)
    first.limelight.spread = 0.6, 12.0
    recorder = draw(bpy.types.LIMELIGHT_PT_estimate)
    assert "0.6\N{NO-BREAK SPACE}stops, 12°" in " ".join(recorder.texts())
    assert recorder.operators().count("limelight.estimate_take") == 1
    scene.limelight.take, first.limelight.spread = 1, (-1.0, -1.0)
    recorder = draw(bpy.types.LIMELIGHT_PT_estimate)
    assert "Takes differ" not in " ".join(recorder.texts())
    assert recorder.operators().count("limelight.estimate_take") == 2


def test_a_running_estimate_shows_progress_and_a_way_out(draw, scene):
    manager = bpy.context.window_manager.limelight
    manager.running, manager.fraction, manager.stage, manager.eta = True, 0.42, "Painting the spheres", 12.0
    try:
        recorder = draw(bpy.types.LIMELIGHT_PT_estimate)
    finally:
        manager.running = False
    words = " ".join(recorder.texts())
    assert "42 %" in words and "Painting the spheres" in words and "12 s left" in words
    assert recorder.operators() == ["limelight.cancel"]


def test_drawing_changes_nothing_and_looks_for_nothing(draw, scene, two_probes, monkeypatch):
    from limelight.scene import problems

    def forbidden(*_args):
        raise AssertionError("a panel computed something while drawing")

    monkeypatch.setattr(problems, "find_problems", forbidden)
    monkeypatch.setattr(watch, "refresh", forbidden)
    scene.world = scene.world or bpy.data.worlds.new("World")

    def state():
        owners = (scene.limelight, scene.world.limelight, bpy.context.window_manager.limelight)
        values = [[repr(getattr(owner, p.identifier)) for p in owner.bl_rna.properties] for owner in owners]
        return values, sorted(bpy.data.user_map(), key=repr)

    before = state()
    for panel in PANELS:
        draw(panel, space_data=SimpleNamespace(image=None))
    assert state() == before


def test_preferences_draw_for_both_kinds_of_engine(draw, scene):
    stored = preferences.addon_preferences(bpy.context)

    class Shown:
        def draw(self, context):
            engine_preferences.draw(stored, self.layout, context)

    stored.doctor_report = '{"devices": [{"id": "cuda:0", "name": "Fast card", "memory_gb": 24.0}]}'
    try:
        for source in ("OWN", "EXISTING"):
            stored.engine_source = source
            recorder = draw(Shown)
            assert "limelight.doctor" in recorder.operators()
            assert ("limelight.setup_engine" in recorder.operators()) == (source == "OWN")
            assert "24.0 GB" in " ".join(recorder.texts())
    finally:
        stored.engine_source, stored.doctor_report = "OWN", ""


def test_another_engine_in_the_preferences_is_looked_for_at_once(scene, monkeypatch):
    stored, looked = preferences.addon_preferences(bpy.context), []
    monkeypatch.setattr(watch, "schedule", lambda: looked.append(stored.engine_source))
    try:
        stored.engine_source = "EXISTING"
        stored.existing_python, stored.environment = "/other/bin/python", "/other"
    finally:
        stored.engine_source, stored.existing_python, stored.environment = "OWN", "", ""
    assert looked == ["EXISTING"] * 3 + ["OWN"] * 3


def test_paths_of_the_preferences_may_start_at_home(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    stored = preferences.addon_preferences(bpy.context)
    try:
        stored.engine_source, stored.existing_python, stored.models_folder = "EXISTING", "~/bin/python", "~/models"
        found = preferences.settings(bpy.context)
        assert (found.python, found.models) == (tmp_path / "bin" / "python", tmp_path / "models")
        stored.environment = "~/engine"
        assert preferences.environment_folder(stored) == tmp_path / "engine"
    finally:
        stored.engine_source, stored.existing_python = "OWN", ""
        stored.models_folder = stored.environment = ""


def test_a_picture_is_of_its_probe_alone_and_stays_it_under_another_name(draw, two_probes, monkeypatch):
    asked = []
    monkeypatch.setattr(previews, "icon", lambda slot: asked.append(slot) or 0)
    name = two_probes[1].name
    draw(estimate.LIMELIGHT_PT_estimate)
    two_probes[1].name = "Renamed"
    draw(estimate.LIMELIGHT_PT_estimate)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert bpy.ops.limelight.add_probe(name=name) == {"FINISHED"}
    draw(estimate.LIMELIGHT_PT_estimate)
    assert asked[0] == asked[1] != asked[2], "the next file's probe of that name is another"


def test_after_every_take_comes_one_that_blender_can_count(scene):
    settings = scene.limelight
    for owner, name in ((settings, "take"), (settings.relight, "take"), (settings.face, "seed")):
        setattr(owner, name, 2**31 - 1)
        assert getattr(owner, name) + 1 <= 2**31 - 1


def test_previews_are_as_large_as_the_sidebar_allows(draw, scene, monkeypatch):
    monkeypatch.setattr(previews, "icon", lambda slot: 7)

    class Running:
        def draw(self, context):
            estimate.draw_running(self.layout, context, context.window_manager.limelight)

    def scale(width):
        calls = draw(Running, region=SimpleNamespace(width=width)).calls
        return next(named["scale"] for name, _args, named in calls if name == "template_icon")

    assert [scale(width) for width in (120, 250, 900)] == [6.0, 10.0, 13.0]


def test_sentences_are_wrapped_not_cut(draw, scene):
    text = "The engine is not set up yet, and this sentence is much longer than a narrow sidebar can show in one line"

    class Narrow:
        def draw(self, context):
            wording.wrapped(self.layout, context, text)

    lines = draw(Narrow, region=SimpleNamespace(width=220)).texts()[1:]
    assert len(lines) > 3 and " ".join(lines) == text
    assert max(len(line) for line in lines) <= 32


def test_a_sentence_with_an_icon_has_less_room(draw, scene):
    class Problem:
        def draw(self, context):
            wording.wrapped(self.layout, context, "The scene has no camera", icon="ERROR")

    assert draw(Problem, region=SimpleNamespace(width=215)).texts()[1:] == ["The scene has no", "camera"]
