# SPDX-License-Identifier: GPL-3.0-or-later
"""Worlds, lamps and domes follow the probe that they were made from, whatever it and others are called by now."""

import bpy
import pytest
from limelight.scene import domes, lamps, probes, world
from limelight.tests.addon.lit_scene import dome_material, estimate, shown_by, white_plane

ENTRY = {"kind": "sun", "direction": [0, 0, 1], "irradiance": [3.0] * 3, "angle_deg": 1}


@pytest.fixture
def probe(scene, tmp_path):
    """A probe that holds light of value 1 and a sun."""
    made = probes.add_probe(scene, (0, 0, 0), 0.1)
    white_plane(scene)
    estimate(tmp_path, {made: 1}, [ENTRY])
    return made


def duplicate(probe, name="Probe"):
    double = probe.copy()
    bpy.context.scene.collection.objects.link(double)
    double.name = name
    return double


@pytest.mark.parametrize("make", [world.apply_world, dome_material])
@pytest.mark.parametrize("first", ["apply", "duplicate"])
def test_what_was_made_stays_with_the_original_when_the_duplicate_takes_its_name(scene, probe, tmp_path, make, first):
    if first == "duplicate":
        double = duplicate(probe)
    made = make(scene, probe)
    probe.name = "Key"
    if first == "apply":
        double = duplicate(probe)
    double.name = "Probe"
    assert (probe.name, double.name) == ("Key", "Probe")
    estimate(tmp_path, {double: 2})
    assert shown_by(made) == 1
    estimate(tmp_path, {probe: 3})
    assert shown_by(made) == 3


@pytest.mark.parametrize("make", [world.apply_world, dome_material])
@pytest.mark.parametrize("delete", ["button", "key"])
def test_what_was_made_of_a_deleted_probe_follows_no_duplicate(scene, probe, tmp_path, make, delete):
    made = make(scene, probe)
    double = duplicate(probe)
    if delete == "button":
        bpy.ops.limelight.delete_probe(name="Probe")
    else:
        with bpy.context.temp_override(selected_objects=[probe]):
            bpy.ops.object.delete()
    double.name = "Probe"
    estimate(tmp_path, {double: 2})
    assert double.name in scene.objects and shown_by(made) == 1


@pytest.mark.parametrize("how", ["saved", "undone"])
def test_saving_and_undo_keep_to_the_probe(scene, probe, tmp_path, how):
    bpy.context.preferences.edit.use_global_undo = True
    world.apply_world(scene, probe)
    probe.name = "Key"
    duplicate(probe)
    if how == "saved":
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    else:
        bpy.ops.ed.undo_push(message="duplicate")
        bpy.data.objects["Key"].name = "Other"
        bpy.ops.ed.undo_push(message="rename")
        bpy.ops.ed.undo()
    scene = bpy.context.scene
    estimate(tmp_path, {bpy.data.objects["Probe"]: 2})
    assert shown_by(scene.world) == 1
    estimate(tmp_path, {bpy.data.objects["Key"]: 3})
    assert shown_by(scene.world) == 3


def test_lamps_and_a_copied_world_follow_a_renamed_probe(scene, probe, tmp_path):
    lamps.apply_lamps(scene, probe)
    scene.world = scene.world.copy()
    probe.name = "Key"
    duplicate(probe)
    estimate(tmp_path, {probe: 2}, [ENTRY | {"irradiance": [7.0] * 3}])
    (lamp,) = [thing for thing in scene.objects if thing.type == "LIGHT"]
    assert lamp.data.energy == pytest.approx(7) and shown_by(scene.world) == 1, "half of it is fill"


def test_each_of_two_copied_scenes_follows_its_own_probe(scene, probe, tmp_path):
    lamps.apply_lamps(scene, probe)
    bpy.ops.scene.new(type="FULL_COPY")
    (theirs,) = probes.probes(bpy.context.scene)
    assert theirs != probe and bpy.context.scene.world != scene.world
    estimate(tmp_path, {theirs: 4}, [ENTRY | {"irradiance": [7.0] * 3}])
    strengths = [[o.data.energy for o in each.objects if o.type == "LIGHT"] for each in (scene, bpy.context.scene)]
    assert strengths == [[pytest.approx(3)], [pytest.approx(7)]]
    assert [shown_by(each.world) for each in (scene, bpy.context.scene)] == [0.5, 2]


def test_an_appended_world_brings_no_probe_and_follows_no_namesake(scene, probe, tmp_path):
    world.apply_world(scene, probe)
    path = str(tmp_path / "shot.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    mine = probes.add_probe(scene, (0, 0, 0), 0.1)
    bpy.ops.wm.append(directory=f"{path}/World/", filename="Limelight")
    assert list(scene.objects) == [mine]
    scene.world = bpy.data.worlds["Limelight"]
    mine.limelight.environment = next(n.image for n in scene.world.node_tree.nodes if n.type == "TEX_ENVIRONMENT")
    estimate(tmp_path, {mine: 2})
    assert shown_by(scene.world) == 1
    assert world.apply_world(scene, mine) == scene.world and shown_by(scene.world) == 2


def test_a_linked_copy_of_a_scene_counts_no_light_twice_and_loses_none(scene, probe):
    def shining(of):
        return shown_by(of.world), len([o for o in of.objects if o.type == "LIGHT"])

    lamps.apply_lamps(scene, probe)
    bpy.ops.scene.new(type="LINK_COPY")
    copied = bpy.context.scene
    world.apply_world(copied, probe)
    # The lamps were objects of both scenes.
    assert shining(scene) == shining(copied) == (1, 0)
    lamps.apply_lamps(copied, probe)
    assert (shining(scene), shining(copied)) == ((1, 0), (0.5, 1))
    domes.apply_domes(copied, [probe])
    assert shining(scene) == (1, 0) and not [o for o in scene.objects if o.name.endswith("dome")]


def test_a_linked_copy_of_a_scene_with_domes_is_left_in_light(scene, probe):
    domes.apply_domes(scene, [probe])
    bpy.ops.scene.new(type="LINK_COPY")
    copied = bpy.context.scene
    world.apply_world(copied, probe)
    # The domes were objects of both scenes.
    assert shown_by(scene.world) == shown_by(copied.world) == 1 and scene.world != copied.world
    assert not [o for o in scene.objects if o.name.endswith("dome")]
