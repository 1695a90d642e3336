# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a click puts a probe, and the list that follows the scene."""

import math
from types import SimpleNamespace

import bpy
import pytest
from bpy_extras.object_utils import world_to_camera_view
from limelight.operators import picking, state, watch
from limelight.scene import catcher, domes, probes
from mathutils import Vector


def floor(height=0.0):
    """A square floor of 20 m at ``height``."""
    mesh = bpy.data.meshes.new("Floor")
    mesh.from_pydata([(-10, -10, 0), (10, -10, 0), (10, 10, 0), (-10, 10, 0)], [], [(0, 1, 2, 3)])
    made = bpy.data.objects.new("Floor", mesh)
    made.location.z = height
    bpy.context.scene.collection.objects.link(made)
    bpy.context.view_layer.update()
    return made


def test_on_a_surface_the_sphere_lies_on_it_and_does_not_sink_in(scene):
    floor(0.5)
    pick = picking.pick_on_ray(bpy.context, Vector((0, -3, 3)), Vector((0, 1, -1)), radius=0.2)
    assert pick.on == "surface"
    assert pick.location.z == pytest.approx(0.71, abs=1e-5)
    assert pick.location.y == pytest.approx(-0.5, abs=1e-5)


def test_a_face_seen_from_behind_keeps_the_probe_on_the_side_of_the_click(scene):
    floor(0.5)
    pick = picking.pick_on_ray(bpy.context, Vector((0, 0, -3)), Vector((0, 0, 1)), radius=0.2)
    assert pick.location.z == pytest.approx(0.29, abs=1e-5)


def test_limelights_own_domes_are_no_surface_but_the_shadow_catcher_is_ground(scene):
    floor(0.5)
    probe = probes.add_probe(scene, (0, 0, 1), 0.1)
    probe.limelight.environment = bpy.data.images.new("env", 8, 4, float_buffer=True)
    (dome,) = domes.apply_domes(scene, [probe])
    bpy.context.view_layer.update()
    above = Vector((0, 0, dome.dimensions.z))
    pick = picking.pick_on_ray(bpy.context, above, Vector((0, 0, -1)), radius=0.2)
    assert pick.location.z == pytest.approx(0.71, abs=1e-4)
    assert picking.pick_on_ray(bpy.context, Vector((0, 0, 3)), Vector((0, 1, 0.5))).on == "air"
    catcher.add_shadow_catcher(scene, probe)
    bpy.context.view_layer.update()
    pick = picking.pick_on_ray(bpy.context, above, Vector((0, 0, -1)), radius=0.2)
    assert pick.location.z == pytest.approx(1.11, abs=1e-4)


def test_without_geometry_a_falling_ray_ends_on_the_ground(scene):
    pick = picking.pick_on_ray(bpy.context, Vector((0, -4, 1)), Vector((0, 1, -0.25)), radius=0.1)
    assert pick.on == "ground"
    assert tuple(pick.location) == pytest.approx((0.0, 0.0, 0.1), abs=1e-5)


def test_without_geometry_a_rising_ray_ends_at_three_metres(scene):
    pick = picking.pick_on_ray(bpy.context, Vector((0, -4, 1)), Vector((0, 2, 1)))
    assert pick.on == "air"
    assert (pick.location - Vector((0, -4, 1))).length == pytest.approx(picking.FREE_DISTANCE, abs=1e-5)
    assert pick.radius == pytest.approx(picking.FREE_DISTANCE * picking.RADIUS_SHARE)


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("size", [(640, 360), (360, 640)])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.2, -0.1)])
def test_a_camera_ray_meets_the_pixel_that_blender_projects_to(scene, camera, fit, size, shift):
    scene.render.resolution_x, scene.render.resolution_y = size
    camera.data.sensor_fit = fit
    camera.data.shift_x, camera.data.shift_y = shift
    camera.rotation_euler = (math.radians(70), math.radians(10), math.radians(30))
    bpy.context.view_layer.update()
    for u, v in ((0.5, 0.5), (0.1, 0.2), (0.9, 0.7)):
        origin, direction = picking.camera_ray(scene, camera, u, v)
        back = world_to_camera_view(scene, camera, origin + direction * 5)
        assert (back.x, 1 - back.y) == pytest.approx((u, v), abs=1e-4)


def test_a_click_in_a_quad_view_is_in_the_quarter_below_it():
    def box(kind, x, y, width, height):
        return SimpleNamespace(type=kind, x=x, y=y, width=width, height=height)

    quarters = [box("WINDOW", x, y, 100, 50) for x in (0, 100) for y in (0, 50)]
    view = box("VIEW_3D", 0, 0, 200, 100)
    view.regions = [box("UI", 180, 0, 20, 100), *quarters]
    context = SimpleNamespace(window=SimpleNamespace(screen=SimpleNamespace(areas=[view])))
    found = [picking.region_under(context, "VIEW_3D", x, y) for x, y in ((10, 10), (10, 60), (110, 10), (110, 60))]
    assert found == [(view, quarter) for quarter in quarters]
    assert picking.region_under(context, "VIEW_3D", 190, 10) is None, "over the sidebar"


def test_a_probe_on_the_photo_lies_behind_its_pixel(scene, camera):
    floor()
    assert bpy.ops.limelight.add_probe_image(u=0.3, v=0.8, radius=0.05) == {"FINISHED"}
    probe = bpy.context.active_object
    assert probe.limelight.is_probe and probe.limelight.radius == pytest.approx(0.05)
    assert probe.location.z == pytest.approx(0.0525, abs=1e-4)
    back = world_to_camera_view(scene, camera, probe.location - Vector((0, 0, 0.0525)))
    assert (back.x, 1 - back.y) == pytest.approx((0.3, 0.8), abs=1e-3)


def test_the_list_follows_adding_duplicating_renaming_and_deleting(scene, camera):
    bpy.ops.limelight.add_probe(location=(0, 0, 1), name="Table")
    bpy.ops.limelight.add_probe(location=(1, 0, 1), name="Window")
    rows = state.seen(bpy.context).probe_rows
    assert {r.name for r in rows} == {"Table", "Window"}
    assert rows[state.seen(bpy.context).probe_index].name == "Window"
    copy = scene.objects["Table"].copy()
    scene.collection.objects.link(copy)
    scene.objects["Window"].name = "Door"
    watch.refresh(bpy.context)
    assert {r.name for r in rows} == {"Table", "Door", copy.name}
    assert bpy.ops.limelight.delete_probe(name="Table") == {"FINISHED"}
    assert "Table" not in bpy.data.objects and {r.name for r in rows} == {"Door", copy.name}


def test_a_click_in_the_list_selects_the_probe(scene, camera):
    for name in ("One", "Two"):
        bpy.ops.limelight.add_probe(location=(0, 0, 1), name=name)
    interface = state.seen(bpy.context)
    interface.probe_index = next(i for i, r in enumerate(interface.probe_rows) if r.name == "One")
    assert bpy.context.view_layer.objects.active.name == "One"
    assert [o.name for o in bpy.context.selected_objects] == ["One"]


def test_a_click_in_the_list_names_no_probe_for_blenders_search(scene, camera):
    first, second = (probes.add_probe(scene, (x, 0, 0), 0.1) for x in (0, 1))
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.limelight.select_probe("INVOKE_DEFAULT", True, name=first.name)
        bpy.ops.limelight.delete_probe("INVOKE_DEFAULT", True, name=second.name)
        second = probes.add_probe(scene, (1, 0, 0), 0.1)
        bpy.ops.limelight.delete_probe("INVOKE_DEFAULT", True)
    assert probes.probes(scene) == [second]


def test_deleting_something_that_is_no_probe_is_refused(scene, camera):
    with pytest.raises(RuntimeError, match=r"There is no probe called “Camera”"):
        bpy.ops.limelight.delete_probe(name="Camera")
    assert "Camera" in bpy.data.objects


def test_a_script_finds_the_highlighted_probe_of_a_file_that_was_just_opened(scene, camera, tmp_path):
    for x in (0.0, 1.0, 2.0):
        bpy.ops.limelight.add_probe(location=(x, 0.0, 1.0), radius=0.1)
    bpy.ops.limelight.select_probe(name="Probe.001")
    bpy.context.view_layer.objects.active = None
    scene.objects["Probe.002"].limelight.environment = bpy.data.images.new("light", 8, 4, float_buffer=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert watch.active_probe(bpy.context).name == "Probe.001"
    assert bpy.ops.limelight.apply_world() == {"FINISHED"}
    assert bpy.context.scene.world.limelight.probe == "Probe.002"
