# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait becomes a head: run as a script and as a click, against an engine that speaks the wire."""

import math
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from limelight import preferences
from limelight.operators import engine_session, face_run, previews, run_operator, watch
from limelight.scene import editors, face, head_eyes, head_light, heads, plate, probes
from limelight.tests.addon.conftest import write_picture
from limelight.tests.addon.ui.portrait import panel
from limelight.tests.addon.ui.stand_in import asked

PANELS = ("LIMELIGHT_PT_face", "LIMELIGHT_PT_face_settings", "LIMELIGHT_PT_face_image",
          "LIMELIGHT_PT_face_image_settings")  # fmt: skip


def kinds():
    """How many datablocks of each kind there are."""
    names = ("objects", "meshes", "materials", "images", "cameras", "worlds", "shape_keys")
    return {name: len(getattr(bpy.data, name)) for name in names}


def test_a_script_gets_a_head_before_its_camera(portrait, scene):
    assert bpy.ops.limelight.face_make(picture="Ada.png") == {"FINISHED"}
    (head,) = heads.heads(scene)
    assert head.name == "Ada head" and bpy.context.view_layer.objects.active == head
    assert len(head_eyes.eyes(head)) == 2 and head.data.shape_keys.key_blocks["jawOpen"].value == pytest.approx(0.5)
    assert scene.limelight.plate == portrait and (scene.render.resolution_x, scene.render.resolution_y) == (80, 100)
    assert math.degrees(scene.camera.data.angle_x) == pytest.approx(30.0, abs=1e-4)
    params = asked()
    assert params["quality"] == "normal" and params["seed"] == 0 and params["image"].endswith("portrait.png")
    assert "face" not in params and "landmarks" not in params and "fov_deg" not in params
    assert "saturation" not in params
    message = bpy.context.window_manager.limelight.message
    assert "Ada head" in message and "The photo is dark" in message
    assert head.limelight.head.reprojection == pytest.approx(0.011)
    assert previews.icon(previews.slot_of(bpy.data.objects["Ada head"])) or bpy.app.background


def test_settings_reach_the_engine(portrait, scene, tmp_path):
    settings = scene.limelight.face
    settings.fov, settings.quality, settings.seed = math.radians(24), "DRAFT", 5
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    (tmp_path / "FaceXModel").mkdir()
    settings.head_folder, settings.saturation = "FaceXModel", 140
    bpy.ops.limelight.face_make()
    params = asked()
    assert params["saturation"] == pytest.approx(1.4)
    assert params["fov_deg"] == pytest.approx(24, abs=1e-4) and params["quality"] == "draft" and params["seed"] == 5
    assert params["head"] == str(tmp_path / "FaceXModel")


def test_another_run_updates_and_another_take_counts_on(portrait, scene):
    bpy.ops.limelight.face_make()
    before, head = kinds(), heads.heads(scene)[0]
    assert bpy.ops.limelight.face_take(take=1) == {"FINISHED"}
    assert kinds() == before and heads.heads(scene) == [head]
    assert asked()["seed"] == 1 and scene.limelight.face.seed == 1 and head.limelight.head.seed == 1


def test_each_step_is_one_undo_step(portrait, scene):
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.limelight.face_find("EXEC_DEFAULT", True)
    bpy.ops.ed.undo_push(message="found")
    before = kinds()
    bpy.ops.limelight.face_drag("EXEC_DEFAULT", True, index=33, u=0.9, v=0.9)
    assert face.is_edited(face.chosen(bpy.data.images["Ada.png"]))
    bpy.ops.ed.undo()
    assert not face.is_edited(face.chosen(bpy.data.images["Ada.png"]))
    angle = bpy.context.scene.camera.data.angle_x
    bpy.ops.limelight.face_make("EXEC_DEFAULT", True)
    assert heads.heads(bpy.context.scene)
    bpy.ops.ed.undo()
    assert kinds() == before and not heads.heads(bpy.context.scene)
    assert bpy.context.scene.camera.data.angle_x == pytest.approx(angle) and bpy.context.scene.limelight.plate is None


def test_another_take_is_one_undo_step(portrait, scene):
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.limelight.face_make("EXEC_DEFAULT", True)
    bpy.ops.ed.undo_push(message="made")
    assert bpy.ops.limelight.face_take("EXEC_DEFAULT", True, take=1) == {"FINISHED"}
    assert heads.heads(bpy.context.scene)[0].limelight.head.seed == 1
    bpy.ops.ed.undo_push(message="something else")
    bpy.ops.ed.undo()
    assert heads.heads(bpy.context.scene)[0].limelight.head.seed == 1
    bpy.ops.ed.undo()
    assert heads.heads(bpy.context.scene)[0].limelight.head.seed == 0


def test_failing_and_cancelling_change_nothing(portrait, engine, scene):
    before, angle = kinds(), scene.camera.data.angle_x
    engine(fail=["No face was found.", "Use a photo in which the face is larger."])
    for name in ("face_find", "face_make"):
        with pytest.raises(RuntimeError, match=r"No face was found\. Use a photo"):
            getattr(bpy.ops.limelight, name)()
    engine(seconds=3.0)
    run = face_run.FaceRun(bpy.context, bpy.data.images["Ada.png"], 3)
    engine_session.begin(run)
    operator = SimpleNamespace(_run=run, _captured=False, _ticks=0, report=lambda *_args: None)
    seen = set()
    for _ in range(2000):
        kind = "ESC" if "Fitting the head" in seen and not run.cancelled else "TIMER"
        event = SimpleNamespace(type=kind, value="PRESS")
        answer = run_operator.RunOperator._advance(operator, bpy.context, event)
        seen.add(bpy.context.window_manager.limelight.stage)
        if answer == {"CANCELLED"}:
            break
        run_operator.time.sleep(0.005)
    assert "Fitting the head" in seen and not run.folder.exists()
    assert kinds() == before and scene.limelight.face.seed == 0 and scene.camera.data.angle_x == angle


def test_the_photos_light_becomes_the_world_at_the_head(portrait, scene):
    with pytest.raises(RuntimeError, match="No head is selected"):
        bpy.ops.limelight.face_light()
    bpy.ops.limelight.face_make()
    others = len(scene.objects)
    assert bpy.ops.limelight.face_light() == {"FINISHED"}
    head = heads.heads(scene)[0]
    probe = head.limelight.head.probe
    assert probe.hide_get(), "it stands between camera and face"
    assert probe.limelight.environment is not None and scene.world.limelight.probe == probe.name
    # In front of the face, seen by the camera.
    eye, between = scene.camera.matrix_world.translation, head.matrix_world.translation
    ahead = probe.location - between
    assert ahead.length == pytest.approx(0.134, abs=1e-3) and ahead.dot(eye - between) > 0
    there = head_light.of_panorama(probe.limelight.environment, head.matrix_world)
    look = scene.world.limelight
    wanted = list(head.limelight.head.irradiance)
    assert there * 2**look.strength_ev * np.array(look.tint) == pytest.approx(wanted, rel=1e-4)
    assert bpy.data.objects["Probe"].limelight.environment is None, "the artist's probes are left alone"
    probe.parent, place = bpy.data.objects["Floor"], probe.location.copy()
    probe.parent.location = 5.0, 0.0, 0.0
    assert bpy.ops.limelight.face_light() == {"FINISHED"}
    assert len(scene.objects) == others + 1
    assert (probe.matrix_world.translation - place).length < 1e-5, "wherever its parent is"


def test_a_head_is_lit_like_its_photo_wherever_the_artist_put_it(portrait, scene):
    bpy.ops.limelight.face_make()
    bpy.ops.limelight.face_light()
    head, look = heads.heads(scene)[0], scene.world.limelight
    wanted = look.strength_ev, *look.tint
    spot = head.limelight.head.probe.location.copy()
    head.rotation_euler.rotate_axis("Z", math.pi)
    head.location.y -= 9
    bpy.ops.limelight.face_light()
    assert (look.strength_ev, *look.tint) == pytest.approx(wanted, abs=1e-5)
    assert head.limelight.head.probe.location[:] == pytest.approx(spot[:], abs=1e-5)


def test_a_head_that_the_artist_placed_is_updated_there(portrait, scene, draw):
    bpy.ops.limelight.face_make()
    head = heads.heads(scene)[0]
    body = bpy.data.objects.new("Body", None)
    scene.collection.objects.link(body)
    body.location, head.parent, head.scale = (3, 4, 0), body, (1.1,) * 3
    scene.camera.data.angle_x, scene.render.resolution_x = 1.0, 1920
    bpy.context.view_layer.update()
    stood = head.matrix_world.copy()
    bpy.ops.limelight.face_take(take=1)
    bpy.context.view_layer.update()
    assert np.allclose(head.matrix_world, stood) and head.parent == body and head.limelight.head.seed == 1
    assert scene.camera.data.angle_x == pytest.approx(1.0) and scene.render.resolution_x == 1920
    bpy.ops.limelight.face_place(name=head.name)
    bpy.context.view_layer.update()
    bpy.ops.limelight.face_make()
    assert "stands in front of" in bpy.context.window_manager.limelight.message
    scene.limelight.face.picture = bpy.data.images.new("Bob.png", 80, 100)
    assert "limelight.face_take" not in panel(draw).operators(), "the selected head is of another portrait"


def test_a_head_in_an_excluded_collection_is_shown_again_in_its_photo(portrait, scene, tmp_path):
    bpy.ops.limelight.face_make(picture=portrait.name)
    head = bpy.context.view_layer.objects.active
    bpy.context.view_layer.layer_collection.children[0].exclude = True
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    scene, layer = bpy.context.scene, bpy.context.view_layer
    assert bpy.ops.limelight.face_make(picture=scene.limelight.face.picture.name) == {"FINISHED"}
    (head,) = heads.heads(scene)
    assert layer.objects.active == head
    assert "stands in front of" in bpy.context.window_manager.limelight.message


def test_a_head_that_was_excluded_while_it_was_edited_is_made_anew(portrait, scene):
    bpy.ops.limelight.face_make(picture=portrait.name)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.context.view_layer.layer_collection.children[0].exclude = True
    assert bpy.ops.limelight.face_make(picture=portrait.name) == {"FINISHED"}
    assert bpy.context.view_layer.objects.active.mode == "OBJECT"


def test_a_deleted_probe_is_made_anew_though_a_linked_object_has_its_name(portrait, scene, tmp_path):
    namesake = bpy.data.objects.new("Face light", None)
    bpy.data.libraries.write(str(tmp_path / "set.blend"), {namesake})
    bpy.data.objects.remove(namesake)
    bpy.ops.limelight.face_make()
    bpy.ops.limelight.face_light()
    memory = heads.heads(scene)[0].limelight.head
    old = memory.probe
    for holder in old.users_collection:
        holder.objects.unlink(old)
    with bpy.data.libraries.load(str(tmp_path / "set.blend"), link=True) as (_there, wanted):
        wanted.objects = ["Face light"]
    scene.collection.objects.link(wanted.objects[0])
    assert wanted.objects[0].name == old.name
    assert bpy.ops.limelight.face_light() == {"FINISHED"}
    assert memory.probe != old and memory.probe in set(scene.objects)


@pytest.mark.parametrize("way", ["link", "override"])
def test_a_linked_head_has_the_same_probe_after_the_file_was_opened_again(portrait, tmp_path, way):
    portrait.pack()
    bpy.ops.limelight.face_make()
    bpy.data.libraries.write(str(tmp_path / "heads.blend"), {bpy.data.objects["Ada head"]})
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    with bpy.data.libraries.load(str(tmp_path / "heads.blend"), link=True) as (_there, wanted):
        wanted.objects = ["Ada head"]
    (head,) = wanted.objects
    scene.collection.objects.link(head)
    plate.use_image(scene, head.limelight.head.picture, head.limelight.head.fov_deg)
    if way == "override":
        bpy.context.view_layer.update()
        head = head.override_create(remap_local_usages=True)
        assert bpy.ops.limelight.face_place(name=head.name) == {"FINISHED"}
    bpy.ops.limelight.face_light(name=head.name)
    (spot,) = probes.probes(scene)
    spot.name = "Ada's light"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert bpy.ops.limelight.face_light(name="Ada head") == {"FINISHED"}
    assert [probe.name for probe in probes.probes(bpy.context.scene)] == ["Ada's light"]


def test_a_head_goes_back_into_its_photo_before_it_is_lit(portrait, scene):
    bpy.ops.limelight.face_make()
    head = heads.heads(scene)[0]
    stood = head.matrix_world.copy()
    bpy.ops.limelight.clear_plate()
    head.location.x += 3
    scene.camera.data.angle_x = 1.0
    with pytest.raises(RuntimeError, match=r"does not show the photo.*put it back"):
        bpy.ops.limelight.face_light()
    assert bpy.ops.limelight.face_place(name=head.name) == {"FINISHED"}
    bpy.context.view_layer.update()
    assert np.allclose(head.matrix_world, stood, atol=1e-5) and scene.limelight.plate == portrait
    assert math.degrees(scene.camera.data.angle_x) == pytest.approx(30.0, abs=1e-4)


def test_putting_back_a_head_that_keys_move_tells_of_them(portrait, scene, capfd):
    bpy.ops.limelight.face_make()
    heads.heads(scene)[0].keyframe_insert("location", frame=10)
    assert bpy.ops.limelight.face_place() == {"FINISHED"}
    assert "keys, drivers or constraints move “Ada head”" in capfd.readouterr().out


def test_a_chosen_file_is_the_same_portrait_every_time(portrait, scene, tmp_path):
    portrait.filepath_raw, portrait.file_format = str(tmp_path / "Ada ä.png"), "PNG"
    portrait.save()
    for _ in range(2):
        assert bpy.ops.limelight.face_picture(filepath=str(tmp_path / "Ada ä.png")) == {"FINISHED"}
        assert scene.limelight.face.picture == portrait
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(RuntimeError, match="damaged"):
        bpy.ops.limelight.face_picture(filepath=str(broken))
    with pytest.raises(RuntimeError, match="no picture at"):
        bpy.ops.limelight.face_picture(filepath=str(tmp_path / "nowhere.png"))
    assert scene.limelight.face.picture == portrait
    scene.limelight.face.picture = None
    assert bpy.ops.limelight.face_open() == {"FINISHED"} and scene.limelight.face.picture == portrait


def test_a_turned_photo_arrives_upright_with_its_view_angle_and_only_once(portrait, scene, tmp_path):
    import struct

    picture = bpy.data.images.new("wide", 64, 40)
    picture.filepath_raw, picture.file_format = str(tmp_path / "raw.jpg"), "JPEG"
    picture.save()
    bpy.data.images.remove(picture)
    # Orientation 6 (turned by 90°) and 50 mm, as a camera writes them.
    detail = struct.pack("<HHHII", 1, 0xA405, 3, 1, 50) + bytes(4)
    main = struct.pack("<HHHIIHHIII", 2, 0x0112, 3, 1, 6, 0x8769, 4, 1, 38, 0)
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + main + detail
    raw = (tmp_path / "raw.jpg").read_bytes()
    (tmp_path / "turned.jpg").write_bytes(raw[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + raw[2:])
    for _ in range(2):
        bpy.ops.limelight.face_picture(filepath=str(tmp_path / "turned.jpg"))
    image = scene.limelight.face.picture
    assert tuple(image.size) == (40, 64) and image.name == "turned.jpg"
    wanted = 2 * math.degrees(math.atan(18 / 50 * 40 / 64))
    assert math.degrees(scene.limelight.face.fov) == pytest.approx(wanted, abs=1e-3)
    assert len([i for i in bpy.data.images if i.name.startswith("turned")]) == 1


def test_every_problem_has_its_button(portrait, scene, draw):
    def offered():
        watch.refresh(bpy.context)
        return panel(draw).operators()

    usual = ["limelight.face_picture", "limelight.face_find", "limelight.face_make"]
    assert offered() == usual
    scene.limelight.face.picture = None
    assert offered() == ["limelight.face_picture", *usual]
    with pytest.raises(RuntimeError, match="No portrait is chosen: choose a portrait"):
        bpy.ops.limelight.face_make()
    scene.limelight.face.picture = bpy.data.images.new("tiny", 16, 16)
    assert "too few for a face" in " ".join(panel(draw).texts())
    gone = bpy.data.images.new("gone", 80, 80)
    gone.source, gone.filepath = "FILE", "//nowhere.png"
    scene.limelight.face.picture = gone
    assert "gone or damaged" in " ".join(panel(draw).texts())
    gone.source = "SEQUENCE"
    assert offered()[1] == "limelight.face_still"
    scene.limelight.face.picture = portrait
    scene.limelight.face.head_folder = "/nowhere/at/all"
    assert offered()[1] == "limelight.repair"
    scene.limelight.face.head_folder = ""
    stored = preferences.addon_preferences(bpy.context)
    path, stored.existing_python = stored.existing_python, ""
    assert offered()[1] == "limelight.show_preferences"
    stored.existing_python = path


def test_a_still_of_a_sequence_is_the_portrait(portrait, scene, tmp_path):
    for number in (1, 2):
        portrait.filepath_raw, portrait.file_format = str(tmp_path / f"shot_{number:02}.png"), "PNG"
        portrait.save()
    moving = bpy.data.images.load(str(tmp_path / "shot_01.png"))
    moving.source = "SEQUENCE"
    scene.limelight.face.picture = moving
    assert bpy.ops.limelight.face_still() == {"FINISHED"}
    assert scene.limelight.face.picture.name == "shot_01 frame 1" and scene.limelight.face.picture.packed_files


@pytest.mark.parametrize("name", PANELS)
def test_the_panels_draw_in_every_state(portrait, scene, draw, name):
    for step in ("", "face_find", "face_make"):
        if step:
            getattr(bpy.ops.limelight, step)()
        for image in (None, portrait, bpy.data.images.new("other", 8, 8)):
            recorder = panel(draw, name, image)
            assert recorder.calls
            if "settings" not in name:
                assert any("people who agreed" in text for text in recorder.texts())
    if "settings" not in name:
        wanted = {"limelight.face_light", "limelight.face_place", "limelight.face_export", "limelight.face_take"}
        assert wanted <= set(panel(draw, name, portrait).operators())


def test_a_running_job_shows_its_progress_here_only(portrait, draw):
    manager = bpy.context.window_manager.limelight
    manager.running, manager.fraction, manager.stage = True, 0.4, "Fitting the head"
    try:
        for kind, here in (("face", True), ("landmarks", True), ("light", False)):
            manager.kind = kind
            assert ("limelight.cancel" in panel(draw).operators()) == here
            assert ("limelight.cancel" in panel(draw, "LIMELIGHT_PT_estimate").operators()) != here
    finally:
        manager.running = False


def test_the_file_is_refused_unless_it_is_gltf(portrait, scene, tmp_path):
    bpy.ops.limelight.face_make()
    with pytest.raises(RuntimeError, match=r"ends in \.glb or \.gltf"):
        bpy.ops.limelight.face_export(filepath=str(tmp_path / "head.obj"))
    if "gltf" in dir(bpy.ops.export_scene):
        assert bpy.ops.limelight.face_export(filepath=str(tmp_path / "head.glb")) == {"FINISHED"}
        assert (tmp_path / "head.glb").stat().st_size > 5000


def test_the_still_of_a_portrait_that_moves_is_what_the_editor_shows(scene, tmp_path):
    for number in (101, 102, 103):
        write_picture(tmp_path / f"shot_{number}.png", (number / 400, 0.0, 0.0))
    moving = bpy.data.images.load(str(tmp_path / "shot_101.png"))
    moving.source, scene.limelight.face.picture = "SEQUENCE", moving
    editor = editors.of_images()[0]
    editor.image = moving
    counted = editor.image_user
    counted.frame_start, counted.frame_offset, counted.frame_duration = 1, 100, 3
    for frame in (1, 3):
        scene.limelight.face.picture = moving
        editor.image = moving
        scene.frame_set(frame)
        assert bpy.ops.limelight.face_still() == {"FINISHED"}
        assert scene.limelight.face.picture.pixels[0] == pytest.approx((100 + frame) / 400, abs=3e-3)
