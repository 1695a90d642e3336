# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing splats as the artist does: PLY at once, other formats through the engine; errors are sentences."""

import math

import bpy
import numpy as np
import pytest
from limelight import preferences
from limelight.operators import splat_import
from limelight.panels.splats import LIMELIGHT_PT_splats
from limelight.scene import splat_drawing
from limelight.tests.addon import splat_files


@pytest.fixture
def scan(scene, tmp_path):
    """A PLY of three Gaussians."""
    names, values = splat_files.rows(np.eye(3), np.full((3, 3), 0.5), 0.5, 0.1)
    return splat_files.write(tmp_path / "scan.ply", names, values)


@pytest.fixture
def packed(engine, scan, tmp_path):
    """A file that only the engine reads, and the stand-in engine with its answer."""
    (preferences.ROOT / "answer" / "splats.ply").write_bytes(scan.read_bytes())
    (tmp_path / "packed.spz").write_bytes(b"packed")
    return tmp_path / "packed.spz"


def test_a_ply_comes_in_without_an_engine(scan):
    assert bpy.ops.limelight.import_splats(filepath=str(scan)) == {"FINISHED"}
    thing = bpy.context.object
    assert thing.name == "scan" and splat_drawing.is_splats(thing) and len(thing.data.vertices) == 3
    assert thing.rotation_euler.x == pytest.approx(-math.pi / 2)
    # Selected, each Gaussian would have an outline.
    assert bpy.context.view_layer.objects.active == thing
    assert thing.select_get() == (splat_drawing.modifier(thing) is None)


def test_up_can_be_chosen(scan):
    bpy.ops.limelight.import_splats(filepath=str(scan), axes="Z_UP")
    assert bpy.context.object.rotation_euler.x == 0


@pytest.mark.parametrize(("axis", "turn"), [("z", 0.0), ("y", math.pi / 2)])
def test_a_file_that_says_what_is_up_stands_upright_also_after_export(scan, tmp_path, axis, turn):
    told = tmp_path / "told.ply"
    told.write_bytes(scan.read_bytes().replace(b"1.0\n", f"1.0\ncomment {axis} up\n".encode(), 1))
    bpy.ops.limelight.import_splats(filepath=str(told))
    assert bpy.context.object.rotation_euler.x == pytest.approx(turn)
    bpy.ops.limelight.export_splats(filepath=str(tmp_path / "again.ply"))
    bpy.ops.limelight.import_splats(filepath=str(tmp_path / "again.ply"))
    assert bpy.context.object.rotation_euler.x == pytest.approx(turn)


def test_other_formats_come_through_the_engine(packed):
    assert bpy.ops.limelight.import_splats(filepath=str(packed)) == {"FINISHED"}
    thing = bpy.context.object
    assert thing.name == "packed" and thing.rotation_euler.x == pytest.approx(math.pi / 2)
    # As a PLY, whose y points down by custom, it says so.
    bpy.ops.limelight.export_splats(filepath=str(packed.with_name("again.ply")))
    bpy.ops.limelight.import_splats(filepath=str(packed.with_name("again.ply")))
    assert bpy.context.object.rotation_euler.x == pytest.approx(math.pi / 2)
    assert "3 Gaussians" in bpy.context.window_manager.limelight.message


def several(folder, *names):
    """Import files of a folder at once, as the file browser and drops name them."""
    return bpy.ops.limelight.import_splats(directory=f"{folder}/", files=[{"name": name} for name in names])


def test_all_files_that_are_chosen_come_in_by_one_step(packed, scan, tmp_path):
    (tmp_path / "second.ply").write_bytes(scan.read_bytes())
    (tmp_path / "third.splat").write_bytes(b"packed")
    bpy.ops.ed.undo_push()
    assert several(tmp_path, "scan.ply", "packed.spz", "second.ply", "third.splat") == {"FINISHED"}
    made = [thing.name for thing in bpy.context.scene.objects if splat_drawing.is_splats(thing)]
    assert sorted(made) == ["packed", "scan", "second", "third"]
    # Each as its own file has it.
    turns = [math.copysign(1, bpy.data.objects[name].rotation_euler.x) for name in made]
    assert turns == [1 if name in ("packed", "third") else -1 for name in made]
    assert bpy.context.view_layer.objects.active.name == "third"
    message = bpy.context.window_manager.limelight.message
    assert "12 Gaussians are in “scan”, “packed”, “second” and “third”" in message and "third.splat: Two" in message


def test_of_several_files_bad_ones_are_told_by_name_and_good_ones_come_in(packed, scan, engine, tmp_path):
    (tmp_path / "holes.ply").write_bytes(scan.read_bytes()[: -3 * 4 * 14] + np.full(3 * 14, np.nan, "<f4").tobytes())
    engine(fail=["The splat file packed.spz is damaged.", "Export it again."])
    assert several(tmp_path, "packed.spz", "none.ply", "scan.ply", "holes.ply") == {"FINISHED"}
    assert [t.name for t in bpy.context.scene.objects if splat_drawing.is_splats(t)] == ["scan"]
    message = bpy.context.window_manager.limelight.message
    assert "3 Gaussians are in “scan”" in message
    assert "The splat file packed.spz is damaged. Export it again" in message
    assert "There is no file “none.ply”" in message and "holes.ply holds no Gaussian" in message
    with pytest.raises(RuntimeError, match=r"There is no file “none.ply”.*packed.spz is damaged"):
        several(tmp_path, "packed.spz", "none.ply")


def test_without_an_engine_the_plys_among_several_files_come_in(scan, tmp_path, capfd):
    (tmp_path / "a.spz").write_bytes(b"packed")
    assert several(tmp_path, "a.spz", "scan.ply") == {"FINISHED"}
    assert [t.name for t in bpy.context.scene.objects] == ["scan"]
    assert "a.spz: Only PLY as trainers write it is read without the engine" in capfd.readouterr().out


def test_what_the_engine_refuses_is_said_and_changes_nothing(packed, engine):
    engine(fail=["The splat file packed.spz is damaged.", "Export it again."])
    before = set(bpy.data.objects)
    with pytest.raises(RuntimeError, match="is damaged"):
        bpy.ops.limelight.import_splats(filepath=str(packed))
    assert set(bpy.data.objects) == before


def test_a_missing_file_and_a_missing_engine_are_sentences(scan, tmp_path):
    with pytest.raises(RuntimeError, match="There is no file"):
        bpy.ops.limelight.import_splats(filepath=str(tmp_path / "none.ply"))
    (tmp_path / "a.spz").write_bytes(b"packed")
    stored = preferences.addon_preferences(bpy.context)
    assert stored.engine_source == "OWN" or not stored.existing_python
    if splat_import.engine_session.engine_problem(bpy.context) is not None:
        with pytest.raises(RuntimeError, match="without the engine"):
            bpy.ops.limelight.import_splats(filepath=str(tmp_path / "a.spz"))


def test_the_panel_shows_how_splats_are_drawn(scan, draw):
    assert any("import_splats" in str(call) for call in draw(LIMELIGHT_PT_splats).calls)
    bpy.ops.limelight.import_splats(filepath=str(scan))
    shown = str(draw(LIMELIGHT_PT_splats).calls)
    assert all(name in shown for name in ("Exposure", "Most in Viewport", "View-Dependent"))


def test_a_click_adds_a_crop_box(scan):
    bpy.ops.limelight.import_splats(filepath=str(scan))
    thing = bpy.context.object
    assert bpy.ops.limelight.crop_splats() == {"FINISHED"}
    owner, member = splat_drawing.inputs(thing)["Crop Box"]
    assert (owner.value if member == "value" else owner[member[2:-2]]) == bpy.context.object
    assert not bpy.ops.limelight.crop_splats.poll()


def test_a_cloud_without_gaussians_gets_a_sentence_instead_of_a_crop_box(scan, scene):
    bpy.ops.limelight.import_splats(filepath=str(scan))
    bpy.context.object.data.clear_geometry()
    with pytest.raises(RuntimeError, match="has no Gaussians left"):
        bpy.ops.limelight.crop_splats()
    assert len(scene.objects) == 1


def test_where_the_active_collection_is_linked_splats_come_in_beside_it(scan, scene, tmp_path):
    scene.collection.children.link(bpy.data.collections.new("Set"))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "set.blend"), link=True) as (_there, wanted):
        wanted.collections = ["Set"]
    scene, layer = bpy.context.scene, bpy.context.view_layer
    scene.collection.children.link(wanted.collections[0])
    layer.active_layer_collection = layer.layer_collection.children["Set"]
    bpy.ops.limelight.import_splats(filepath=str(scan))
    bpy.ops.limelight.crop_splats()
    assert len(scene.collection.objects) == 2


def test_the_import_menu_has_an_entry(scene):
    assert hasattr(bpy.types.TOPBAR_MT_file_import, "draw")
    if hasattr(bpy.types, "FileHandler"):
        assert ".spz" in splat_import.LIMELIGHT_FH_splats.bl_file_extensions
