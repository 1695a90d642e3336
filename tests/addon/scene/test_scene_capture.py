# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine sees of a scene, and that no setting is another one afterwards."""

import json
import math
from contextlib import nullcontext
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from limelight.scene import bake, capture, catcher, compat, domes, lamps, probes, renderer, visible, world
from limelight.tests.addon.lit_scene import add_cube, read_picture


def test_scene_capture_gives_parameters_and_restores_every_setting(scene, tmp_path, add_camera):
    camera = add_camera(scene)
    camera.location, camera.rotation_euler = (0, -6, 0), (math.pi / 2, 0, 0)
    add_cube(scene)
    probe = probes.add_probe(scene, (1.5, -1, 0.5), 0.2)
    bpy.context.view_layer.update()
    render = scene.render
    before = (render.engine, render.resolution_x, render.filepath, render.image_settings.file_format,
              scene.cycles.samples, render.film_transparent)  # fmt: skip
    params = capture.capture(bpy.context, tmp_path)
    after = (render.engine, render.resolution_x, render.filepath, render.image_settings.file_format,
             scene.cycles.samples, render.film_transparent)  # fmt: skip
    assert after == before
    assert params["probes"][0]["position"] == pytest.approx([1.5, 0.5, -5.0], abs=1e-5)
    assert params["probes"][0]["radius"] == pytest.approx(probe.limelight.radius)
    assert (tmp_path / "view.exr").stat().st_size > 500
    assert (tmp_path / "depth.exr").stat().st_size > 200
    assert params["frame"] == "world"


@pytest.fixture
def lit_probe(scene, add_camera):
    """A cube in the artist's own light, and a probe beside it that holds light."""
    camera = add_camera(scene)
    camera.location, camera.rotation_euler = (0, -6, 1), (1.4, 0, 0)
    add_cube(scene)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.rotation_euler = (0.5, 0.3, 0.0)
    sun.data.color = (1.0, 0.6, 0.2)
    scene.collection.objects.link(sun)
    scene.world = bpy.data.worlds.new("Sky")
    compat.node_tree(scene.world)
    probe = probes.add_probe(scene, (1.5, -1, 0.5), 0.2)
    for slot in ("environment", "fill"):
        image = bpy.data.images.new(slot, 8, 4, float_buffer=True)
        image.pixels.foreach_set([2.0] * 128)
        setattr(probe.limelight, slot, image)
    lamp = {"kind": "area", "direction": [0.5, -0.2, 0.5], "irradiance": [9, 9, 9], "angle_deg": 40}
    probe.limelight.lamps = json.dumps([lamp])
    bpy.context.view_layer.update()
    return probe


def settings_of(scene):
    """Everything that can be set about a scene's renders, colours and objects, by name."""
    image = scene.render.image_settings
    owners = {"render": scene.render, "image": image, "view": scene.view_settings, "display": scene.display_settings,
              "image view": image.view_settings,
              "linear": image.linear_colorspace_settings, "cycles": scene.cycles, "scene": scene}  # fmt: skip
    plain = {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"}
    found = {
        (owner, p.identifier): getattr(it, p.identifier)
        for owner, it in owners.items()
        for p in it.bl_rna.properties
        if not (p.is_readonly or getattr(p, "is_array", False) or p.identifier == "use_nodes") and p.type in plain
    }
    layers = [(layer.name, layer.use) for layer in scene.view_layers]
    return found | {"world": scene.world, "layers": layers, "shown": [(o.name, o.hide_render) for o in scene.objects]}


FORMATS = {
    "JPEG": {"file_format": "JPEG", "color_mode": "BW", "use_preview": True},
    "PNG": {"file_format": "PNG", "color_mode": "RGBA", "color_depth": "16", "color_management": "OVERRIDE"},
    "layers": {"media_type": "MULTI_LAYER_IMAGE", "file_format": "OPEN_EXR_MULTILAYER", "exr_codec": "DWAA"},
    "movie": {"media_type": "VIDEO", "file_format": "FFMPEG", "color_mode": "RGB"},
}


def press_escape(monkeypatch):
    """Let renders end without a picture."""
    ops = SimpleNamespace(render=SimpleNamespace(render=lambda **_given: {"FINISHED"}))
    monkeypatch.setattr(renderer, "bpy", SimpleNamespace(app=bpy.app, ops=ops))


def test_a_bake_that_is_cancelled_is_told(scene, monkeypatch, lit_probe):
    press_escape(monkeypatch)
    with pytest.raises(ValueError, match="was cancelled"):
        bake.bake_truth(bpy.context, lit_probe, 64, 1)


@pytest.mark.parametrize("how", list(FORMATS))
@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_every_setting_is_back_however_the_capture_ends(scene, tmp_path, monkeypatch, how, end, lit_probe):
    monkeypatch.setattr(capture, "LONGEST_SIDE", 16)
    world.apply_world(scene, lit_probe)
    lamps.apply_lamps(scene, probes.probes(scene)[0])
    image = scene.render.image_settings
    for name, value in FORMATS[how].items():
        if hasattr(image, name):
            setattr(image, name, value)
    if how == "PNG":
        image.linear_colorspace_settings.name, image.view_settings.gamma = "ACEScg", 2.0
    scene.render.engine, scene.render.use_border, scene.render.use_multiview = "BLENDER_WORKBENCH", True, True
    scene.view_layers.new("Other")
    scene.view_settings.exposure, scene.render.resolution_percentage = 1.5, 50
    before = settings_of(scene)
    during = []

    def fail(scene):
        during.append(settings_of(scene))
        raise RuntimeError("out of memory")

    if end == "failed":
        monkeypatch.setattr(renderer, "render_still", fail)
    elif end == "cancelled":
        press_escape(monkeypatch)
    if end == "done":
        capture.capture(bpy.context, tmp_path)
    else:
        words = {"failed": "out of memory", "cancelled": "was cancelled"}[end]
        with pytest.raises((RuntimeError, ValueError), match=words):
            capture.capture(bpy.context, tmp_path)
    assert not during or during[0] != before
    after = settings_of(scene)
    assert {name: (value, after[name]) for name, value in before.items() if after[name] != value} == {}


def test_the_capture_is_linear_whatever_the_outputs_own_colours_are(scene, tmp_path, monkeypatch, lit_probe):
    monkeypatch.setattr(capture, "LONGEST_SIDE", 16)
    image = scene.render.image_settings
    capture.capture(bpy.context, tmp_path / "plain")
    image.color_management, image.linear_colorspace_settings.name = "OVERRIDE", "ACEScg"
    image.view_settings.exposure = scene.view_settings.exposure = 3.0
    # Light that is estimated and applied would be exposed twice.
    scene.cycles.film_exposure = 4.0
    capture.capture(bpy.context, tmp_path / "own")
    plain, own = (read_picture(tmp_path / name / "view.exr") for name in ("plain", "own"))
    assert plain.max() > 0.05 and np.allclose(plain, own, atol=1e-3)


def test_what_blender_burns_into_images_is_not_in_the_picture(scene, tmp_path, monkeypatch, lit_probe):
    monkeypatch.setattr(capture, "LONGEST_SIDE", 64)
    capture.view(bpy.context, tmp_path / "plain")
    scene.render.use_stamp, scene.render.stamp_font_size = True, 8
    capture.view(bpy.context, tmp_path / "stamped")
    plain, stamped = (read_picture(tmp_path / name / "view.exr") for name in ("plain", "stamped"))
    assert np.allclose(stamped, plain, atol=1e-3)


def into_collection(scene, thing, name):
    """Put an object of the scene's own collection into a new one in there."""
    made = bpy.data.collections.new(name)
    scene.collection.children.link(made)
    scene.collection.objects.unlink(thing)
    made.objects.link(thing)
    return made


@pytest.mark.parametrize("used", [False, True])
def test_picture_and_depth_are_of_the_view_layer_in_view(scene, tmp_path, monkeypatch, used, lit_probe):
    monkeypatch.setattr(capture, "LONGEST_SIDE", 32)
    scene.limelight.source = "SCENE"
    into_collection(scene, scene.objects["Cube"], "Foreground")
    looked_at = scene.view_layers.new("All")
    looked_at.use = used
    scene.view_layers[0].layer_collection.children["Foreground"].exclude = True
    scene.world, scene.objects["Sun"].rotation_euler = None, (1.2, 0.0, 0.0)
    with bpy.context.temp_override(scene=scene, view_layer=looked_at):
        seen = capture.view(bpy.context, tmp_path)
    # Nothing but the cube is lit.
    picture, depth = (read_picture(seen[name]).max(-1) for name in ("image", "depth"))
    assert picture[len(picture) // 2, 16] > 0.05
    assert depth[len(depth) // 2, depth.shape[1] // 2] < 10
    assert [layer.use for layer in scene.view_layers] == [True, used]


HIDE = {
    "object": lambda cube, _part, _branch: setattr(cube, "hide_viewport", True),
    "eye": lambda cube, _part, _branch: cube.hide_set(True),
    "collection": lambda _cube, part, _branch: setattr(part, "hide_viewport", True),
    "collection's eye": lambda _cube, _part, branch: setattr(branch, "hide_viewport", True),
}


@pytest.mark.parametrize("how", list(HIDE))
def test_depth_shows_what_the_render_does_and_the_viewport_does_not(scene, tmp_path, monkeypatch, how, lit_probe):
    monkeypatch.setattr(capture, "LONGEST_SIDE", 16)
    monkeypatch.setattr(capture, "DEPTH_SIDE", 32)
    scene.limelight.source = "SCENE"
    cube = scene.objects["Cube"]
    part = into_collection(scene, cube, "Set")
    branch = bpy.context.view_layer.layer_collection.children["Set"]
    shown = read_picture(capture.view(bpy.context, tmp_path)["depth"])
    HIDE[how](cube, part, branch)
    bpy.context.view_layer.update()
    states = cube.hide_viewport, cube.hide_get(), part.hide_viewport, branch.hide_viewport
    hidden = read_picture(capture.view(bpy.context, tmp_path)["depth"])
    assert shown.min() < 10 and np.array_equal(shown, hidden)
    assert states == (cube.hide_viewport, cube.hide_get(), part.hide_viewport, branch.hide_viewport)
    assert sum(states) == 1


@pytest.mark.parametrize(
    ("source", "name", "seen"),
    [("SCENE", "hide_render", [True, False, True]), ("SCENE", "hide_viewport", [True, True, True]),
     ("PLATE", "hide_render", [True, True, True]), ("PLATE", "hide_viewport", [True, False, True])],
)  # fmt: skip
def test_depth_shows_what_each_frame_does(scene, lit_probe, source, name, seen):
    scene.limelight.source = source
    if source == "PLATE":
        # Meshes that stand for a photo count as the viewport shows them.
        scene.limelight.plate, scene.limelight.depth_source = bpy.data.images.new("photo", 48, 32), "GEOMETRY"
    cube = scene.objects["Cube"]
    for frame, hidden in ((1, False), (10, True), (20, False)):
        setattr(cube, name, hidden)
        cube.keyframe_insert(name, frame=frame)
    found = []
    for frame in (1, 10, 20):
        scene.frame_set(frame)
        with visible.as_rendered(bpy.context.view_layer) if source == "SCENE" else nullcontext():
            found.append(bool(np.isfinite(capture.cast_depth(bpy.context, 12, (48, 32))).any()))
    assert found == seen


def test_depth_leaves_out_a_collection_that_is_off_in_renders(scene, lit_probe):
    scene.limelight.source = "SCENE"
    cube = scene.objects["Cube"]
    into_collection(scene, cube, "Helpers").hide_render = True
    assert not np.isfinite(capture.cast_depth(bpy.context, 32)).any()
    # In another collection too that is on, the cube is rendered.
    scene.collection.objects.link(cube)
    bpy.context.view_layer.update()
    assert np.isfinite(capture.cast_depth(bpy.context, 32)).any()


APPLY = {
    "world": lambda scene, probe: world.apply_world(scene, probe),
    "lamps": lambda scene, probe: lamps.apply_lamps(scene, probe),
    "domes": lambda scene, probe: domes.apply_domes(scene, [probe]),
    "catcher": lambda scene, probe: catcher.add_shadow_catcher(scene, probe),
}


@pytest.mark.parametrize("how", list(APPLY))
def test_estimating_again_sees_the_scene_as_the_artist_made_it(scene, tmp_path, monkeypatch, how, lit_probe):
    monkeypatch.setattr(capture, "LONGEST_SIDE", 32)
    capture.capture(bpy.context, tmp_path / "before")
    APPLY[how](scene, lit_probe)
    bpy.context.view_layer.update()
    shown = (scene.world, [(o.name, o.hide_render) for o in scene.objects])
    capture.capture(bpy.context, tmp_path / "after")
    for name in ("view.exr", "depth.exr"):
        before, after = (read_picture(tmp_path / when / name) for when in ("before", "after"))
        assert np.allclose(after, before, rtol=1e-3, atol=1e-3), name
    assert (scene.world, [(o.name, o.hide_render) for o in scene.objects]) == shown


def test_a_scene_in_nothing_but_limelights_light_is_told_apart(scene, tmp_path, lit_probe):
    bpy.data.objects.remove(scene.objects["Sun"])
    scene.world = None
    world.apply_world(scene, lit_probe)
    with pytest.raises(ValueError, match="nothing but Limelight's own light"):
        capture.capture(bpy.context, tmp_path)
