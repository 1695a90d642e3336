# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps an estimate from starting: all of it is told, and every button repairs what it stands under."""

import math

import bpy
import numpy as np
import pytest
from limelight.scene import camera as cameras
from limelight.scene import capture, face_problems, probes, problems, relight_problems, visible
from limelight.tests.addon.lit_scene import add_cube


def test_all_problems_are_listed_with_their_repairs(scene, add_camera):
    scene.limelight.source = "PLATE"
    found = problems.find_problems(bpy.context)
    assert {p.operator_idname for p in found} == {"limelight.set_plate", "limelight.add_camera", "limelight.add_probe"}
    scene.limelight.source = "SCENE"
    camera = add_camera(scene)
    camera.rotation_euler = (math.pi / 2, 0, 0)
    probes.add_probe(scene, (0, -3, 0), 0.1)
    bpy.context.view_layer.update()
    assert ["behind" in p.text for p in problems.find_problems(bpy.context)] == [True]
    probes.probes(scene)[0].location = (0, 3, 0)
    bpy.context.view_layer.update()
    assert problems.find_problems(bpy.context) == []


def hidden(scene):
    bpy.context.view_layer.update()
    return [p.text for p in problems.find_problems(bpy.context) if p.operator_idname == "limelight.reveal_probe"]


def test_a_probe_behind_geometry_is_told_where_geometry_is_what_the_engine_sees(scene, add_camera):
    camera = add_camera(scene)
    camera.location, camera.rotation_euler = (0, -6, 0), (math.pi / 2, 0, 0)
    cube = add_cube(scene)
    probe = probes.add_probe(scene, (0.2, 3, 0.1), 0.2)
    assert hidden(scene) == [f"{probe.name} is hidden from the camera by “Cube”"]
    assert problems.find_problems(bpy.context, quick=True) == []
    helpers = bpy.data.collections.new("Helpers")
    scene.collection.children.link(helpers)
    scene.collection.objects.unlink(cube)
    helpers.objects.link(cube)
    for owner in (cube, helpers):
        owner.hide_render = True
        assert hidden(scene) == []
        owner.hide_render = False
    assert hidden(scene) != []
    settings = scene.limelight
    settings.source, settings.plate = "PLATE", bpy.data.images.new("photo", 48, 32)
    # In a photo whose depth is estimated, what stands in the scene is not there.
    assert hidden(scene) == []
    settings.depth_source = "GEOMETRY"
    assert hidden(scene) != []
    before = cameras.project(scene, camera, probe.matrix_world.translation)
    assert bpy.ops.limelight.reveal_probe(name=probe.name) == {"FINISHED"}
    after = cameras.project(scene, camera, probe.matrix_world.translation)
    assert hidden(scene) == [] and after[:2] == pytest.approx(before[:2], abs=1e-4)
    assert 5 - 1.2 * 0.2 < after[2] < 5 - 0.2
    assert bpy.ops.limelight.reveal_probe(name=probe.name) == {"CANCELLED"}


def test_what_geometry_counts_is_found_once_for_all_probes(scene, monkeypatch, add_camera):
    camera = add_camera(scene)
    camera.location, camera.rotation_euler = (0, -6, 0), (math.pi / 2, 0, 0)
    cube, asked, unseen = add_cube(scene), [], visible.unseen
    monkeypatch.setattr(visible, "unseen", lambda context: asked.append(context) or unseen(context))
    for place in (-0.3, 0.0, 0.3):
        probes.add_probe(scene, (place, 3, 0), 0.1)
    assert len(hidden(scene)) == 3 and len(asked) == 1 and cube not in unseen(asked[0])


@pytest.mark.parametrize("name", ["depth.exr", "depth_####.exr"])
def test_a_probe_behind_the_depth_file_is_told(scene, tmp_path, add_camera, name):
    camera = add_camera(scene)
    camera.rotation_euler = (math.pi / 2, 0, 0)
    probe = probes.add_probe(scene, (0.5, 4, 0), 0.2)
    # The right half of the picture is a wall at three metres, the left half is far away.
    values = np.full((32, 48), 50, np.float32)
    values[:, 24:] = 3.0
    capture._write_depth(tmp_path / name.replace("####", "0007"), values)
    scene.frame_set(7)
    settings = scene.limelight
    settings.source, settings.plate = "PLATE", bpy.data.images.new("photo", 48, 32)
    settings.depth_source, settings.depth_file = "FILE", str(tmp_path / name)
    assert hidden(scene) == [f"{probe.name} is hidden from the camera by what the depth file shows"]
    probe.location.x = -0.5
    assert hidden(scene) == []
    probe.location.x = 0.5
    bpy.context.view_layer.update()
    bpy.ops.limelight.reveal_probe(name=probe.name)
    assert hidden(scene) == [] and probe.location.y == pytest.approx(3 - 0.21, abs=0.01)
    assert len(bpy.data.images) == 1


def gone(scene, folder):
    image = bpy.data.images.new("photo", 8, 8)
    image.filepath_raw, image.file_format = str(folder / "photo.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    scene.limelight.plate = bpy.data.images.load(str(folder / "photo.png"))
    (folder / "photo.png").unlink()


def depth_of(scene, source, path=""):
    scene.limelight.plate = bpy.data.images.new("photo", 48, 32)
    scene.limelight.depth_source, scene.limelight.depth_file = source, path


def unreadable(scene, folder):
    (folder / "depth.exr").write_bytes(b"no picture")
    depth_of(scene, "FILE", str(folder / "depth.exr"))


def below_nothing(scene, probe):
    parent = bpy.data.objects.new("Rig", None)
    scene.collection.objects.link(parent)
    probe.parent, parent.scale, parent.location = parent, (0, 0, 0), (0, 3, 0)
    probe.location = (0, 0, 0)


BROKEN = {
    "an orthographic camera": lambda s, p, f: setattr(s.camera.data, "type", "ORTHO"),
    "every probe off": lambda s, p, f: setattr(p.limelight, "use", False),
    "a probe behind the camera": lambda s, p, f: setattr(p, "location", (0, -30, 2)),
    "a probe outside the picture": lambda s, p, f: setattr(p, "location", (40, 3, 1)),
    "a probe that fills the view": lambda s, p, f: setattr(p.limelight, "radius", 8.0),
    "a probe that is scaled to nothing": lambda s, p, f: setattr(p, "scale", (0, 0, 0)),
    "a probe below a parent of no size": lambda s, p, f: below_nothing(s, p),
    "no depth file chosen": lambda s, p, f: depth_of(s, "FILE"),
    "no depth file": lambda s, p, f: depth_of(s, "FILE", str(f / "none.exr")),
    "a depth file that is none": lambda s, p, f: unreadable(s, f),
    "no geometry for the depth": lambda s, p, f: depth_of(s, "GEOMETRY"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_the_button_of_a_problem_repairs_it_and_says_how(scene, tmp_path, name, add_camera):
    camera = add_camera(scene)
    camera.location, camera.rotation_euler = (0, -6, 0), (math.pi / 2, 0, 0)
    probe = probes.add_probe(scene, (0, 3, 0), 0.1, 'My "probe" ä.1')
    scene.limelight.source = "PLATE" if "depth" in name else "SCENE"
    BROKEN[name](scene, probe, tmp_path)
    bpy.context.view_layer.update()
    (problem,) = problems.find_problems(bpy.context)
    group, operator = problem.operator_idname.split(".")
    assert getattr(getattr(bpy.ops, group), operator)(**problem.properties) == {"FINISHED"}
    bpy.context.view_layer.update()
    assert problems.find_problems(bpy.context) == []
    if operator == "repair":
        assert len(problem.properties["tip"]) > 20 and not problem.properties["tip"].endswith(".")


def test_a_photo_whose_file_is_gone_is_told_before_the_estimate(scene, tmp_path, add_camera):
    add_camera(scene)
    scene.limelight.source = "PLATE"
    gone(scene, tmp_path)
    found = problems.find_problems(bpy.context)[0]
    assert str(tmp_path / "photo.png") in found.text and found.operator_idname == "limelight.set_plate"


@pytest.mark.skipif(not hasattr(bpy.data, "colorspace"), reason="files have one working space before Blender 5.0")
def test_a_file_that_works_in_other_colours_is_told_and_converted(scene):
    assert not problems.working_space()
    bpy.ops.wm.set_working_color_space(working_space="ACEScg")
    try:
        (found,) = problems.working_space()
        assert "ACEScg" in found.text and problems.find_problems(bpy.context)[0] == found
        assert found in relight_problems.find_problems(scene, None) and found in face_problems.find_problems(scene)
    finally:
        group, name = found.operator_idname.split(".")
        getattr(getattr(bpy.ops, group), name)(**found.properties)
    assert not problems.working_space()


@pytest.mark.parametrize("kind", ["lamp", "empty"])
def test_a_scene_that_looks_through_something_else_is_told_so(scene, tmp_path, kind):
    lamp = bpy.data.lights.new("Spot", "SPOT") if kind == "lamp" else None
    scene.camera = spot = bpy.data.objects.new("Spot", lamp)
    scene.collection.objects.link(spot)
    probes.add_probe(scene, (0, 0, -3), 0.1)
    (found,) = problems.find_problems(bpy.context)
    assert (found.text, found.operator_idname) == (
        "The scene looks through “Spot”, which is no camera",
        "limelight.add_camera",
    )
    for button, given in (("reveal_probe", {"name": "Probe"}), ("estimate", {}), ("sun_from_photo", {})):
        with pytest.raises(RuntimeError, match="looks through “Spot”"):
            getattr(bpy.ops.limelight, button)(**given)
    assert not bpy.ops.limelight.add_probe_image.poll()
    image = bpy.data.images.new("photo", 48, 32)
    image.filepath_raw, image.file_format = str(tmp_path / "photo.png"), "PNG"
    image.save()
    # A photo brings a camera.
    assert bpy.ops.limelight.set_plate(filepath=str(tmp_path / "photo.png")) == {"FINISHED"}
    assert scene.camera.type == "CAMERA" and not problems.of_camera(scene)


def test_a_view_that_scale_distorts_is_told_and_mended(scene, add_camera):
    camera, parent = add_camera(scene), bpy.data.objects.new("Parent", None)
    scene.collection.objects.link(parent)
    camera.rotation_euler = (1.2, 0.1, 0.3)
    for scale, seen in (((3, 3, 3), True), ((-1, -1, 2), True), ((-1, 1, 1), False), ((1, 0, 1), False)):
        camera.scale = scale
        bpy.context.view_layer.update()
        assert bool(problems.of_camera(scene)) != seen
    (found,) = problems.of_camera(scene)
    assert found in face_problems.find_head_problems(scene)
    bpy.ops.limelight.repair(**found.properties)
    assert problems.of_camera(scene) == []
    camera.parent, parent.scale = parent, (2, 2, 2)
    bpy.context.view_layer.update()
    assert problems.of_camera(scene) == []
    parent.scale = 1, 3, 1
    bpy.context.view_layer.update()
    (found,) = problems.of_camera(scene)
    assert found.operator_idname == "limelight.add_camera" and found in problems.find_problems(bpy.context)
    with pytest.raises(ValueError, match=r"scale of “.*” or its parents distorts"):
        cameras.placement(camera)


@pytest.mark.parametrize("how", ["excluded", "collection off", "object off"])
def test_a_probe_that_viewports_leave_out_is_where_it_was_put_in_a_file_that_was_opened_anew(
    scene, tmp_path, add_camera, how
):
    add_camera(scene).rotation_euler = (math.pi / 2, 0, 0)
    parent = bpy.data.objects.new("Parent", None)
    scene.collection.objects.link(parent)
    parent.location, parent.scale = (1, 0, 0), (2, 2, 2)
    probe = probes.add_probe(scene, (0, 3, 0), 0.1)
    probe.parent = parent
    bpy.context.view_layer.update()
    if how == "excluded":
        bpy.context.view_layer.layer_collection.children[probes.COLLECTION].exclude = True
    (probe if how == "object off" else probe.users_collection[0]).hide_viewport = how != "excluded"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    scene, (probe,) = bpy.context.scene, probes.probes(bpy.context.scene)
    assert probe.matrix_world.translation.length == 0, "Blender does not tell"
    assert probes.position_in_camera(probe, scene.camera)[:] == pytest.approx((1, 0, -6), abs=1e-5)
    assert probes.radius_in_world(probe) == pytest.approx(0.2)
    assert problems.find_problems(bpy.context) == []
    bpy.data.objects["Parent"].location.y = -30
    bpy.context.view_layer.update()
    (found,) = problems.find_problems(bpy.context)
    assert "behind the camera" in found.text
    bpy.ops.limelight.reveal_probe(**found.properties)
    assert problems.find_problems(bpy.context) == [] and probes.radius_in_world(probe) == pytest.approx(0.2)


@pytest.mark.parametrize("how", ["excluded", "collection off", "object off"])
@pytest.mark.parametrize("moved", ["keys", "a driver", "a constraint", "its parent"])
def test_a_probe_that_nothing_moves_while_viewports_leave_it_out_is_told(scene, add_camera, moved, how):
    add_camera(scene).rotation_euler = (math.pi / 2, 0, 0)
    outer = bpy.data.collections.new('Set "ä"')
    scene.collection.children.link(outer)
    probe, parent = probes.add_probe(scene, (0, 3, 0), 0.1), bpy.data.objects.new("Parent", None)
    limelight = probe.users_collection[0]
    scene.collection.children.unlink(limelight)
    outer.children.link(limelight)
    outer.objects.link(parent)
    if moved == "a driver":
        probe.driver_add("location", 1).driver.expression = "frame"
    elif moved == "a constraint":
        probe.constraints.new("COPY_LOCATION").target = parent
    else:
        keyed = probe if moved == "keys" else parent
        probe.parent = parent if moved == "its parent" else None
        for frame, y in ((1, 1), (20, 20)):
            keyed.location.y = y
            keyed.keyframe_insert("location", frame=frame)
    scene.frame_set(3)
    told, words = problems.find_problems(bpy.context), "Keys, drivers or constraints say where"
    assert not any(words in p.text for p in told)
    if how == "excluded":
        bpy.context.view_layer.layer_collection.children[outer.name].exclude = True
    (probe if how == "object off" else outer).hide_viewport = how != "excluded"
    scene.frame_set(9)
    if moved == "its parent" and how == "object off":
        # The parent is in the viewport and placed.
        assert not any(words in p.text for p in problems.find_problems(bpy.context))
        return
    for frames in (True, False):
        scene.limelight.frames.use = frames
        (found,) = (p for p in problems.find_problems(bpy.context) if "is off in viewports" in p.text)
    assert found.text.startswith(f"{words} {probe.name} is")
    assert bpy.ops.limelight.release_probe(**found.properties) == {"FINISHED"}
    if moved != "a constraint":
        assert 8 < probe.matrix_world.translation.y < 13
    assert not any(words in p.text for p in problems.find_problems(bpy.context))
