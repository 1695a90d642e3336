# SPDX-License-Identifier: GPL-3.0-or-later
"""Relighting and editing splats as the artist does: buttons, their results in words, panels, and undo."""

import bpy
import numpy as np
import pytest
from limelight import preferences
from limelight.panels import splats as panels
from limelight.scene import splat_data, splat_drawing, splat_file, splat_proxy
from limelight.tests.addon import splat_files


@pytest.fixture
def scan(scene, tmp_path):
    """A cloud of four Gaussians with material in the scene, one of them faint."""
    names, values = splat_files.rows(
        np.eye(4, 3), np.full((4, 3), 0.5), [0.01, 0.5, 0.5, 0.5], 0.1, material=np.full((4, 6), 0.5)
    )
    bpy.ops.limelight.import_splats(filepath=str(splat_files.write(tmp_path / "scan.ply", names, values)))
    return bpy.context.object


@pytest.fixture
def pyramid(scan, engine):
    """The stand-in engine with a mesh as its answer; it brought a probe, but the cloud is active."""
    bpy.ops.object.select_all(action="DESELECT")
    scan.select_set(True)
    bpy.context.view_layer.objects.active = scan
    points, faces = [(0, 0, 1), (1, 0, 0), (0, 1, 0), (-1, -1, 0)], [(0, 1, 2), (0, 2, 3), (0, 3, 1), (1, 3, 2)]
    splat_files.write_mesh(preferences.ROOT / "answer" / "proxy.ply", points, faces)
    return engine


def test_relight_switches_the_light_on_and_off(scan, draw):
    assert splat_drawing.value(scan, "Relight") == 0
    assert "Relight" in str(draw(panels.LIMELIGHT_PT_splat_light).calls)
    bpy.ops.limelight.relight_splats()
    assert splat_drawing.value(scan, "Relight") == 1 and not scan.visible_shadow and not scan.visible_diffuse
    shown = str(draw(panels.LIMELIGHT_PT_splat_light).calls)
    wanted = ("As Photographed", "Blend by Progress", "Albedo Gain", "Roughness Bias", "Make Shadow Mesh")
    assert all(name in shown for name in wanted) and "no material" not in shown
    bpy.ops.limelight.relight_splats()
    assert splat_drawing.value(scan, "Relight") == 0 and scan.visible_shadow and scan.visible_diffuse


@pytest.fixture
def elsewhere(scan):
    """Two clouds in a second scene of Cycles, whose rays end after eight surfaces."""
    other = bpy.data.scenes.new("Other")
    for thing in (scan, scan.copy()):
        other.collection.objects.link(thing)
    bpy.context.window.scene = other
    other.render.engine, other.cycles.transparent_max_bounces = "CYCLES", 8
    for thing in other.objects:
        thing.select_set(True)
    bpy.context.view_layer.objects.active = scan
    return other


@pytest.mark.parametrize("name", ["relight_splats", "merge_splats", "splat_proxy"])
def test_rays_reach_through_splats_in_the_scene_that_uses_them(pyramid, elsewhere, name):
    assert getattr(bpy.ops.limelight, name)() == {"FINISHED"}
    assert elsewhere.cycles.transparent_max_bounces == 1024


def test_black_splats_are_told_with_the_button_that_mends_them(elsewhere, draw):
    assert "limelight.repair" in draw(panels.LIMELIGHT_PT_splats).operators()
    (found,) = splat_drawing.flaws(elsewhere)
    assert bpy.ops.limelight.repair(**found.properties) == {"FINISHED"}
    assert elsewhere.cycles.transparent_max_bounces == 1024
    assert "limelight.repair" not in draw(panels.LIMELIGHT_PT_splats).operators()
    elsewhere.render.engine, elsewhere.cycles.transparent_max_bounces = "BLENDER_WORKBENCH", 8
    assert splat_drawing.flaws(elsewhere) == []


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="a file's colours are those of splats before")
def test_a_file_that_works_in_other_colours_than_splats_is_told(elsewhere, draw):
    elsewhere.cycles.transparent_max_bounces = 1024
    bpy.ops.wm.set_working_color_space(working_space="ACEScg")
    assert draw(panels.LIMELIGHT_PT_splats).operators().count("wm.set_working_color_space") == 1
    (found,) = splat_drawing.flaws(elsewhere)
    assert bpy.ops.wm.set_working_color_space(**found.properties) == {"FINISHED"}
    assert splat_drawing.flaws(elsewhere) == []


def test_the_engine_finds_the_mesh_of_what_is_left(scan, pyramid, draw):
    bpy.ops.limelight.delete_splats(what="FAINT")
    scan.location.x = 5
    assert bpy.ops.limelight.splat_proxy() == {"FINISHED"}
    proxy = splat_proxy.of(scan)
    assert len(proxy.data.polygons) == 4 and proxy.parent == scan and bpy.context.object == scan
    bpy.context.view_layer.update()
    np.testing.assert_allclose(np.array(proxy.matrix_world), np.array(scan.matrix_world), atol=1e-6)
    asked = splat_file.read(preferences.ROOT / "answer" / "asked.ply")
    assert len(asked.means) == 3 and asked.material
    assert "casts the shadows" in bpy.context.window_manager.limelight.message
    bpy.ops.limelight.relight_splats()
    assert "Make Shadow Mesh Again" in str(draw(panels.LIMELIGHT_PT_splat_light).calls)


def test_an_engine_that_fails_leaves_the_old_mesh(scan, pyramid):
    bpy.ops.limelight.splat_proxy()
    before = splat_proxy.of(scan)
    pyramid(fail=["No Gaussian is opaque enough to make a surface.", "Use splats of an object."])
    with pytest.raises(RuntimeError, match="opaque enough"):
        bpy.ops.limelight.splat_proxy()
    assert splat_proxy.of(scan) == before


def test_select_shows_in_edit_mode_and_x_deletes(scan):
    bpy.ops.limelight.select_splats(what="FAINT")
    assert bpy.context.mode == "EDIT_MESH"
    bpy.ops.mesh.delete(type="VERT")
    bpy.ops.object.mode_set(mode="OBJECT")
    assert len(splat_data.read(scan).means) == 3
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    assert sum(1 for instance in graph.object_instances if instance.is_instance) == 3


def test_delete_goes_back_to_edit_mode(scan):
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.limelight.delete_splats(what="FAINT", limit=0.2)
    assert bpy.context.mode == "EDIT_MESH" and len(scan.data.vertices) == 3
    bpy.ops.object.mode_set(mode="OBJECT")


@pytest.mark.parametrize("mode", ["SCULPT", "WEIGHT_PAINT"])
def test_selecting_while_painting_shows_in_edit_mode_and_deleting_goes_on_painting(scan, mode):
    bpy.ops.object.mode_set(mode=mode)
    bpy.ops.limelight.delete_splats(what="FAINT")
    assert scan.mode == mode and len(scan.data.vertices) == 3
    bpy.ops.limelight.select_splats(what="FAINT", limit=0.9)
    assert scan.mode == "EDIT"
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_limit_is_not_taken_for_another_kind(scan):
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.limelight.select_splats("INVOKE_DEFAULT", True, what="FAINT", limit=0.6)
        bpy.ops.limelight.select_splats("INVOKE_DEFAULT", True, what="LARGE")
    bpy.ops.object.mode_set(mode="OBJECT")
    assert not any(vertex.select for vertex in scan.data.vertices)


def test_a_cloud_of_which_nothing_is_left_is_not_written(scan, tmp_path):
    splat_data.keep(scan.data, np.zeros(4, bool))
    with pytest.raises(RuntimeError, match="no Gaussians are left"):
        bpy.ops.limelight.export_splats(filepath=str(tmp_path / "out.ply"))
    assert not (tmp_path / "out.ply").exists()


def test_refusals_are_sentences(scan):
    with pytest.raises(RuntimeError, match="no crop box"):
        bpy.ops.limelight.delete_splats(what="OUTSIDE")
    with pytest.raises(RuntimeError, match="Nothing would be left"):
        bpy.ops.limelight.delete_splats(what="FAINT", limit=1.0)
    assert len(scan.data.vertices) == 4 and not bpy.ops.limelight.merge_splats.poll()


def test_merge_and_apply_and_export(scan, tmp_path):
    bpy.ops.limelight.import_splats(filepath=str(tmp_path / "scan.ply"))
    second = bpy.context.object
    second.location.z = 2
    second.select_set(True)
    scan.select_set(True)
    bpy.context.view_layer.objects.active = scan
    assert bpy.ops.limelight.merge_splats() == {"FINISHED"} and len(scan.data.vertices) == 8
    assert bpy.ops.limelight.apply_splat_transform() == {"FINISHED"}
    assert scan.rotation_euler.x == 0
    bpy.ops.limelight.export_splats(filepath=str(tmp_path / "out.ply"))
    written = splat_file.read(tmp_path / "out.ply")
    assert splat_file.axes(tmp_path / "out.ply") == "Z_UP"
    assert len(written.means) == 8 and written.material["progress"].mean() == pytest.approx(0.5)
    # The file's y goes down, Blender's z up.
    np.testing.assert_allclose(written.means[4:, 2].max() - written.means[:4, 2].max(), 2, atol=1e-5)
    with pytest.raises(RuntimeError, match="could not be written"):
        bpy.ops.limelight.export_splats(filepath=str(tmp_path / "none" / "out.ply"))


def test_the_transform_of_a_moving_cloud_is_not_applied(scan):
    scan.keyframe_insert("location", frame=1)
    before = np.array(scan.matrix_world)
    with pytest.raises(RuntimeError, match="clear them first"):
        bpy.ops.limelight.apply_splat_transform()
    assert np.array_equal(np.array(scan.matrix_world), before)


def test_what_is_deleted_comes_back_with_undo(scan):
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.limelight.delete_splats(what="FAINT")
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    thing = bpy.data.objects["scan"]
    assert len(thing.data.vertices) == 4 and len(splat_data.read(thing).means) == 4


def test_linked_splats_are_left_alone_with_a_sentence(scan, tmp_path):
    """What scripts change of them is gone when the file is opened again."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other.blend"), check_existing=False)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "other.blend"), link=True) as (_, wanted):
        wanted.objects = ["scan"]
    thing = wanted.objects[0]
    bpy.context.collection.objects.link(thing)
    thing.select_set(True)
    bpy.context.view_layer.objects.active = thing
    acts = bpy.ops.limelight
    tools = (acts.delete_splats, acts.select_splats, acts.apply_splat_transform, acts.relight_splats, acts.crop_splats)
    for tool in tools:
        with pytest.raises(RuntimeError, match="is linked from another file: make it local"):
            tool()
    assert bpy.context.mode == "OBJECT" and len(thing.data.vertices) == 4
    bpy.ops.object.make_local(type="ALL")
    assert bpy.ops.limelight.delete_splats(what="FAINT") == {"FINISHED"}
    assert acts.export_splats(filepath=str(tmp_path / "out.ply")) == {"FINISHED"}


def test_splats_of_a_linked_collection_are_not_merged_into_others_as_they_would_come_back(scan, scene, tmp_path):
    held = bpy.data.collections.new("Set")
    scene.collection.children.link(held)
    held.objects.link(scan)
    scene.collection.objects.unlink(scan)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "set.blend"), link=True) as (_, wanted):
        wanted.collections = ["Set"]
    bpy.context.scene.collection.children.link(wanted.collections[0])
    bpy.ops.limelight.import_splats(filepath=str(tmp_path / "scan.ply"))
    into = bpy.context.object
    for thing in (into, wanted.collections[0].objects[0]):
        thing.select_set(True)
    with pytest.raises(RuntimeError, match="is linked from another file: make it local"):
        bpy.ops.limelight.merge_splats()
    assert len(into.data.vertices) == 4


def test_the_edit_panel_has_all_tools(scan, draw):
    shown = str(draw(panels.LIMELIGHT_PT_splat_edit).calls)
    tools = ("select_splats", "delete_splats", "apply_splat_transform", "merge_splats", "export_splats")
    assert all(tool in shown for tool in tools)


def test_what_splats_lack_to_be_edited_is_told(scan, tmp_path):
    for name in ("notes.txt", "scan.spz", ""):
        with pytest.raises(RuntimeError, match=r"ends in \.ply"):
            bpy.ops.limelight.export_splats(filepath=str(tmp_path / name) if name else "")
    assert not list(tmp_path.glob("*.spz"))
    with pytest.raises(RuntimeError, match="Select several clouds"):
        bpy.ops.limelight.merge_splats()
    bpy.context.view_layer.objects.active = None
    for name in ("delete_splats", "export_splats", "splat_proxy", "crop_splats"):
        with pytest.raises(RuntimeError, match="no cloud of splats: click one first"):
            getattr(bpy.ops.limelight, name)()
