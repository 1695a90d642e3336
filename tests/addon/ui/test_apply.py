# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons under Light and Compare: one undoable thing each, a second click updates, refusals name the reason."""

import json

import bpy
import numpy as np
import pytest

LAMPS = [{"kind": "sun", "direction": [0.0, 0.6, 0.8], "irradiance": [3.0, 2.8, 2.4], "angle_deg": 2.0}]


def count():
    """How many datablocks of each kind there are."""
    kinds = ("objects", "worlds", "lights", "images", "materials", "meshes", "collections", "node_groups")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


@pytest.fixture
def lit(scene, camera):
    """A probe with light, as an estimate leaves it."""
    bpy.ops.limelight.add_probe(location=(0.0, 0.0, 1.0), radius=0.1)
    probe = bpy.context.active_object
    for name in ("environment", "fill"):
        image = bpy.data.images.new(f"Probe {name}", 64, 32, float_buffer=True)
        image.pixels.foreach_set(np.full(64 * 32 * 4, 0.5, np.float32))
        image.pack()
        setattr(probe.limelight, name, image)
    probe.limelight.lamps = json.dumps(LAMPS)
    cube = bpy.data.objects.new("Cube", bpy.data.meshes.new("Cube"))
    scene.collection.objects.link(cube)
    bpy.context.view_layer.update()
    return probe


def run(name):
    """Call an operator with an undo step, as a click does."""
    return getattr(bpy.ops.limelight, name)("EXEC_DEFAULT", True)


def test_what_eevee_cannot_draw_is_left_to_cycles(lit, scene, tmp_path):
    eevee = "BLENDER_EEVEE_NEXT" if (4, 2) <= bpy.app.version < (5, 0) else "BLENDER_EEVEE"
    image = bpy.data.images.new("photo", 32, 24)
    image.filepath_raw, image.file_format = str(tmp_path / "photo.png"), "PNG"
    image.save()
    bpy.ops.limelight.set_plate(filepath=str(tmp_path / "photo.png"))
    for name, renderer in (
        ("apply_world", eevee), ("apply_lamps", eevee), ("setup_composite", "CYCLES"), ("apply_domes", "CYCLES")
    ):  # fmt: skip
        scene.render.engine = eevee
        assert run(name) == {"FINISHED"}
        assert scene.render.engine == renderer


@pytest.mark.parametrize("name", ["apply_world", "apply_lamps", "apply_domes", "mark_asset"])
def test_a_second_click_updates_and_never_duplicates(lit, name):
    before = count()
    assert run(name) == {"FINISHED"}
    once = count()
    assert once != before
    assert run(name) == {"FINISHED"}
    assert count() == once


def test_domes_without_anything_to_light_leave_the_light_as_it_is(lit, scene):
    assert run("apply_lamps") == {"FINISHED"}
    before = scene.world, count()
    scene.objects["Cube"].hide_render = True
    with pytest.raises(RuntimeError, match="a render shows none: add one first"):
        run("apply_domes")
    assert (scene.world, count()) == before


def test_the_world_shows_the_active_probes_light(lit, scene):
    assert run("apply_world") == {"FINISHED"}
    assert scene.world.limelight.probe == lit.name
    images = [n.image for n in scene.world.node_tree.nodes if n.type == "TEX_ENVIRONMENT"]
    assert lit.limelight.environment in images


def test_each_application_is_one_undo_step(lit, scene):
    if bpy.app.version >= (4, 2):
        bpy.ops.ed.undo_push(message="before")
        before = sorted(bpy.data.objects.keys())
        run("apply_lamps")
        assert len([o for o in bpy.data.objects if o.type == "LIGHT"]) == 1
        bpy.ops.ed.undo()
        assert sorted(bpy.data.objects.keys()) == before


def test_compositing_over_the_photo_adds_a_catcher_once(lit, scene, tmp_path):
    with pytest.raises(RuntimeError, match="no photo to composite over"):
        run("setup_composite")
    photo = tmp_path / "photo ä.png"
    image = bpy.data.images.new("photo", 32, 24)
    image.filepath_raw, image.file_format = str(photo), "PNG"
    image.save()
    assert bpy.ops.limelight.set_plate(filepath=str(photo)) == {"FINISHED"}
    assert (scene.render.resolution_x, scene.render.resolution_y) == (32, 24)
    assert run("setup_composite") == {"FINISHED"}
    once = count()
    assert any(getattr(o, "is_shadow_catcher", False) for o in scene.objects)
    assert run("setup_composite") == {"FINISHED"}
    assert count() == once
    assert bpy.ops.limelight.clear_plate() == {"FINISHED"} and scene.limelight.plate is None


@pytest.mark.parametrize("name", ["apply_world", "apply_lamps", "apply_domes", "mark_asset"])
def test_without_light_the_sentence_says_what_to_press(scene, camera, name):
    bpy.ops.limelight.add_probe(location=(0.0, 0.0, 1.0), radius=0.1)
    before = count()
    with pytest.raises(RuntimeError, match="press Estimate first"):
        run(name)
    assert count() == before


def test_a_photo_that_is_none_is_refused_and_the_old_one_stays(scene, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n")
    for path, words in ((text, "is no photo"), (broken, "could not be used"), (tmp_path / "gone.png", "There is no")):
        with pytest.raises(RuntimeError, match=words):
            bpy.ops.limelight.set_plate(filepath=str(path))
        assert scene.limelight.plate is None and scene.camera is None


def test_baking_the_truth_gives_the_probe_a_panorama(lit, scene):
    scene.world = scene.world or bpy.data.worlds.new("World")
    assert bpy.ops.limelight.bake_truth(size="256") == {"FINISHED"}
    truth = lit.limelight.truth
    assert tuple(truth.size) == (256, 128) and np.isfinite(np.array(truth.pixels[:])).all()


def test_the_truth_takes_the_place_of_the_estimate_as_a_whole(lit, scene):
    with pytest.raises(RuntimeError, match="press Bake from Scene first"):
        run("use_truth")
    truth = lit.limelight.truth = bpy.data.images.new("truth", 8, 4, float_buffer=True)
    assert run("use_truth") == {"FINISHED"} and run("apply_lamps") == {"FINISHED"}
    assert not [o for o in scene.objects if o.type == "LIGHT"]
    assert {n.image for n in scene.world.node_tree.nodes if n.type == "TEX_ENVIRONMENT"} == {truth}
