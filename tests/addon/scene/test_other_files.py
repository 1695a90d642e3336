# SPDX-License-Identifier: GPL-3.0-or-later
"""What is linked from another file, or switched off in the view layer, is neither written to nor in the way."""

import json

import bpy
import pytest
from limelight.scene import lamps, plate, probes, world

ENTRY = {"kind": "sun", "direction": [0, 0, 1], "irradiance": [1.0] * 3, "angle_deg": 1}


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


def test_a_linked_camera_is_refused_with_the_way_out(linked, tmp_path):
    image = bpy.data.images.new("photo", 8, 8)
    image.filepath_raw, image.file_format = str(tmp_path / "photo.png"), "PNG"
    image.save()
    with pytest.raises(ValueError, match="Make Local"):
        plate.set_plate(linked, str(tmp_path / "photo.png"))
    assert linked.limelight.plate is None and not linked.camera.data.background_images


def test_a_probe_shows_where_the_collection_was_switched_off(scene):
    bpy.ops.limelight.add_probe(location=(0, 0, 1), radius=0.1)
    bpy.context.view_layer.layer_collection.children["Limelight"].exclude = True
    assert bpy.ops.limelight.add_probe(location=(0, 0, 2), radius=0.1) == {"FINISHED"}
    assert bpy.context.view_layer.objects.active.location.z == 2 and len(bpy.context.view_layer.objects) == 2
