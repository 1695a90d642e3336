# SPDX-License-Identifier: GPL-3.0-or-later
"""Plates that move: the engine gets the frame that the scene's current frame shows."""

import json
from pathlib import Path

import bpy
import numpy as np
import pytest
from limelight.scene import (
    capture,
    command,
    compat,
    composite,
    frames,
    pixels,
    plate,
    probes,
    problems,
    shot,
    shot_folder,
    stills,
)
from mathutils import Vector

SIZE = (32, 16)


def shoot(folder, numbers, name="v2_shot_{:04}x.png"):
    """Pictures whose grey tells their number: a twentieth of it."""
    paths = []
    for number in numbers:
        image = bpy.data.images.new("frame", *SIZE)
        image.pixels = [number / 20, number / 20, number / 20, 1.0] * (SIZE[0] * SIZE[1])
        paths.append(folder / name.format(number))
        image.filepath_raw, image.file_format = str(paths[-1]), "PNG"
        image.save()
        bpy.data.images.remove(image)
    return paths


def film(folder, count):
    """A movie of the same greys at 12 pictures a second, another rate than the scene's."""
    stage = bpy.data.scenes.new("film")
    strips = compat.strips(stage.sequence_editor_create())
    for number, path in enumerate(shoot(folder, range(1, count + 1), "film_{}.png"), start=1):
        strips.new_image(path.name, str(path), 1, number)
    render = stage.render
    stage.frame_start, stage.frame_end, render.fps = 1, count, 12
    render.resolution_x, render.resolution_y = SIZE
    stage.view_settings.view_transform, render.dither_intensity = "Standard", 0.0
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.constant_rate_factor = "MPEG4", "H264", "LOSSLESS"
    render.filepath, render.use_file_extension = str(folder / "film ä.mp4"), False
    bpy.ops.render.render(animation=True, scene=stage.name)
    bpy.data.scenes.remove(stage)
    return folder / "film ä.mp4"


def captured(scene, folder):
    """The number told by the grey of the picture that the engine would get."""
    bpy.context.view_layer.update()
    params = capture.capture(bpy.context, folder)
    image = bpy.data.images.load(params["images"][0], check_existing=False)
    assert tuple(image.size) == SIZE == (params["camera"]["width"], params["camera"]["height"])
    grey = np.array(image.pixels[:]).reshape(-1, 4)[:, :3].mean()
    bpy.data.images.remove(image)
    return pytest.approx(20 * grey, abs=0.15)


def told(scene):
    return [(p.text, json.loads(p.properties.get("value", "null"))) for p in problems.find_problems(bpy.context)]


@pytest.fixture
def sequence(scene, tmp_path):
    """A scene whose photo is a sequence of the files 3 to 7."""
    first, *_ = shoot(tmp_path, range(3, 8))
    camera = plate.set_plate(scene, str(first), 60)
    scene.limelight.plate.source = "SEQUENCE"
    probes.add_probe(scene, camera.matrix_world.translation + camera.matrix_world.to_3x3().col[2] * -3, 0.1)
    bpy.context.view_layer.update()
    return scene


def test_a_sequence_gives_the_file_of_the_current_frame(sequence, tmp_path):
    before = len(bpy.data.images)
    for frame in (3, 5, 7):
        sequence.frame_set(frame)
        assert told(sequence) == []
        assert captured(sequence, tmp_path / "job") == frame
    assert len(bpy.data.images) == before


def test_a_linked_sequence_is_found_beside_its_own_file(scene, tmp_path):
    (tmp_path / "set").mkdir()
    first, *_ = shoot(tmp_path / "set", range(3, 8))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set" / "set.blend"))
    image = bpy.data.images.load(str(first))
    image.source, image.filepath, image.use_fake_user = "SEQUENCE", f"//{first.name}", True
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    with bpy.data.libraries.load(str(tmp_path / "set" / "set.blend"), link=True) as (_there, wanted):
        wanted.images = [first.name]
    bpy.context.scene.frame_set(5)
    still = stills.take(bpy.context.scene, wanted.images[0], tmp_path)
    assert pixels.of(still)[..., 0].mean() * 20 == pytest.approx(5, abs=0.15)


def test_a_sequence_counts_as_the_background_does(sequence, tmp_path):
    shown = sequence.camera.data.background_images[0].image_user
    shown.frame_start, shown.frame_duration, shown.frame_offset = 101, 4, 2
    sequence.frame_set(102)
    assert captured(sequence, tmp_path / "job") == 4
    sequence.frame_set(105)
    name = sequence.limelight.plate.name
    assert told(sequence) == [(f"“{name}” is shown at the frames 101 to 104, not at 105", 104)]
    shown.use_cyclic = True
    assert told(sequence) == [] and captured(sequence, tmp_path / "job") == 3
    tree = composite.setup_composite(sequence)
    (photo,) = [node for node in tree.nodes if node.type == "IMAGE"]
    assert (photo.frame_start, photo.frame_duration, photo.frame_offset, photo.use_cyclic) == (101, 4, 2, True)


def test_a_sequence_counts_on_where_the_scene_goes_on_to_a_camera_without_it(sequence, add_camera):
    counted = sequence.camera.data.background_images[0].image_user
    counted.frame_start, counted.frame_offset, counted.frame_duration = 10, 2, 5
    add_camera(sequence)
    sequence.frame_set(12)
    assert "_0005" in frames.source(sequence).stem


def test_a_sequence_with_layers_gives_the_finished_picture_of_the_current_frame(scene, add_camera, tmp_path):
    camera, world = add_camera(scene), bpy.data.worlds.new("Bright")
    scene.world, scene.cycles.samples = world, 1
    scene.view_layers[0].use_pass_normal = True
    if hasattr(scene.render.image_settings, "media_type"):
        scene.render.image_settings.media_type = "MULTI_LAYER_IMAGE"
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    for number in (3, 4):
        compat.node_tree(world).nodes["Background"].inputs[0].default_value = number, 2.0, 1.0, 1.0
        scene.render.filepath = str(tmp_path / f"shot_{number:04d}.exr")
        bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(tmp_path / "shot_0003.exr"))
    image.source = "SEQUENCE"
    plate.use_image(scene, image)
    assert camera.data.background_images[0].image == image
    scene.frame_set(4)
    if not compat.SAVES_FINISHED:
        with pytest.raises(ValueError, match="another of its passes"):
            frames.save_still(scene, tmp_path)
        return
    path, size = frames.save_still(scene, tmp_path)
    assert size == frames.size(scene) == (48, 32) and pixels.read(path)[5, 5, 0] == pytest.approx(4, rel=1e-3)
    still = stills.take(scene, image, tmp_path)
    assert "frame 4" in still.name and pixels.of(still)[5, 5, 0] == pytest.approx(4, rel=1e-3)
    composite.setup_composite(scene)


def composited(scene, frame, folder):
    """The number told by the grey of the picture that is rendered over the photo."""
    scene.frame_set(frame)
    command.render_to(scene, folder / "out_#.png")
    image = bpy.data.images.load(str(folder / f"out_{frame}.png"), check_existing=False)
    grey = np.array(image.pixels[:]).reshape(-1, 4)[:, :3].mean()
    bpy.data.images.remove(image)
    return pytest.approx(20 * grey, abs=0.15)


def test_a_sequence_moves_in_the_composite_as_the_engine_sees_it(sequence, tmp_path):
    sequence.cycles.samples = 1
    composite.setup_composite(sequence)
    assert [composited(sequence, frame, tmp_path) for frame in (3, 5, 7)] == [3, 5, 7]


def test_another_photo_that_moves_takes_the_place_of_a_still_in_the_composite(scene, tmp_path):
    plate.set_plate(scene, str(shoot(tmp_path, [9])[0]), 60)
    tree = composite.setup_composite(scene)
    plate.set_plate(scene, str(film(tmp_path, 4)), 60)
    (photo,) = [node for node in tree.nodes if node.type == "IMAGE"]
    assert (photo.image, photo.frame_start, photo.frame_duration) == (scene.limelight.plate, 1, 4)


def test_a_missing_frame_is_a_problem_whose_button_goes_to_the_nearest(sequence, tmp_path):
    sequence.frame_set(9)
    name = sequence.limelight.plate.name
    (problem,) = problems.find_problems(bpy.context)
    assert problem.text == f"“{name}” has no frame 9, it has 3 to 7"
    with pytest.raises(frames.NoFrame, match="has no frame 9"):
        capture.capture(bpy.context, tmp_path / "job")
    bpy.ops.limelight.repair(**problem.properties)
    assert sequence.frame_current == 7 and told(sequence) == []
    for path in tmp_path.glob("v2_shot_*"):
        path.unlink()
    assert told(sequence) == [(f"“{name}” has no frame 7: none of its files is there", None)]


def test_a_gap_in_a_sequence_is_told_by_its_file_and_its_button_leads_to_what_is_shown(sequence, tmp_path):
    first = Path(bpy.path.abspath(sequence.limelight.plate.filepath))
    first.with_name(first.name.replace("3", "6")).unlink()
    name, gone = sequence.limelight.plate.name, first.name.replace("3", "6")
    text = f"“{name}” has no frame 6, its file “{gone}” is not there"
    sequence.frame_set(6)
    assert told(sequence) == [(text, 5)]
    # The background begins with the one that is not there: the frame before it shows nothing.
    counted = sequence.camera.data.background_images[0].image_user
    counted.frame_start, counted.frame_offset, counted.frame_duration = 1, 5, 3
    sequence.frame_set(1)
    assert told(sequence) == [(text, 2)]
    sequence.frame_set(2)
    assert told(sequence) == []


def test_a_movie_gives_the_current_frame_and_tells_its_end(scene, tmp_path):
    path = film(tmp_path, 6)
    camera = plate.set_plate(scene, str(path), 60)
    assert (scene.render.resolution_x, scene.render.resolution_y) == SIZE
    probes.add_probe(scene, camera.matrix_world.translation + camera.matrix_world.to_3x3().col[2] * -3, 0.1)
    bpy.context.view_layer.update()
    scenes = len(bpy.data.scenes)
    for frame in (1, 4, 6):
        scene.frame_set(frame)
        assert told(scene) == []
        assert captured(scene, tmp_path / "job") == frame
        assert scene.frame_current == frame
    assert len(bpy.data.scenes) == scenes
    scene.frame_set(7)
    assert told(scene) == [("“film ä.mp4” is shown at the frames 1 to 6, not at 7", 6)]


def written(scene, base, wanted, **of):
    """The shot of some frames, and the numbers told by the greys of the pictures that the engine would get."""
    made = shot.Shot(scene, base, wanted, **of)
    while not made.ready:
        made.step(bpy.context, base)
    params, greys = made.request(), []
    for number in made.numbers.values():
        path = params["images"][0].replace("####", f"{number:04d}")
        image = bpy.data.images.load(path, check_existing=False)
        greys.append(pytest.approx(20 * np.array(image.pixels[:]).reshape(-1, 4)[:, :3].mean(), abs=0.15))
        bpy.data.images.remove(image)
    return params, greys


def test_a_shot_of_a_movie_has_its_frames_and_their_numbers(scene, tmp_path):
    camera = plate.set_plate(scene, str(film(tmp_path, 6)), 60)
    camera.data.background_images[0].image_user.frame_start = -3
    probes.add_probe(scene, camera.matrix_world.translation + camera.matrix_world.to_3x3().col[2] * -3, 0.1)
    bpy.context.view_layer.update()
    scene.frame_set(1)
    params, greys = written(scene, tmp_path / "light", [-2, 0, 2])
    assert greys == [2, 4, 6] and params["range"] == "1-5x2" and scene.frame_current == 1
    with pytest.raises(frames.NoFrame, match="is shown at the frames -3 to 2, not at 3"):
        written(scene, tmp_path / "light", [2, 3])


def test_a_shot_of_a_sequence_takes_its_files_and_keeps_them(sequence, tmp_path):
    params, greys = written(sequence, tmp_path / "light", [4, 5, 6])
    assert greys == [4, 5, 6] and params["depth"] is None
    assert len(list(tmp_path.glob("v2_shot_*"))) == 5
    # Depth maps of a sequence are chosen by frame.
    sequence.limelight.depth_source, sequence.limelight.depth_file = "FILE", str(tmp_path / "z_##.exr")
    for frame in (4, 5):
        pixels.write(tmp_path / f"z_{frame:02d}.exr", np.full((4, 8), float(frame), np.float32))
    params, greys = written(sequence, tmp_path / "light", [4, 5])
    assert greys == [4, 5]
    for frame in (4, 5):
        depth = pixels.read(tmp_path / params["depth"].replace("####", f"{frame:04d}"))
        assert depth[..., 0] == pytest.approx(float(frame)) and (tmp_path / f"z_{frame:02d}.exr").is_file()


def test_a_depth_file_is_found_as_windows_and_homes_write_it(scene, tmp_path, monkeypatch):
    (tmp_path / "maps").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    for text in ("//maps\\z_##.exr", "~/maps/z_##.exr", "maps/z_##.exr"):
        assert frames.numbered(text, 7) == tmp_path / "maps" / "z_07.exr", text


def test_a_shot_goes_on_where_its_project_was_moved_to(scene, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    first, *_ = shoot(old, range(3, 8))
    pixels.write(old / "z.exr", np.full((4, 8), 4.0, np.float32))
    bpy.ops.wm.save_as_mainfile(filepath=str(old / "shot.blend"))
    camera = plate.set_plate(scene, str(first), 60)
    scene.limelight.plate.source = "SEQUENCE"
    scene.limelight.depth_source, scene.limelight.depth_file = "FILE", "//z.exr"
    probes.add_probe(scene, camera.matrix_world.translation + camera.matrix_world.to_3x3().col[2] * -3, 0.1)
    made, _ = written(scene, old / "light", [4, 5])
    bpy.ops.wm.save_mainfile()
    old.rename(new)
    bpy.ops.wm.open_mainfile(filepath=str(new / "shot.blend"))
    moved, _ = written(bpy.context.scene, new / "light", [4, 5])
    assert moved["out"] == made["out"].replace("old", "new")
    (new / "sub").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(new / "sub" / "shot.blend"))
    assert written(bpy.context.scene, new / "light", [4, 5])[0]["out"] == moved["out"]
    shoot(new, [4])
    assert written(bpy.context.scene, new / "light", [4, 5])[0]["out"] != moved["out"], "another picture"


@pytest.fixture
def wall(scene, add_camera):
    """A scene of its own: a camera that looks at a shining wall, two metres away, before a dim sky."""
    scene.limelight.source, scene.world = "SCENE", bpy.data.worlds.new("Sky")
    scene.world.color = (0.05, 0.05, 0.05)
    bpy.ops.mesh.primitive_plane_add(size=20, location=(0, 0, -2))
    made = bpy.context.object
    made.data.materials.append(bpy.data.materials.new("Glow"))
    tree = compat.node_tree(made.data.materials[0])
    tree.nodes.clear()
    glow, out = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    glow.inputs["Strength"].default_value = 0.5
    tree.links.new(glow.outputs[0], out.inputs["Surface"])
    add_camera(scene)
    probes.add_probe(scene, Vector((0, 0, -1)), 0.1)
    bpy.context.view_layer.update()
    return made


def finished(made):
    """The name of a shot's folder, left as a whole estimate leaves it."""
    folder = Path(made[0]["out"])
    (folder / "frames").mkdir(exist_ok=True)
    shot_folder.forget_pictures(folder)
    return folder.name


def test_a_picture_that_a_full_disk_cut_off_is_written_down_again(sequence, tmp_path, monkeypatch):
    def half(path, place):
        Path(place).write_bytes(Path(path).read_bytes()[:99])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(shot.os, "link", half)
        full.setattr(shot.shutil, "copyfile", half)
        with pytest.raises(OSError, match="No space"):
            written(sequence, tmp_path / "light", [4, 5])
    (folder,) = (tmp_path / "light").iterdir()
    assert sorted(path.suffix for path in folder.rglob("*") if path.is_file()) == [".json", ".json"]
    _, greys = written(sequence, tmp_path / "light", [4, 5])
    assert greys == [4, 5]


def test_depth_that_changed_makes_another_shot(wall, scene, tmp_path):
    plate.set_plate(scene, str(shoot(tmp_path, [4])[0]), 60)
    scene.camera.matrix_world.identity()
    settings, base = scene.limelight, tmp_path / "light"
    settings.depth_source = "GEOMETRY"
    assert finished(written(scene, base, [1])) == "Scene_001"
    wall.location.z = -3
    assert finished(written(scene, base, [1])) == "Scene_002", "nobody knows what changed in the scene"
    settings.depth_source, settings.depth_file = "FILE", str(tmp_path / "z.exr")
    for far, name in ((2.0, "Scene_003"), (3.0, "Scene_004")):
        pixels.write(tmp_path / "z.exr", np.full((4, 8), far, np.float32))
        params, _ = written(scene, base, [1])
        assert Path(params["depth"]).parent == Path(params["out"]), "so that a list can be moved with its folder"
        assert pixels.read(Path(params["depth"]))[..., 0] == pytest.approx(far)
        assert written(scene, base, [1])[0] == params, "one that goes on is told the same"
        assert finished((params,)) == finished(written(scene, base, [1])) == name


@pytest.mark.parametrize("how", ["packed", "painted", "generated"])
def test_another_photo_that_is_in_no_file_makes_another_shot(sequence, tmp_path, how):
    first, second = shoot(tmp_path, [4, 8], "still_{}.png")
    settings, base = sequence.limelight, tmp_path / "light"
    settings.plate = bpy.data.images.load(str(first))
    if how == "packed":
        settings.plate.pack()
    elif how == "generated":
        settings.plate = bpy.data.images.new("still", *SIZE)
        settings.plate.pixels = [0.2, 0.2, 0.2, 1.0] * (SIZE[0] * SIZE[1])
    made = written(sequence, base, [1, 2])
    assert made[1] == [4, 4] and finished(made) == finished(written(sequence, base, [1, 2])) == "Scene_001"
    if how == "packed":
        settings.plate = bpy.data.images.load(str(second))
        settings.plate.pack()
    else:
        settings.plate.pixels = [0.4, 0.4, 0.4, 1.0] * (SIZE[0] * SIZE[1])
    made = written(sequence, base, [1, 2])
    assert made[1] == [8, 8] and finished(made) == "Scene_002"


def test_a_shot_of_another_camera_sees_by_it_whatever_the_cuts_say(wall, scene, add_camera, tmp_path):
    first, other = scene.camera, add_camera(scene)
    other.location.z, other.rotation_euler.x = -1.5, np.pi  # looks up, away from the wall
    scene.camera, marker = first, scene.timeline_markers.new("cut", frame=1)
    marker.camera = first
    bpy.context.view_layer.update()
    assert written(scene, tmp_path, [1], camera=other.name)[1] == [20 * 0.05]
    assert marker.camera == scene.camera == first
    assert written(scene, tmp_path, [1])[1] == [20 * 0.5], "a shot of no camera of its own goes by the cuts"
