# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures of a scanned mesh as the artist meets them: learnt at a click, worn, stopped, refused with a sentence."""

import bpy
import numpy as np
import pytest
from limelight import preferences
from limelight.panels.mesh_textures import LIMELIGHT_PT_mesh_textures
from limelight.scene import mesh_textures, own
from limelight.tests.addon.ui.stand_in import asked
from mathutils import Matrix


@pytest.fixture
def photos(engine, scene, tmp_path):
    """A folder of pictures, and the stand-in engine with UVs for a tetrahedron."""
    np.save(preferences.ROOT / "answer" / "uv.npy", np.arange(24, dtype=np.float32).reshape(4, 3, 2) / 24)
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "transforms.json").write_text("{}")
    scene.limelight.capture.source = str(folder)
    return folder


@pytest.fixture
def scan(photos, scene):
    """A tetrahedron with a triangle that has no area, no UV map, and a material of its own."""
    mesh = bpy.data.meshes.new("Scan")
    corners = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0, 0)]
    mesh.from_pydata(corners, [], [(0, 2, 1), (0, 1, 3), (0, 4, 1), (1, 2, 3), (0, 3, 2)])
    mesh.materials.append(bpy.data.materials.new("photographed"))
    thing = bpy.data.objects.new("Scan", mesh)
    scene.collection.objects.link(thing)
    bpy.context.view_layer.objects.active = thing
    bpy.context.view_layer.update()
    return thing


def written(path):
    """The vertices' rows of the mesh that the engine was given, and its triangles."""
    head, _, data = path.read_bytes().partition(b"end_header\n")
    names = [line.split()[-1] for line in head.decode().splitlines() if line.startswith("property float")]
    count = int(head.split(b"element vertex ")[1].split()[0])
    rows = np.frombuffer(data, "<f4", count * len(names)).reshape(count, len(names))
    faces = np.frombuffer(data[rows.nbytes :], [("n", "u1"), ("c", "<i4", 3)])
    return {name: rows[:, k] for k, name in enumerate(names)}, faces["c"]


def test_a_mesh_is_unwrapped_and_wears_what_was_learnt(scan, photos, scene):
    settings = scene.limelight.capture
    settings.iterations, settings.texels, settings.tone = 300, 64, "ACES"
    scan.matrix_world = Matrix.Translation((1, 2, 3)) @ Matrix.Scale(2, 4)
    assert bpy.ops.limelight.learn_textures() == {"FINISHED"}
    told, out = asked(), photos / "Scan_textures"
    matrices = [np.array(frame) for frame in told.pop("frames")]
    assert told == {"scene": str(photos), "mesh": str(out / "mesh.ply"), "out": str(out), "iterations": 300,
                    "texels": 64, "tone": "aces", "unwrap": True, "overwrite": False}  # fmt: skip
    # As it stands in the scene, as its file has it, and both turned.
    assert len(matrices) == 8 and np.allclose(matrices[0], scan.matrix_world) and np.allclose(matrices[1], np.eye(4))
    rows, faces = written(out / "mesh.ply")
    assert list(rows) == ["x", "y", "z", "nx", "ny", "nz"] and len(faces) == 4
    np.testing.assert_array_equal(np.stack([rows[axis] for axis in "xyz"], 1)[:3], [[0, 0, 0], [0, 1, 0], [1, 0, 0]])
    # The triangle without an area, whose loops are 6 to 8, is none of the engine's.
    found = np.empty(30, np.float32)
    scan.data.uv_layers["Limelight"].uv.foreach_get("vector", found)
    np.testing.assert_allclose(np.delete(found.reshape(15, 2), [6, 7, 8], 0).ravel(), np.arange(24) / 24, atol=1e-6)
    slot = scan.material_slots[0]
    assert slot.link == "OBJECT" and slot.material.name == "Scan textures"
    assert scan.data.materials[0].name == "photographed"
    nodes = slot.material.node_tree.nodes
    assert nodes["albedo"].image.packed_file and nodes["albedo"].image.colorspace_settings.name == "sRGB"
    assert nodes["roughness"].image.colorspace_settings.name == "Non-Color"
    assert nodes["Limelight"].uv_map == "Limelight"
    message = bpy.context.window_manager.limelight.message
    assert "“Scan” wears textures" in message and "PSNR 31.5 dB" in message and "A note" in message


def test_a_uv_map_that_is_there_is_kept_and_modifiers_count(scan, photos, scene):
    scan.data.uv_layers.new(name="UV of the scan")
    array = scan.modifiers.new("Array", "ARRAY")
    array.use_relative_offset, array.use_constant_offset, array.constant_offset_displace = False, True, (5, 0, 0)
    assert bpy.ops.limelight.learn_textures() == {"FINISHED"}
    rows, faces = written(photos / "Scan_textures" / "mesh.ply")
    assert {"s", "t"} <= set(rows) and len(faces) == 8 and rows["x"].max() == 6 and not asked()["unwrap"]
    assert scan.data.uv_layers.keys() == ["UV of the scan"]
    assert scan.material_slots[0].material.node_tree.nodes["Limelight"].uv_map == "UV of the scan"


def test_what_was_learnt_is_worn_at_once_and_anew_from_the_start(scan, photos):
    assert bpy.ops.limelight.learn_textures() == {"FINISHED"}
    (preferences.ROOT / "asked.json").unlink()
    material = scan.material_slots[0].material
    bpy.data.images.remove(material.node_tree.nodes["albedo"].image)
    assert bpy.ops.limelight.learn_textures() == {"FINISHED"}
    assert not (preferences.ROOT / "asked.json").exists()
    assert "learnt before" in bpy.context.window_manager.limelight.message
    assert scan.material_slots[0].material == material and material.node_tree.nodes["albedo"].image
    assert bpy.ops.limelight.learn_textures(again=True) == {"FINISHED"} and asked()["overwrite"]
    assert sum(mesh_textures.MARK in image for image in bpy.data.images) == 3


@pytest.mark.parametrize("unwrap", [True, False])
def test_what_was_learnt_before_is_worn_in_the_uv_map_that_it_was_learnt_for(scan, scene, unwrap):
    layers, settings = scan.data.uv_layers, scene.limelight.capture
    layers.new(name="UV of the scan")
    settings.unwrap = unwrap
    assert bpy.ops.limelight.learn_textures() == {"FINISHED"}
    worn = layers.keys()
    assert worn == ["UV of the scan", "Limelight"][: 1 + unwrap]
    # As if the file was opened again that was saved before.
    for layer in layers[1:]:
        layers.remove(layer)
    settings.unwrap = not unwrap
    assert bpy.ops.limelight.learn_textures() == {"FINISHED"}
    assert layers.keys() == worn
    assert scan.material_slots[0].material.node_tree.nodes["Limelight"].uv_map == worn[-1]


def test_what_keeps_textures_from_being_learnt_is_a_sentence(scan, photos, scene, monkeypatch):
    def refused(told):
        with pytest.raises(RuntimeError, match=told):
            bpy.ops.limelight.learn_textures()
        assert not (photos / "Scan_textures").exists()

    scan.modifiers.new("Subdivision", "SUBSURF")
    refused("Apply the modifiers of “Scan” first")
    scan.modifiers.clear()
    bpy.ops.object.mode_set(mode="EDIT")
    refused("Leave Edit Mode first")
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    cube.data.uv_layers.remove(cube.data.uv_layers[0])
    refused("“Cube” has no UV map: triangulate it, or unwrap it")
    bpy.ops.object.empty_add()
    refused("The active object is no mesh")
    bpy.context.view_layer.objects.active = scan
    with monkeypatch.context() as patched:
        patched.setattr(own, "is_local", lambda block: False)
        refused("“Scan” is linked from another file")
    scene.limelight.capture.source = str(photos / "gone")
    refused("“gone” is gone")
    scene.limelight.capture.source = ""
    refused("no pictures yet")


def test_a_mesh_that_is_another_one_by_now_is_told_and_loses_nothing(scan, photos):
    np.save(preferences.ROOT / "answer" / "uv.npy", np.zeros((9, 3, 2), np.float32))
    with pytest.raises(RuntimeError, match="was changed meanwhile: learn its textures from the start"):
        bpy.ops.limelight.learn_textures()
    assert scan.material_slots[0].material.name == "photographed" and not scan.data.uv_layers
    assert (photos / "Scan_textures" / "albedo.png").exists()


def test_the_panel_asks_for_a_mesh_and_shows_progress(scan, scene, draw):
    assert draw(LIMELIGHT_PT_mesh_textures).operators() == ["limelight.learn_textures"] * 2
    scene.limelight.capture.source = ""
    assert any("Choose the folder" in text for text in draw(LIMELIGHT_PT_mesh_textures).texts())
    manager = bpy.context.window_manager.limelight
    manager.running, manager.kind, manager.stage = True, "splat_texture", "Stage 1 of 4, radiance: PSNR 20.0 dB"
    assert "limelight.cancel" in draw(LIMELIGHT_PT_mesh_textures).operators()
    manager.running = False
    bpy.ops.object.empty_add()
    shown = draw(LIMELIGHT_PT_mesh_textures)
    assert not shown.operators() and any("Click a scanned mesh" in text for text in shown.texts())
