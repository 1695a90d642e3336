# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture gets other light: run as a script and as a click, against an engine that speaks the wire."""

import math
import re
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from limelight import preferences
from limelight.operators import engine_session, relight_run, run_operator, watch
from limelight.scene import editors, pixels, plate, relit
from limelight.tests.addon.ui.stand_in import asked


@pytest.fixture
def pictures(engine, scene):
    """A source and a reference, the source open in an Image Editor, and Relight set to use them."""
    source, reference = (bpy.data.images.new(name, 10, 6, alpha=True) for name in ("photo.jpg", "evening.jpg"))
    scene.limelight.relight.reference = reference
    editor().image = source
    return source, reference


def editor():
    """The space of the first Image Editor of any workspace."""
    return editors.of_images()[0]


def panel(draw, image, cls="LIMELIGHT_PT_relight"):
    """Draw a panel of the Image Editor with an image open."""
    return draw(getattr(bpy.types, cls), space_data=SimpleNamespace(image=image))


def test_a_script_gets_a_packed_image_that_is_shown(pictures, scene):
    source, _reference = pictures
    scene.limelight.relight.strength = 80.0
    assert bpy.ops.limelight.relight(source="photo.jpg") == {"FINISHED"}
    image = bpy.data.images["photo.jpg relit"]
    assert image.packed_files and image.is_float and tuple(image.size) == (10, 6)
    assert image.colorspace_settings.name == "sRGB"
    # 16 bits arrive: 0x8001 of 0xffff is no multiple of 1/255.
    assert pixels.of(image)[0, 0, 0] == pytest.approx(((0x8001 / 0xFFFF + 0.055) / 1.055) ** 2.4, abs=1e-5)
    assert editor().image == image and relit.source_of(image) == source
    params = asked()
    assert params["strength"] == pytest.approx(0.8) and params["reference_kind"] == "photo"
    assert params["source"].endswith(".png") and params["out"].endswith(".png") and params["ratio"] is None
    assert params["quality"] == "normal" and params["model"] == "embedded" and params["take"] == 0
    assert not list(Path(bpy.app.tempdir).glob("limelight-*"))
    message = bpy.context.window_manager.limelight.message
    assert re.fullmatch(r"“.*” has the light of evening\.jpg \(\d+ s\)\. The picture is small", message)


def test_without_a_name_the_open_image_is_relit_and_of_a_result_its_original(pictures, scene):
    bpy.ops.limelight.relight()
    assert relit.is_relit(editor().image)
    bpy.ops.limelight.relight_take(take=1)
    first, second = bpy.data.images["photo.jpg relit"], bpy.data.images["photo.jpg relit.001"]
    assert editor().image == second and second.limelight.source == first.limelight.source
    assert (first.limelight.take, second.limelight.take, scene.limelight.relight.take) == (0, 1, 1)
    assert asked()["take"] == 1


def test_linear_pictures_stay_linear_and_the_ratio_is_data(pictures, scene):
    scene.limelight.relight.keep_ratio = True
    hdr = bpy.data.images.new("hdr", 4, 4, float_buffer=True)
    hdr.pixels.foreach_set(np.linspace(0, 30, 64, dtype=np.float32))
    bpy.ops.limelight.relight(source="hdr")
    image = bpy.data.images["hdr relit"]
    assert image.is_float and np.allclose(pixels.of(image), pixels.of(hdr))
    ratio = bpy.data.images["hdr light ratio"]
    assert image.limelight.ratio == ratio and ratio.colorspace_settings.name == "Non-Color" and ratio.packed_files


def test_hdri_and_probe_are_given_as_panoramas(pictures, scene):
    settings = scene.limelight.relight
    settings.reference_type, settings.reference = "HDRI", bpy.data.images.new("sky", 32, 16, float_buffer=True)
    bpy.ops.limelight.relight()
    assert asked()["reference_kind"] == "hdri" and asked()["reference"].endswith(".exr")
    bpy.data.objects["Probe"].limelight.environment = bpy.data.images.new("env", 32, 16, float_buffer=True)
    settings.reference_type = "PROBE"
    bpy.ops.limelight.relight()
    assert asked()["reference_kind"] == "hdri"
    assert editor().image.limelight.reference_name == "Probe's light"


def test_the_scenes_lamps_are_rendered_and_given_as_a_panorama(pictures, scene, monkeypatch):
    from limelight.scene import relight

    monkeypatch.setattr(relight, "_LAMPS_WIDTH", 32)
    monkeypatch.setattr(relight, "_LAMPS_SAMPLES", 1)
    scene.world = bpy.data.worlds.new("Day")
    scene.limelight.relight.reference_type = "LAMPS"
    assert bpy.ops.limelight.relight() == {"FINISHED"}
    assert asked()["reference_kind"] == "hdri"
    assert editor().image.limelight.reference_name == "this scene's lamps"


def test_failing_changes_nothing_and_says_why(pictures, engine, scene):
    source, _ = pictures
    engine(fail=["The reference is black", "Choose a brighter one"])
    before = set(bpy.data.images.keys())
    with pytest.raises(RuntimeError, match=r"reference is black\. Choose a brighter one"):
        bpy.ops.limelight.relight(take=3)
    assert set(bpy.data.images.keys()) == before and editor().image == source
    assert scene.limelight.relight.take == 0
    assert engine_session.running_run() is None


def test_what_is_missing_is_said_with_its_remedy(pictures, scene):
    scene.limelight.relight.reference = None
    with pytest.raises(RuntimeError, match=r"There is no reference.*choose a picture"):
        bpy.ops.limelight.relight()
    with pytest.raises(RuntimeError, match="no image “nothing”"):
        bpy.ops.limelight.relight(source="nothing")
    editor().image = None
    with pytest.raises(RuntimeError, match="No image is open"):
        bpy.ops.limelight.relight()


def test_it_is_one_undo_step(pictures, scene):
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.limelight.relight("EXEC_DEFAULT", True)
    assert "photo.jpg relit" in bpy.data.images
    bpy.ops.ed.undo()
    assert "photo.jpg relit" not in bpy.data.images and "photo.jpg" in bpy.data.images
    assert editor().image == bpy.data.images["photo.jpg"], "undo would leave the editor empty"


class Clicked:
    """The operator as a click makes it, with a window manager that has no timers."""

    def __init__(self, run):
        self._run, self._captured, self._ticks, self.reports = run, False, 0, []

    def report(self, kind, text):
        """What Blender would show."""
        self.reports.append((kind, text))


def test_a_click_shows_progress_and_escape_ends_it(pictures, engine, scene):
    source, _ = pictures
    engine(seconds=3.0)
    run = relight_run.RelightRun(bpy.context, source, 0)
    engine_session.begin(run)
    operator = Clicked(run)
    seen = set()
    for _ in range(2000):
        kind = "ESC" if "Changing the light" in seen and not run.cancelled else "TIMER"
        event = SimpleNamespace(type=kind, value="PRESS")
        answer = run_operator.RunOperator._advance(operator, bpy.context, event)
        seen.add(bpy.context.window_manager.limelight.stage)
        if answer == {"CANCELLED"}:
            break
        run_operator.time.sleep(0.005)
    assert "Changing the light" in seen
    assert operator.reports == [({"INFO"}, "Cancelled; nothing was changed")]
    assert [image for image in bpy.data.images if relit.is_relit(image)] == [] and not run.folder.exists()


def test_new_names_meanwhile_lose_nothing(pictures, scene):
    source, reference = pictures
    run = relight_run.RelightRun(bpy.context, source, 0)
    engine_session.begin(run)
    run.capture(bpy.context)
    source.name, reference.name, scene.name = "hero", "dusk", "Shot 7"
    bpy.data.images.new("photo.jpg", 4, 4)
    run.wait()
    engine_session.end(run)
    assert "hero relit" in run.load(bpy.context)
    result = bpy.data.images["hero relit"]
    assert (result.limelight.source, result.limelight.reference) == (source, reference)
    run.close()


def test_the_history_shows_restores_and_removes(pictures, scene, draw):
    source, reference = pictures
    settings = scene.limelight.relight
    settings.strength, settings.seed = 60.0, 7
    bpy.ops.limelight.relight()
    settings.strength, settings.seed, settings.reference = 100.0, 0, None
    first = bpy.data.images["photo.jpg relit"]
    assert bpy.ops.limelight.relight_restore() == {"FINISHED"}
    assert (settings.strength, settings.seed, settings.reference) == (60.0, 7, reference)
    bpy.ops.limelight.relight_take(take=2)
    drawn = panel(draw, editor().image, "LIMELIGHT_PT_relight_results")
    told = " ".join(drawn.texts())
    assert "1: evening.jpg, 60 %" in told and "2: evening.jpg, take 2, 60 %" in told and "Seed 7" in told
    assert "75\N{NO-BREAK SPACE}% of the way" in told
    assert drawn.operators().count("limelight.relight_show") == 2
    bpy.ops.limelight.relight_show(name=first.name)
    assert editor().image == first
    bpy.ops.limelight.relight_compare()
    assert editor().image == source
    bpy.ops.limelight.relight_compare()
    assert editor().image.limelight.number == 2
    bpy.ops.limelight.relight_remove()
    assert editor().image == source and relit.results(source) == [first]
    with pytest.raises(RuntimeError, match="No relit image is open"):
        bpy.ops.limelight.relight_remove()


def test_use_as_background_is_what_the_next_estimate_reads(pictures, scene):
    bpy.ops.limelight.relight()
    assert bpy.ops.limelight.relight_background() == {"FINISHED"}
    assert scene.limelight.plate == editor().image and scene.limelight.source == "PLATE"
    assert bpy.ops.limelight.estimate() == {"FINISHED"}
    assert bpy.data.objects["Probe"].limelight.environment is not None


def test_the_panel_lists_what_is_missing_and_waits(pictures, scene, draw):
    source, _ = pictures
    watch.refresh(bpy.context)
    drawn = panel(draw, source)
    assert drawn.operators() == ["limelight.relight"]
    # Blender's own would leave a photo that EXIF turns on its side.
    assert [k["open"] for name, _, k in drawn.calls if name == "template_ID"] == ["limelight.relight_reference"]
    scene.limelight.relight.reference = None
    drawn = panel(draw, None)
    assert drawn.operators() == ["image.open", "limelight.relight_reference", "limelight.relight"]
    stored = preferences.addon_preferences(bpy.context)
    path, stored.existing_python = stored.existing_python, ""
    watch.refresh(bpy.context)
    assert "limelight.show_preferences" in panel(draw, source).operators()
    stored.existing_python = path


def test_a_running_job_shows_progress_in_its_own_panel_only(pictures, draw):
    manager = bpy.context.window_manager.limelight
    manager.running, manager.fraction, manager.stage = True, 0.4, "Relighting"
    try:
        for kind, there in (("relight", True), ("light", False)):
            manager.kind = kind
            assert ("limelight.cancel" in panel(draw, pictures[0]).operators()) == there
    finally:
        manager.running = False


@pytest.mark.parametrize("kind", ["IMAGE", "HDRI", "LAMPS", "PROBE"])
def test_the_panels_draw_with_every_reference(pictures, scene, draw, kind):
    bpy.ops.limelight.relight()
    scene.limelight.relight.reference_type = kind
    for name in ("LIMELIGHT_PT_relight", "LIMELIGHT_PT_relight_settings", "LIMELIGHT_PT_relight_results"):
        for image in (None, *pictures, editor().image):
            assert panel(draw, image, name).calls


def test_the_line_is_where_it_is_dragged_and_takes_only_clicks_near_it():
    from limelight.panels import relight_wipe

    # An image that reaches beyond the region at the left.
    box = (-100.0, 50.0, 300.0, 350.0)
    for at in (0.0, 0.3, 1.0):
        x = relight_wipe.line(box, at)
        assert relight_wipe.share(box, x) == pytest.approx(at)
        assert relight_wipe.touches(box, at, x + 5, 60) and not relight_wipe.touches(box, at, x + 20, 60)
        assert not relight_wipe.touches(box, at, x, 20)
    assert relight_wipe.share(box, -500) == 0.0 and relight_wipe.share(box, 900) == 1.0


def test_the_original_is_drawn_left_of_the_line(scene):
    import gpu
    from limelight.panels import relight_wipe
    from mathutils import Matrix

    if not hasattr(gpu, "init"):
        pytest.skip("this Blender cannot draw without a window")
    try:
        gpu.init()
        target = gpu.types.GPUOffScreen(80, 60, format="RGBA32F")
    except (SystemError, RuntimeError) as error:
        pytest.skip(str(error))
    image = bpy.data.images.new("photo", 8, 8, alpha=True)
    image.pixels.foreach_set(np.tile(np.array([1.0, 0.5, 0.0, 1.0], np.float32), 64))
    with target.bind(), gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
        buffer = gpu.state.active_framebuffer_get()
        buffer.clear(color=(0.0, 0.0, 0.0, 1.0))
        gpu.matrix.load_matrix(Matrix.Identity(4))
        # One unit is one pixel, as where an editor draws its gizmos.
        ortho = Matrix(((2 / 80, 0, 0, -1), (0, 2 / 60, 0, -1), (0, 0, -1, 0), (0, 0, 0, 1)))
        gpu.matrix.load_projection_matrix(ortho)
        relight_wipe.draw(image, (10.0, 5.0, 70.0, 55.0), 0.5, held=False)
        seen = np.array(buffer.read_color(0, 0, 80, 60, 4, 0, "FLOAT").to_list())
    target.free()
    assert seen[45, 20, :3] == pytest.approx([1.0, 0.216, 0.0], abs=0.01), "linear, as what is below it"
    assert seen[45, 40, :3].min() > 0.5, "the line"
    assert seen[45, 60, :3].max() == 0.0 and seen[2, 2, :3].max() == 0.0


def test_the_wipe_is_over_results_only(pictures, scene):
    from limelight.panels import relight_wipe

    source, _ = pictures
    interface = bpy.context.window_manager.limelight_interface
    shown = editor()
    context = SimpleNamespace(space_data=shown, window_manager=bpy.context.window_manager)
    bpy.ops.limelight.relight()
    try:
        assert relight_wipe._wiped(context) is None
        interface.wipe = True
        assert relight_wipe._wiped(context) == source
        shown.image = source
        assert relight_wipe._wiped(context) is None
    finally:
        interface.wipe = False


def test_a_still_of_a_movie_or_sequence_can_be_relit(pictures, scene, tmp_path):
    for number in (1, 2):
        pictures[number - 1].filepath_raw = str(tmp_path / f"shot_{number:02}.png")
        pictures[number - 1].file_format = "PNG"
        pictures[number - 1].save()
    moving = bpy.data.images.load(str(tmp_path / "shot_01.png"))
    moving.source = "SEQUENCE"
    editor().image = moving
    with pytest.raises(RuntimeError, match="take this frame as a still"):
        bpy.ops.limelight.relight()
    assert bpy.ops.limelight.relight_still() == {"FINISHED"}
    editor().image = bpy.data.images["shot_01 frame 1"]
    assert editor().image.packed_files and editor().image.source == "FILE"
    assert bpy.ops.limelight.relight() == {"FINISHED"}
    # As the camera saw the moving photo, it sees this frame of it.
    plate.use_image(scene, moving, 33.0)
    scene.camera.data.shift_x = 0.1
    bpy.ops.limelight.relight_background()
    assert scene.limelight.plate == editor().image
    assert math.degrees(scene.camera.data.angle_x) == pytest.approx(33) and scene.camera.data.shift_x > 0


def test_undoing_a_still_shows_again_what_it_was_taken_of(pictures, scene):
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.limelight.relight_still("EXEC_DEFAULT", True)
    editor().image = next(image for image in bpy.data.images if "still" in image.name)
    bpy.ops.ed.undo()
    assert editor().image == bpy.data.images["photo.jpg"]


def test_a_chosen_reference_file_is_taken(pictures, scene, tmp_path):
    pictures[1].filepath_raw, pictures[1].file_format = str(tmp_path / "dusk ä.png"), "PNG"
    pictures[1].save()
    scene.limelight.relight.reference_type = "LAMPS"
    assert bpy.ops.limelight.relight_reference(filepath=str(tmp_path / "dusk ä.png")) == {"FINISHED"}
    assert scene.limelight.relight.reference_type == "IMAGE"
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(RuntimeError, match="damaged"):
        bpy.ops.limelight.relight_reference(filepath=str(broken))
    with pytest.raises(RuntimeError, match="no picture at"):
        bpy.ops.limelight.relight_reference(filepath=str(tmp_path / "nowhere.png"))
