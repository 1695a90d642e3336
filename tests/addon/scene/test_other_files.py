# SPDX-License-Identifier: GPL-3.0-or-later
"""What is linked from another file, or switched off in the view layer, is neither written to nor in the way."""

import json

import bpy
import numpy as np
import pytest
from limelight.operators import watch
from limelight.scene import (
    catcher,
    depth_mesh,
    head,
    head_place,
    heads,
    lamps,
    pixels,
    plate,
    probes,
    problems,
    results,
    results_frames,
    splat_proxy,
    splats,
    sun,
    world,
)
from limelight.tests.addon import splat_files

ENTRY = {"kind": "sun", "direction": [0, 0, 1], "irradiance": [1.0] * 3, "angle_deg": 1}
DIRECTION = {"irradiance": [1.0] * 3, "angular_size_deg": 1, "direction_world": [0, 0, 1]}
SUN = {"directions": [DIRECTION | {"spread_deg": 10, "key_to_fill": 1}]}


def test_a_probe_that_is_switched_off_is_where_it_was_put_beside_a_linked_namesake(scene, tmp_path):
    held, thing = bpy.data.collections.new("Set"), bpy.data.objects.new("Probe", None)
    held.objects.link(thing)
    bpy.data.libraries.write(str(tmp_path / "set.blend"), {held})
    bpy.data.objects.remove(thing)
    bpy.data.collections.remove(held)
    probes.add_probe(scene, (1, 2, 3), 0.1)
    with bpy.data.libraries.load(str(tmp_path / "set.blend"), link=True) as (_there, wanted):
        wanted.collections = ["Set"]
    scene.collection.children.link(wanted.collections[0])
    bpy.context.view_layer.layer_collection.children[probes.COLLECTION].exclude = True
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    (probe,) = probes.probes(bpy.context.scene)
    assert tuple(probes.to_world(probe).translation) == (1, 2, 3)


def lit(scene, name):
    """A probe that holds light with one lamp."""
    probe = probes.add_probe(scene, (0, 0, 1), 0.1, name)
    for slot in ("environment", "fill"):
        image = bpy.data.images.new(f"{name} {slot}", 8, 4, float_buffer=True)
        image.pack()
        setattr(probe.limelight, slot, image)
    probe.limelight.lamps = json.dumps([ENTRY])
    bpy.context.view_layer.update()
    return probe


@pytest.fixture
def linked(scene, tmp_path):
    """A scene into which another file's Limelight collection, World and camera are linked."""
    lamps.apply_lamps(scene, lit(scene, "Set"))
    scene.world.use_fake_user = True
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    library = str(tmp_path / "set.blend")
    bpy.ops.wm.save_as_mainfile(filepath=library)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(library, link=True) as (_there, wanted):
        wanted.collections, wanted.worlds, wanted.objects = ["Limelight"], ["Limelight"], ["Camera"]
    scene = bpy.context.scene
    scene.collection.children.link(wanted.collections[0])
    scene.collection.objects.link(wanted.objects[0])
    scene.world, scene.camera = wanted.worlds[0], wanted.objects[0]
    return scene


def test_the_light_of_a_linked_set_stays_as_it_is(linked):
    theirs = linked.world
    assert probes.probes(linked) == []
    probe = lit(linked, "Shot")
    lamps.apply_lamps(linked, probe)
    linked.world.limelight.strength_ev = 1.0
    assert linked.world != theirs and linked.world.library is None and linked.limelight.own_world == theirs
    suns = sorted((o.library is None, round(o.data.energy, 3)) for o in linked.objects if o.type == "LIGHT")
    assert suns == [(False, 1.0), (True, 2.0)]
    world.apply_world(linked, probe)
    assert [o.library is None for o in linked.objects if o.type == "LIGHT"] == [False]


@pytest.fixture
def namesake(scene, tmp_path):
    """A probe of this file whose name a linked set's probe has too; the set holds a sun, a catcher and a depth mesh."""
    theirs = lit(scene, "Probe")
    sun.put(scene, SUN)
    catcher.add_shadow_catcher(scene, theirs)
    mesh = bpy.data.objects.new("Photo depth", bpy.data.meshes.new("Photo depth"))
    mesh[depth_mesh.MARK] = True
    probes.collection(scene).objects.link(mesh)
    library = str(tmp_path / "set.blend")
    bpy.ops.wm.save_as_mainfile(filepath=library)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(library, link=True) as (_there, wanted):
        wanted.collections = ["Limelight"]
    bpy.context.scene.collection.children.link(wanted.collections[0])
    probe = probes.add_probe(bpy.context.scene, (0, 0, 1), 0.1)
    bpy.context.view_layer.update()
    assert probe.name == "Probe" and bpy.context.scene.objects["Probe"] != probe
    return probe


def test_light_goes_to_the_probe_of_this_file(namesake, tmp_path):
    scene = bpy.context.scene
    for name in ("environment", "fill", "spheres"):
        pixels.write(tmp_path / f"{name}.exr", np.ones((4, 8, 3), np.float32))
    maps = {name: f"{name}.exr" for name in ("environment", "fill", "spheres")}
    entry = {"name": "Probe", **maps, "lamps": [], "position_world": [0.0, 0.0, 1.0]}
    assert results.load_results(bpy.context.scene, tmp_path, {"probes": [entry], "seconds": {}}) == [namesake]
    for number in range(2):
        (tmp_path / f"{number:04d}.exr").write_bytes((tmp_path / "fill.exr").read_bytes())
    entry |= dict.fromkeys(("environment", "fill"), "0001.exr")
    whole = {"frames": [{"number": 1, "probes": [entry]}]}
    assert results_frames.load_results(scene, tmp_path, whole, {1: 1}) == [namesake]


def test_the_list_and_its_buttons_mean_the_probe_of_this_file(namesake):
    theirs = bpy.context.scene.objects["Probe"]
    watch.refresh(bpy.context)
    bpy.context.view_layer.objects.active = theirs
    assert watch.active_probe(bpy.context) == namesake
    assert bpy.ops.limelight.select_probe(name="Probe") == {"FINISHED"}
    assert bpy.context.selected_objects == [namesake]
    bpy.ops.limelight.delete_probe(name="Probe")
    assert bpy.context.scene.objects["Probe"] == theirs and probes.probes(bpy.context.scene) == []


def test_a_repair_mends_the_probe_of_this_file(namesake, add_camera):
    scene = bpy.context.scene
    theirs, camera = scene.objects["Probe"], add_camera(scene)
    camera.location, namesake.limelight.use = (0, 0, 6), False
    bpy.context.view_layer.update()
    theirs.limelight.use = False
    (problem,) = [p for p in problems.find_problems(bpy.context) if "switched off" in p.text]
    assert bpy.ops.limelight.repair(**problem.properties) == {"FINISHED"}
    assert namesake.limelight.use and not theirs.limelight.use


def test_a_button_of_a_head_means_the_head_of_this_file(scene, tmp_path):
    def new_head():
        made = bpy.data.objects.new("Ada head", bpy.data.meshes.new("Ada head"))
        made.limelight.head.is_head = True
        bpy.context.scene.collection.objects.link(made)
        return made

    new_head()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "set.blend"), link=True) as (_there, wanted):
        wanted.objects = ["Ada head"]
    scene = bpy.context.scene
    scene.collection.objects.link(wanted.objects[0])
    assert heads.named(scene, "Ada head") == wanted.objects[0]
    with pytest.raises(ValueError, match="linked from another file"):
        head_place.place(scene, wanted.objects[0])
    assert heads.named(scene, new_head().name).library is None


def test_a_linked_sun_catcher_and_depth_mesh_are_another_files(namesake):
    scene = bpy.context.scene
    assert sun.find(scene) is None and depth_mesh.find(scene) is None
    assert sun.put(scene, SUN).library is None and sun.find(scene).library is None
    assert catcher.add_shadow_catcher(scene, namesake).library is None


def overridden(library):
    """The scene of a new file with an override of another's Limelight collection."""
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(library), link=True) as (_there, wanted):
        wanted.collections = ["Limelight"]
    scene = bpy.context.scene
    wanted.collections[0].override_hierarchy_create(scene, bpy.context.view_layer, do_fully_editable=True)
    return scene


def test_an_override_is_another_files_for_it_forgets_what_it_is_given(scene, tmp_path):
    catcher.add_shadow_catcher(scene, lit(scene, "Set"))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    scene = overridden(tmp_path / "set.blend")
    theirs = list(scene.objects)
    assert len(theirs) == 2 and all(thing.override_library for thing in theirs) and probes.probes(scene) == []
    probe = probes.add_probe(scene, (0, 0, 1), 0.1)
    assert probes.probes(scene) == [probe] and catcher.add_shadow_catcher(scene, probe) not in theirs


def test_an_overridden_cloud_gets_its_shadow_mesh(scene, tmp_path):
    names, values = splat_files.rows(np.eye(3), np.full((3, 3), 0.5), 0.5, 0.1)
    cloud, _left_out = splats.add(bpy.context, splat_files.write(tmp_path / "scan.ply", names, values), "scan")
    scene.collection.objects.unlink(cloud)
    probes.collection(scene).objects.link(cloud)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    (cloud,) = overridden(tmp_path / "set.blend").objects
    proxy = splat_proxy.add(cloud, splat_files.write_mesh(tmp_path / "mesh.ply", np.eye(3), [(0, 1, 2)]))
    assert set(bpy.context.scene.objects) == {cloud, proxy} and splat_proxy.of(cloud) == proxy


def test_an_overridden_head_keeps_shape_and_maps(scene, write_head, tmp_path):
    portrait = bpy.data.images.new("Ada.png", 60, 80)
    portrait.pack()
    head.build(scene, write_head(tmp_path / "head"), portrait, 0, {})
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    scene = overridden(tmp_path / "set.blend")
    (theirs,) = (thing for thing in scene.objects if heads.is_head(thing))
    shown = theirs.data.materials[0].node_tree.nodes["diffuse albedo"].image
    made = head.build(scene, tmp_path / "head", theirs.limelight.head.picture, 0, {})
    assert made != theirs and heads.heads(scene) == [made]
    assert theirs.data.materials[0].node_tree.nodes["diffuse albedo"].image == shown


def test_a_linked_camera_is_refused_with_the_way_out(linked, tmp_path):
    image = bpy.data.images.new("photo", 8, 8)
    image.filepath_raw, image.file_format = str(tmp_path / "photo.png"), "PNG"
    image.save()
    with pytest.raises(ValueError, match="Make Local"):
        plate.set_plate(linked, str(tmp_path / "photo.png"))
    assert linked.limelight.plate is None and not linked.camera.data.background_images


def test_the_lens_of_a_linked_camera_is_not_repaired_for_this_session_alone(linked):
    linked.camera.data.type = "ORTHO"
    (found,) = (p for p in problems.find_problems(bpy.context) if "perspective" in p.text)
    assert "another file" in found.text and found.operator_idname == "limelight.add_camera"


def test_a_probe_shows_where_the_collection_was_switched_off(scene):
    bpy.ops.limelight.add_probe(location=(0, 0, 1), radius=0.1)
    bpy.context.view_layer.layer_collection.children["Limelight"].exclude = True
    assert bpy.ops.limelight.add_probe(location=(0, 0, 2), radius=0.1) == {"FINISHED"}
    assert bpy.context.view_layer.objects.active.location.z == 2 and len(bpy.context.view_layer.objects) == 2


def test_a_scene_of_another_file_takes_nothing_until_it_is_copied_into_this_one(scene, tmp_path):
    scene.name = "Set"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "set.blend"), link=True) as (_there, wanted):
        wanted.scenes = ["Set"]
    (bpy.context.window.scene,) = wanted.scenes
    (found,) = problems.find_problems(bpy.context)
    assert "“Set” belongs to another file" in found.text and not bpy.ops.limelight.add_probe.poll()
    assert bpy.ops.scene.new(**found.properties) == {"FINISHED"} and found.operator_idname == "scene.new"
    assert not bpy.context.scene.library and bpy.context.scene.name == "Set"
    assert bpy.ops.limelight.add_probe(location=(0, 0, 1), radius=0.1) == {"FINISHED"}
