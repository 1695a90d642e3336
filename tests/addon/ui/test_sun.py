# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo's key light as a Sun lamp: one lamp, in the world's frame, as the engine says, undone in one step."""

import math
import sys
from pathlib import Path

import bpy
import pytest
from limelight.panels import light
from limelight.scene import own, probes, sun
from limelight.scene import suns as far_suns
from mathutils import Euler, Vector

ANSWER = {
    "direction": [0.0, 0.6, -0.8], "direction_world": [0.0, 0.8, 0.6], "spread_deg": 18.2, "key_to_fill": 2.5,
    "colour": [1.0, 0.9, 0.7], "irradiance": [4.0, 3.6, 2.8], "angular_size_deg": 3.0, "warnings": ["It is dim."],
}  # fmt: skip


@pytest.fixture
def engine(scene, camera, stand_in):
    """A scene by day, and the stand-in engine that finds a key light; returns ``behave(**behaviour)``."""
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 32, 24, 100
    scene.world = bpy.data.worlds.new("Day")
    stand_in(direction=ANSWER)
    return stand_in


def suns(scene):
    """All Sun lamps of a scene."""
    return [thing for thing in scene.objects if thing.type == "LIGHT" and thing.data.type == "SUN"]


def shines_from(lamp):
    """Unit vector towards a lamp's light, in the world."""
    bpy.context.view_layer.update()
    return lamp.matrix_world.to_3x3() @ Vector((0.0, 0.0, 1.0))


def test_the_lamp_is_right_under_a_turned_parent_of_uneven_scale(engine, scene):
    bpy.ops.limelight.sun_from_photo()
    (lamp,) = suns(scene)
    lamp.parent = parent = bpy.data.objects.new("Rig", None)
    scene.collection.objects.link(parent)
    parent.location, parent.rotation_euler, parent.scale = (1.0, 2.0, 3.0), (0.3, 0.7, 0.4), (3.0, 1.0, -0.2)
    bpy.context.view_layer.update()
    place = lamp.matrix_world.translation.copy()
    bpy.ops.limelight.sun_from_photo()
    assert (shines_from(lamp).normalized() - Vector(ANSWER["direction_world"])).length < 1e-5
    assert (lamp.matrix_world.translation - place).length < 1e-5


def test_the_lamp_is_what_the_engine_says_in_the_world(engine, scene):
    assert bpy.ops.limelight.sun_from_photo() == {"FINISHED"}
    (lamp,) = suns(scene)
    assert (shines_from(lamp) - Vector(ANSWER["direction_world"])).length < 1e-5
    assert lamp.data.energy == pytest.approx(4.0)
    assert tuple(lamp.data.color) == pytest.approx((1.0, 0.9, 0.7))
    assert math.degrees(lamp.data.angle) == pytest.approx(3.0)
    message = bpy.context.window_manager.limelight.message
    assert "± 18°" in message and "It is dim" in message
    assert own.is_own(lamp), "an estimate of the scene would see the lamp that it gave"


def test_a_second_run_updates_the_lamp_whatever_became_of_it(engine, scene):
    bpy.ops.limelight.sun_from_photo()
    (lamp,) = suns(scene)
    lamp.data.type, lamp.name, lamp.rotation_mode = "POINT", "Key", "QUATERNION"
    engine(direction={**ANSWER, "direction_world": [1.0, 0.0, 0.0], "irradiance": [1.0, 2.0, 0.0]})
    assert bpy.ops.limelight.sun_from_photo() == {"FINISHED"}
    assert [thing.name for thing in suns(scene)] == ["Key"]
    assert (shines_from(scene.objects["Key"]) - Vector((1.0, 0.0, 0.0))).length < 1e-5
    assert scene.objects["Key"].data.energy == pytest.approx(2.0)


@pytest.mark.parametrize("scale", [(2.0, 2.0, 2.0), (1.0, 1.0, -1.0)])
def test_a_lamp_with_a_parent_shines_from_where_the_engine_says_too(scene, scale):
    rig = bpy.data.objects.new("Rig", None)
    scene.collection.objects.link(rig)
    rig.location, rig.rotation_euler, rig.scale = (1.0, 2.0, 3.0), (0.3, 0.5, 1.5), scale
    lamp = sun.put(scene, {"directions": [ANSWER]})
    lamp.parent = rig
    bpy.context.view_layer.update()
    place = lamp.matrix_world.translation.copy()
    assert sun.put(scene, {"directions": [ANSWER]}) == lamp
    assert (shines_from(lamp).normalized() - Vector(ANSWER["direction_world"])).length < 1e-5
    assert (lamp.matrix_world.translation - place).length < 1e-5


def test_a_sun_in_an_excluded_collection_shines_again(scene):
    lamp = sun.put(scene, {"directions": [ANSWER]})
    bpy.context.view_layer.layer_collection.children[0].exclude = True
    assert sun.put(scene, {"directions": [ANSWER]}) == lamp and lamp in set(bpy.context.view_layer.objects)


def test_it_is_one_undo_step(engine, scene):
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.limelight.sun_from_photo("EXEC_DEFAULT", True)
    assert len(suns(bpy.context.scene)) == 1
    bpy.ops.ed.undo()
    assert suns(bpy.context.scene) == []


def test_scripts_get_the_lamp_without_an_operator(engine, scene):
    lamp = sun.sun_from_photo(bpy.context, Path(sys.executable))
    assert suns(scene) == [lamp]
    engine(fail=["The picture is black.", "Brighten it."])
    with pytest.raises(RuntimeError, match=r"The picture is black\. Brighten it"):
        sun.sun_from_photo(bpy.context, Path(sys.executable))


def test_the_request_tells_camera_and_probe(engine, scene, tmp_path):
    bpy.ops.limelight.add_probe(location=(0.0, 0.0, 1.0), radius=0.1)
    params = sun.request(bpy.context, tmp_path, bpy.data.objects["Probe"])
    (at,) = params["probes"]
    assert at == {"u": pytest.approx(0.5), "v": pytest.approx(0.5), "depth": pytest.approx(4.0)}
    scene.unit_settings.scale_length = 0.01
    assert sun.request(bpy.context, tmp_path, bpy.data.objects["Probe"])["probes"][0]["depth"] == pytest.approx(0.04)
    assert Path(params["image"]).is_file() and len(params["camera_to_world"]) == 4
    bpy.data.objects["Probe"].location = (0.0, -20.0, 1.0)
    bpy.context.view_layer.update()
    assert "probes" not in sun.request(bpy.context, tmp_path, bpy.data.objects["Probe"])


def test_what_is_missing_is_said_with_its_remedy(engine, scene):
    scene.limelight.source = "PLATE"
    with pytest.raises(RuntimeError, match="There is no photo: choose one"):
        bpy.ops.limelight.sun_from_photo()
    scene.limelight.source = "SCENE"
    engine(fail=["The picture is black.", "Brighten it."])
    with pytest.raises(RuntimeError, match=r"The picture is black\. Brighten it"):
        bpy.ops.limelight.sun_from_photo()
    assert suns(scene) == []
    scene.camera = None
    with pytest.raises(RuntimeError, match="has no camera: add a camera"):
        bpy.ops.limelight.sun_from_photo()


def test_the_sun_of_a_linked_copy_is_its_own(scene):
    probes.add_probe(scene, (0, 0, 0), 0.1)
    bpy.ops.scene.new(type="LINK_COPY")
    copy = bpy.context.scene
    sun.put(copy, {"directions": [ANSWER]})
    assert len(suns(copy)) == 1 and suns(scene) == []


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="a file's colours are those of lamps before")
def test_a_file_that_works_in_other_colours_is_told(engine, scene):
    bpy.ops.wm.set_working_color_space(working_space="ACEScg")
    with pytest.raises(RuntimeError, match="This file works in ACEScg"):
        bpy.ops.limelight.sun_from_photo()


def test_the_panel_offers_it_and_says_how_sure_it_is(engine, scene, draw):
    drawn = draw(light.LIMELIGHT_PT_light)
    assert "limelight.sun_from_photo" in drawn.operators()
    assert not any("±" in text for text in drawn.texts())
    sun.put(scene, {"directions": [ANSWER]})
    assert "± 18°" in " ".join(draw(light.LIMELIGHT_PT_light).texts())


def test_the_disc_of_a_sheared_lamp_stands_where_it_shines_from(scene):
    lamp, parent = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN")), bpy.data.objects.new("Rig", None)
    for thing in (lamp, parent):
        scene.collection.objects.link(thing)
    lamp.parent, lamp.rotation_euler, parent.scale = parent, (0.5, 0.6, 0.7), (3.0, 1.0, 0.2)
    bpy.context.view_layer.update()
    with far_suns.discs(scene, Vector(), 0.01, 100.0) as (disc,):
        assert (disc.location.normalized() - shines_from(lamp).normalized()).length < 1e-5


def test_the_suns_of_instanced_collections_have_discs(scene):
    lamp, rig = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN")), bpy.data.collections.new("Rig")
    rig.objects.link(lamp)
    lamp.rotation_euler.x = 0.5
    outer = bpy.data.collections.new("Outer")
    for name, shown, holds in (("inner", rig, outer), ("instance", outer, scene.collection)):
        empty = bpy.data.objects.new(name, None)
        empty.instance_type, empty.instance_collection, empty.rotation_euler.z = "COLLECTION", shown, 0.7
        holds.objects.link(empty)
    bpy.context.view_layer.update()
    wanted = Euler((0.5, 0, 1.4)).to_matrix() @ Vector((0, 0, 1))
    with far_suns.discs(scene, Vector(), 0.01, 100.0) as (disc,):
        assert (disc.location.normalized() - wanted).length < 1e-5
    lamp.hide_render = True
    with far_suns.discs(scene, Vector(), 0.01, 100.0) as none:
        assert none == []
