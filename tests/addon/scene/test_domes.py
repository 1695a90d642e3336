# SPDX-License-Identifier: GPL-3.0-or-later
"""Local domes, seen by Cycles: what they reach, and how they light it."""

import bpy
import numpy as np
import pytest
from limelight.scene import catcher, domes, world
from limelight.tests.addon.lit_scene import camera_towards, lit_probe, render, white_plane
from mathutils import Matrix


def test_domes_light_the_objects_near_each_probe(scene, tmp_path):
    red, blue = (np.full((8, 16, 3), c, np.float32) for c in ((1, 0, 0), (0, 0, 1)))
    left, right = lit_probe(scene, red, (-1, 0, 0.2), "Left"), lit_probe(scene, blue, (1, 0, 0.2), "Right")
    white_plane(scene, (-1, 0, 0), 1.0, "left plane")
    white_plane(scene, (1, 0, 0), 1.0, "right plane")
    bpy.context.view_layer.update()
    domes.apply_domes(scene, [left, right])
    domes.apply_domes(scene, [left, right])
    assert sum(1 for o in scene.objects if o.name.endswith("dome")) == 2
    camera_towards(scene, (0, 0.001, -1), (0, 0, 4)).data.lens = 36
    scene.render.film_transparent = True
    pixels = render(scene, tmp_path)
    on = pixels[..., 3] > 0.9
    west, east = pixels[:, :24][on[:, :24]].mean(0), pixels[:, 24:][on[:, 24:]].mean(0)
    assert west[0] == pytest.approx(1.0, abs=0.05) and west[2] < 0.02
    assert east[2] == pytest.approx(1.0, abs=0.05) and east[0] < 0.02


def test_a_shadow_catcher_gets_the_same_shadow_from_a_dome_as_from_the_world(scene, tmp_path):
    probe = lit_probe(scene, np.ones((8, 16, 3), np.float32), (0, 0, 0.1))
    catcher.add_shadow_catcher(scene, probe)
    bpy.ops.mesh.primitive_cube_add(size=0.4, location=(0, 0, 0.2))
    camera_towards(scene, (0, 0.001, -1), (0, 0, 5))
    scene.render.film_transparent, scene.cycles.samples = True, 256
    scene.render.resolution_x = scene.render.resolution_y = 24
    shadows = []
    for light in (lambda: world.apply_world(scene, probe), lambda: domes.apply_domes(scene, [probe])):
        light()
        covered = render(scene, tmp_path)[..., 3]
        shadows.append(float(covered[covered < 0.9].mean()))
    assert shadows[1] == pytest.approx(shadows[0], rel=0.15)


def instance_of(scene, thing):
    """An Empty that shows a collection of its own, into which the object goes from the scene."""
    library = bpy.data.collections.new("asset")
    for collection in thing.users_collection:
        collection.objects.unlink(thing)
    library.objects.link(thing)
    instance = bpy.data.objects.new("instance", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", library
    scene.collection.objects.link(instance)
    return instance


def test_domes_go_by_where_objects_are_seen(scene):
    near, far = lit_probe(scene, name="Near"), lit_probe(scene, location=(10, 0, 0), name="Far")
    mine, asset_part = white_plane(scene, name="mine"), white_plane(scene, (8, 0, 0), name="part")
    for plane, x in ((mine, 0.5), (moved := white_plane(scene, name="moved"), 40.0)):
        plane.data.transform(Matrix.Translation((x, 0, 0)))
    instance = instance_of(scene, asset_part)
    bpy.context.view_layer.update()
    made = domes.apply_domes(scene, [near, far])
    reached = [set(dome.light_linking.receiver_collection.objects) for dome in made]
    assert reached == [{mine}, {moved, instance}]
    assert min(max(dome.dimensions) for dome in made) / 2 > 40


def test_domes_light_collection_instances(scene, tmp_path):
    instance_of(scene, white_plane(scene, size=1.0))
    domes.apply_domes(scene, [lit_probe(scene, np.ones((8, 16, 3), np.float32), (0, 0, 0.2))])
    camera_towards(scene, (0, 0.001, -1), (0, 0, 1))
    assert render(scene, tmp_path)[16, 24, :3] == pytest.approx(1.0, abs=0.05)


def test_linked_duplicates_of_a_dome_go_with_it_and_those_of_another_file_are_not_lit(scene):
    probe, plane = lit_probe(scene), white_plane(scene)
    (dome,) = domes.apply_domes(scene, [probe])
    size = max(dome.dimensions)
    dome.users_collection[0].objects.link(dome.copy())
    foreign = dome.copy()
    foreign.data = dome.data.copy()
    foreign = instance_of(scene, foreign)
    (dome,) = domes.apply_domes(scene, [probe])
    assert {o for o in scene.objects if o.type == "MESH"} == {plane, dome}
    assert list(dome.light_linking.receiver_collection.objects) == [plane] and foreign.instance_collection.objects
    assert max(dome.dimensions) == pytest.approx(size)


def test_domes_go_by_where_objects_are_rendered_that_viewports_leave_out(scene, tmp_path):
    white_plane(scene, (10, 0, 0), name="heavy").hide_viewport = True
    white_plane(scene, name="light")
    for x in (0, 10):
        lit_probe(scene, location=(x, 0, 0), name=f"Probe {x}")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    scene = bpy.context.scene
    made = domes.apply_domes(scene, [scene.objects["Probe 0"], scene.objects["Probe 10"]])
    assert [dome.light_linking.receiver_collection.objects.keys() for dome in made] == [["light"], ["heavy"]]
    assert scene.objects["heavy"].hide_viewport
