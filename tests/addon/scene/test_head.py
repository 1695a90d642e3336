# SPDX-License-Identifier: GPL-3.0-or-later
"""A head that the engine wrote becomes an object: the right shape, the right way round, updated and never doubled."""

import math

import bpy
import numpy as np
import pytest
from limelight.scene import camera as cameras
from limelight.scene import (
    compat,
    head,
    head_export,
    head_eyes,
    head_light,
    head_material,
    head_mesh,
    head_place,
    heads,
)
from mathutils import Matrix, Vector

KINDS = ("objects", "meshes", "materials", "images", "cameras", "collections")


@pytest.fixture
def portrait(scene):
    """The photo, upright, 60 × 80 pixels."""
    return bpy.data.images.new("Ada.png", 60, 80)


@pytest.fixture
def made(scene, portrait, write_head, tmp_path):
    """A small head in front of the camera of its photo."""
    thing = head.build(scene, write_head(tmp_path / "head"), portrait, 0, {"seed": 7, "reprojection": 0.012})
    head_place.place(scene, thing)
    bpy.context.view_layer.update()
    return thing


def points_of(thing, evaluated=True):
    """(V, 3) of an object's mesh in its own axes; with the sliders, without the modifiers that add points."""
    for modifier in thing.modifiers:
        modifier.show_viewport = False
    bpy.context.view_layer.update()
    mesh = (thing.evaluated_get(bpy.context.evaluated_depsgraph_get()) if evaluated else thing).data
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)


def count():
    """How many datablocks of each kind there are."""
    return {kind: len(getattr(bpy.data, kind)) for kind in KINDS}


def test_the_sliders_stand_where_the_fit_left_them(made, tmp_path):
    arrays = np.load(tmp_path / "head" / "head.npz")
    keys = made.data.shape_keys.key_blocks
    assert list(keys.keys())[:3] == ["Basis", "Identity 01", "Identity 02"]
    assert set(arrays["expression_names"]) <= set(keys.keys())
    assert keys["Identity 01"].value == pytest.approx(1.5) and keys["jawOpen"].value == pytest.approx(0.5)
    fitted = arrays["points"] + 0.5 * arrays["expression"][0].astype(np.float32)
    assert np.allclose(points_of(made), fitted, atol=2e-6)
    for name in ("Identity 01", "Identity 02", "jawOpen"):
        keys[name].value = 0.0
    neutral = arrays["points"] - np.tensordot(arrays["identity_value"], arrays["identity"].astype(np.float32), 1)
    assert np.allclose(points_of(made), neutral, atol=2e-6)


def test_a_head_appended_alone_brings_its_eyes(made, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "head.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.append(directory=f"{tmp_path / 'head.blend'}/Object/", filename="Ada head")
    there = bpy.context.scene.objects["Ada head"]
    assert sorted(eye[head_eyes.MARK] for eye in head_eyes.eyes(there)) == ["Left eye", "Right eye"]
    assert all(eye.constraints[0].target == there for eye in head_eyes.eyes(there))


def test_a_photos_long_name_leaves_its_parts_theirs(scene, write_head, tmp_path):
    image = bpy.data.images.new("光" * 21, 60, 80)
    thing = head.build(scene, write_head(tmp_path / "head"), image, 0, {})
    assert thing.name == f"{'光' * 12} head" and thing.data.materials[0].name == f"{thing.name} skin"
    assert f"{thing.name} specular albedo" in bpy.data.images


def test_an_eye_that_was_deleted_comes_back(scene, made, portrait, tmp_path):
    with bpy.context.temp_override(selected_objects=head_eyes.eyes(made)[:1]):
        bpy.ops.object.delete()
    assert len(head_eyes.eyes(made)) == 1
    head.build(scene, tmp_path / "head", portrait, 0, {"seed": 7, "reprojection": 0.012})
    assert len(head_eyes.eyes(made)) == 2


def test_its_faces_look_outwards_and_so_do_the_eyes(made):
    for thing in (made, *head_eyes.eyes(made)):
        middle = np.mean([face.center[:] for face in thing.data.polygons], 0)
        outwards = [face.normal.dot(face.center - Vector(middle)) > 0 for face in thing.data.polygons]
        assert all(outwards), thing.name
        assert all(face.use_smooth for face in thing.data.polygons)


def test_the_camera_sees_it_where_the_photo_does(scene, made, portrait):
    camera = scene.camera
    assert (scene.render.resolution_x, scene.render.resolution_y) == (60, 80)
    assert math.degrees(camera.data.angle_x) == pytest.approx(30.0, abs=1e-4)
    assert [b.image for b in camera.data.background_images] == [portrait] and scene.limelight.plate == portrait
    # By the pinhole of the engine: the origin of the head, (0.03, −0.02, −0.9) m from the camera.
    focal = 30 / math.tan(math.radians(15))
    u, v, depth = cameras.project(scene, camera, made.matrix_world.translation)
    assert (u * 60, v * 80) == pytest.approx((30 + focal * 0.03 / 0.9, 40 + focal * 0.02 / 0.9), abs=1e-3)
    assert depth == pytest.approx(0.9, abs=1e-5)
    # It looks at the camera, upright, its left at the right of the picture.
    turn = (camera.matrix_world.inverted() @ made.matrix_world).to_3x3()
    assert (turn @ Vector((0, -1, 0))).z == pytest.approx(1, abs=1e-5)
    assert (turn @ Vector((0, 0, 1))).y == pytest.approx(1, abs=1e-5)
    assert (turn @ Vector((1, 0, 0))).x == pytest.approx(1, abs=1e-5)


def test_it_is_as_large_as_a_head_in_any_unit(scene, portrait, write_head, tmp_path):
    scene.unit_settings.scale_length = 0.01
    thing = head.build(scene, write_head(tmp_path / "head"), portrait, 0, {})
    head_place.place(scene, thing)
    bpy.context.view_layer.update()
    assert thing.matrix_world.to_scale()[0] == pytest.approx(100.0)
    assert cameras.project(scene, scene.camera, thing.matrix_world.translation)[2] == pytest.approx(90.0, rel=1e-5)
    skin = thing.data.materials[0].node_tree.nodes["Principled BSDF"]
    assert skin.inputs["Subsurface Scale"].default_value == pytest.approx(0.118)


def test_skin_takes_the_maps_and_lets_light_in(made):
    tree = made.data.materials[0].node_tree
    surface = tree.nodes["Principled BSDF"]

    def source(socket):
        return surface.inputs[socket].links[0].from_node

    diffuse, *plain = (source(name).image for name in ("Base Color", "Specular IOR Level", "Roughness"))
    bend = source("Normal")
    plain.append(bend.inputs["Color"].links[0].from_node.image)
    assert diffuse.colorspace_settings.name == "sRGB"
    assert {image.colorspace_settings.name for image in plain} == {"Non-Color"} and len(set(plain)) == 3
    assert bend.type == "NORMAL_MAP" and bend.uv_map in made.data.uv_layers
    # A level of 0.5 means 4 % at this index only.
    assert surface.inputs["IOR"].default_value == pytest.approx(1.5)
    reach = surface.inputs["Subsurface Scale"].default_value * max(surface.inputs["Subsurface Radius"].default_value)
    assert surface.inputs["Subsurface Weight"].default_value == 1.0 and 0.0005 < reach < 0.004, "millimetres in metres"
    assert all(image.packed_files for image in (diffuse, *plain))
    assert made.data.materials[1] == made.data.materials[0], "the neck wears the skin's maps"
    assert made.data.materials[2].node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value[0] > 0.2


def test_all_survives_without_the_engines_files(made, tmp_path):
    for path in (tmp_path / "head").iterdir():
        path.unlink()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    thing = heads.heads(bpy.context.scene)[0]
    image = thing.data.materials[0].node_tree.nodes["diffuse albedo"].image
    assert image.pixels[0] == pytest.approx(0.8, abs=0.01)
    assert thing.limelight.head.seed == 7 and thing.limelight.head.reprojection == pytest.approx(0.012)


def test_a_second_run_brings_the_same_object_up_to_date(scene, made, portrait, write_head, tmp_path):
    before = count()
    own = made.shape_key_add(name="My scar", from_mix=False)
    own.value, own.data[3].co = 0.0, own.data[3].co + Vector((0.0, 0.0, 0.01))
    made.data.materials[0].node_tree.nodes["Principled BSDF"].inputs["Roughness"].default_value = 0.6
    made.name = "Countess"
    larger = np.load(tmp_path / "head" / "head.npz")["points"] * 1.1
    folder = write_head(tmp_path / "again", diffuse=(0.3, 0.2, 0.1), points=larger)
    again = head.build(scene, folder, portrait, 0, {"seed": 8})
    assert again == made and again.name == "Countess" and count() == before
    assert again.limelight.head.seed == 8
    keys = again.data.shape_keys.key_blocks
    assert (keys["My scar"].data[3].co - keys["Basis"].data[3].co)[:] == pytest.approx((0, 0, 0.01), abs=1e-6)
    assert keys["My scar"].data[4].co == keys["Basis"].data[4].co
    skin = again.data.materials[0].node_tree.nodes
    assert skin["Principled BSDF"].inputs["Roughness"].default_value == pytest.approx(0.6)
    assert skin["diffuse albedo"].image.pixels[0] == pytest.approx(0.3, abs=0.01)
    arrays = np.load(folder / "head.npz")
    assert np.allclose(points_of(again), larger + 0.5 * arrays["expression"][0].astype(np.float32), atol=2e-6)


def test_a_head_of_another_make_takes_the_place_of_the_mesh(scene, made, portrait, write_head, tmp_path):
    before, arrays = count(), dict(np.load(tmp_path / "head" / "head.npz"))
    fewer = {name: arrays[name][8:] for name in ("faces", "uv", "material")}
    again = head.build(scene, write_head(tmp_path / "other", **fewer), portrait, 0, {})
    assert again == made and len(again.data.polygons) == len(fewer["faces"]) and count() == before
    assert [m.name for m in again.data.materials] == ["Ada head skin", "Ada head skin", "Ada head mouth"]


def test_another_face_of_the_same_photo_is_another_head(scene, made, portrait, write_head, tmp_path):
    second = head.build(scene, write_head(tmp_path / "second"), portrait, 1, {})
    assert second != made and heads.heads(scene) == [made, second]
    assert heads.find(scene, portrait, 0) == made and heads.find(scene, portrait, 1) == second


@pytest.mark.parametrize("by", ["itself", "duplicate"])
def test_it_takes_its_new_shape_also_while_it_is_edited(scene, made, portrait, write_head, tmp_path, by):
    edited = made if by == "itself" else bpy.data.objects.new("linked duplicate", made.data)
    if edited != made:
        scene.collection.objects.link(edited)
    bpy.context.view_layer.objects.active = edited
    bpy.ops.object.mode_set(mode="EDIT")
    larger = np.load(tmp_path / "head" / "head.npz")["points"] * 1.1
    head.build(scene, write_head(tmp_path / "again", points=larger), portrait, 0, {})
    assert edited.mode == "OBJECT" and made.data.vertices[0].co[:] != pytest.approx(larger[0], abs=1e-9)


def join(made, *, material=True):
    """Join a small plane to a head, as hair."""
    bpy.ops.mesh.primitive_plane_add(size=0.05, location=(0, 0, 0.2))
    hair = bpy.context.object
    if material:
        hair.data.materials.append(bpy.data.materials.new("Hair"))
    made.select_set(True)
    bpy.context.view_layer.objects.active = made
    bpy.ops.object.join()


@pytest.mark.parametrize("material", [True, False])
def test_what_was_joined_to_it_stays(scene, made, portrait, write_head, tmp_path, material):
    made.matrix_world = Matrix()
    made.shape_key_add(name="Smirk", from_mix=False).data[0].co.x += 0.01
    join(made, material=material)
    slots, points = list(made.data.materials), len(made.data.vertices)
    hair = [tuple(vertex.co) for vertex in made.data.vertices[-4:]]
    larger = np.load(tmp_path / "head" / "head.npz")["points"] * 1.1
    assert head.build(scene, write_head(tmp_path / "again", points=larger), portrait, 0, {}) == made
    assert len(made.data.vertices) == points and list(made.data.materials) == slots
    keys = made.data.shape_keys.key_blocks
    for key in (keys["Basis"], keys["Identity 01"], keys["jawOpen"], keys["Smirk"]):
        assert [tuple(point.co) for point in key.data[-4:]] == hair
    assert keys["Smirk"].data[0].co.x - keys["Basis"].data[0].co.x == pytest.approx(0.01, abs=1e-6)
    assert points_of(made)[len(larger) - 1] == pytest.approx(larger[-1], abs=1e-5)


def test_a_mesh_that_cannot_take_a_new_shape_without_loss_is_refused(scene, made, portrait, write_head, tmp_path):
    head_mesh.check(made)
    arrays = dict(np.load(tmp_path / "head" / "head.npz"))
    other = {name: arrays[name][:-1] for name in ("faces", "uv", "material")}
    # Of another make, but just as it was made: nothing is lost.
    head.build(scene, write_head(tmp_path / "other", **other), portrait, 0, {})
    assert len(made.data.polygons) == len(arrays["faces"]) - 1
    join(made)
    head_mesh.check(made)
    before = count(), len(made.data.vertices)
    with pytest.raises(ValueError, match="“Ada head” was cut, remeshed or joined"):
        head.build(scene, write_head(tmp_path / "again"), portrait, 0, {})
    assert (count(), len(made.data.vertices)) == before
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    bpy.ops.object.mode_set(mode="OBJECT")
    with pytest.raises(ValueError, match="delete it or move it"):
        head_mesh.check(made)


def looks(made, side):
    """Where an eye looks, in the head's axes."""
    bpy.context.view_layer.update()
    eye = next(e for e in head_eyes.eyes(made) if e[head_eyes.MARK] == side)
    turn = made.matrix_world.inverted() @ eye.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world
    return (turn.to_3x3() @ Vector((0, -1, 0))).normalized(), turn.translation


def test_the_eyes_look_where_they_were_fitted_and_follow_the_sliders(made):
    ahead, centre = looks(made, "Right eye")
    assert ahead[:] == pytest.approx((0, -1, 0), abs=1e-5)
    assert centre[:] == pytest.approx((-0.03, -0.02, 0.0), abs=1e-5)
    # The slider stood at 0.2 when the gaze was fitted.
    fitted, centre = looks(made, "Left eye")
    assert fitted[:] == pytest.approx((0.6, -0.8, 0.0), abs=1e-4)
    assert centre[:] == pytest.approx((0.03, -0.02, 0.0), abs=1e-5)
    keys = made.data.shape_keys.key_blocks
    keys["eyeLookInLeft"].value = 1.0
    assert looks(made, "Left eye")[0].x < fitted.x - 0.2, "inwards is to the nose, at −x of the left eye"
    keys["eyeLookUpLeft"].value = 1.0
    assert looks(made, "Left eye")[0].z > 0.3
    moved = keys["Identity 01"].data[-1].co - keys["Basis"].data[-1].co
    keys["Identity 01"].value = 2.5
    assert (looks(made, "Left eye")[1] - centre)[:] == pytest.approx(moved[:], abs=1e-5)


def test_the_pupil_is_the_top_row_of_the_eyes_picture(made):
    mesh = head_eyes.eyes(made)[0].data
    uv = {loop.vertex_index: mesh.uv_layers[0].data[loop.index].uv for loop in mesh.loops}
    front = min(range(len(mesh.vertices)), key=lambda i: mesh.vertices[i].co.y)
    assert uv[front].y == pytest.approx(1.0) and mesh.vertices[front].co.length == pytest.approx(0.012, rel=1e-5)
    for vertex in mesh.vertices:
        x, y, z = vertex.co / 0.012
        assert math.acos(max(-1, min(1, -y))) / math.pi == pytest.approx(1 - uv[vertex.index].y, abs=1e-3)
        if abs(y) < 0.9:
            # Round from the head's left by its crown; the seam has both ends.
            off = (math.atan2(z, x) / (2 * math.pi) - uv[vertex.index].x) % 1
            assert min(off, 1 - off) < 1e-3


def test_a_lamp_at_the_left_of_the_picture_lights_that_side(scene, made):
    scene.world = None
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "SUN"))
    lamp.data.energy = 3.0
    toward = scene.camera.matrix_world.to_3x3() @ Vector((1.0, 0.0, -0.5))
    lamp.rotation_euler = toward.to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(lamp)
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 8, False
    scene.render.filepath = bpy.app.tempdir + "lit.exr"
    compat.set_still_format(scene.render.image_settings, "OPEN_EXR")
    bpy.ops.render.render(write_still=True)
    from pathlib import Path

    from limelight.scene import pixels

    picture = pixels.read(Path(scene.render.filepath))
    seen = picture[..., 3] > 0.5
    assert 0.02 < seen.mean() < 0.6
    columns = np.nonzero(seen.any(0))[0]
    middle = int(columns.mean())
    left, right = (picture[:, part][seen[:, part]][..., :3].mean() for part in (slice(0, middle), slice(middle, None)))
    assert left > 2 * right and left > 0.02


def test_damaged_and_missing_files_are_told_and_change_nothing(scene, portrait, write_head, tmp_path):
    before = count()
    folder = write_head(tmp_path / "head")
    (folder / "normal.png").unlink()
    with pytest.raises(RuntimeError, match=r"no normal\.png; run it again"):
        head.build(scene, folder, portrait, 0, {})
    write_head(folder, faces=np.array([[0, 1, 2, 99999]]))
    with pytest.raises(RuntimeError, match=r"cannot be read .*point 99999"):
        head.build(scene, folder, portrait, 0, {})
    (folder / "head.npz").write_bytes(b"PK nothing")
    with pytest.raises(RuntimeError, match="cannot be read"):
        head.build(scene, folder, portrait, 0, {})
    assert count() == before


def test_the_export_holds_maps_sliders_and_eyes(made, tmp_path):
    import json
    import struct

    if "gltf" not in dir(bpy.ops.export_scene):
        pytest.skip("this Blender has no glTF exporter")
    other = bpy.data.objects.new("Other", None)
    bpy.context.scene.collection.objects.link(other)
    other.select_set(True)
    head_export.write(bpy.context, made, tmp_path / "ada.glb")
    assert bpy.context.selected_objects == [other]
    data = (tmp_path / "ada.glb").read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    said = json.loads(data[20 : 20 + length])
    assert len(said["nodes"]) == 3 and len(said["images"]) >= 4
    (skin,) = (material for material in said["materials"] if material["name"] == "Ada head skin")
    rough = skin["pbrMetallicRoughness"]["metallicRoughnessTexture"]["index"]
    view = said["bufferViews"][said["images"][said["textures"][rough]["source"]]["bufferView"]]
    begin = 28 + length + view.get("byteOffset", 0)
    (tmp_path / "rough.png").write_bytes(data[begin : begin + view["byteLength"]])
    green = bpy.data.images.load(str(tmp_path / "rough.png")).pixels[1]
    assert green * skin["pbrMetallicRoughness"].get("roughnessFactor", 1.0) == pytest.approx(0.6, abs=0.01)
    assert skin["pbrMetallicRoughness"]["metallicFactor"] == 0
    targets = said["meshes"][[m["name"] for m in said["meshes"]].index(made.data.name)]["extras"]["targetNames"]
    assert "jawOpen" in targets and "Identity 02" in targets


def nodes(path):
    """The names of the nodes in a glTF file."""
    import json
    import struct

    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    return sorted(node["name"] for node in json.loads(data[20 : 20 + length])["nodes"])


@pytest.mark.parametrize("switch", ["hide_select", "hide_viewport"])
def test_the_export_holds_what_is_hidden_and_nothing_of_other_scenes(scene, made, tmp_path, switch):
    if "gltf" not in dir(bpy.ops.export_scene):
        pytest.skip("this Blender has no glTF exporter")
    second, other = bpy.data.scenes.new("Second"), bpy.data.objects.new("Other", None)
    second.collection.objects.link(other)
    other.select_set(True, view_layer=second.view_layers[0])
    right, left = head_eyes.eyes(made)
    setattr(right, switch, True)
    setattr(made.users_collection[0], switch, True)
    before = count()
    head_export.write(bpy.context, made, tmp_path / "ada.glb")
    assert nodes(tmp_path / "ada.glb") == sorted([made.name, right.name, left.name])
    assert count() == before and getattr(right, switch) and not getattr(made, switch)
    (layer,) = (c for c in bpy.context.view_layer.layer_collection.children if made.name in c.collection.objects)
    layer.exclude = True
    head_export.write(bpy.context, made, tmp_path / "again.glb")
    assert nodes(tmp_path / "again.glb") == nodes(tmp_path / "ada.glb")


def test_the_export_holds_the_armature_that_the_artist_gave_it(scene, made, tmp_path):
    if "gltf" not in dir(bpy.ops.export_scene):
        pytest.skip("this Blender has no glTF exporter")
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    rig.data.edit_bones.new("neck").tail = (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    made.vertex_groups.new(name="neck").add(range(len(made.data.vertices)), 1.0, "REPLACE")
    made.modifiers.new("Armature", "ARMATURE").object = rig
    head_export.write(bpy.context, made, tmp_path / "ada.glb")
    assert {"neck", "Rig"} <= set(nodes(tmp_path / "ada.glb"))


def test_uv_and_materials_arrive_corner_by_corner(made, tmp_path):
    arrays = np.load(tmp_path / "head" / "head.npz")
    uv = np.empty(len(made.data.loops) * 2, np.float32)
    made.data.uv_layers[head_mesh.UV_LAYER].data.foreach_get("uv", uv)
    assert np.allclose(uv.reshape(-1, 4, 2), arrays["uv"])
    assert [face.material_index for face in made.data.polygons] == arrays["material"].tolist()
    assert head_material.MARK in made.data.materials[0].node_tree.nodes["normal"].image


def test_a_panorama_and_harmonics_put_as_much_light_on_the_face(scene):
    even = np.zeros((9, 3))
    even[0] = 2.0 * math.sqrt(4 * math.pi)
    even[0, 2] /= 2
    assert head_light.of_fit(even) == pytest.approx([2 * math.pi, 2 * math.pi, math.pi])
    sky = bpy.data.images.new("sky", 256, 128, float_buffer=True)
    sky.pixels.foreach_set(np.full(256 * 128 * 4, 2.0, np.float32))
    there = head_light.of_panorama(sky, Matrix())
    assert there == pytest.approx([2 * math.pi] * 3, rel=1e-3)
    stops, tint = head_light.matching(2 * head_light.of_fit(even), there)
    assert stops == pytest.approx(1.0, abs=1e-3) and tint == pytest.approx([1, 1, 0.5], abs=1e-3)
    assert head_light.matching([-1.0] * 3, there) == (0.0, [1.0, 1.0, 1.0])
    # L(d) = 1 − y: brighter where the face looks, in the head's axes along −y.
    ahead = np.zeros((9, 3))
    ahead[0], ahead[1] = math.sqrt(4 * math.pi), -math.sqrt(4 * math.pi / 3)
    # The face is turned to +X, which is the panorama's centre.
    turned = Matrix.Rotation(math.radians(90), 4, "Z")
    round_z = (0.5 - (np.arange(256) + 0.5) / 256) * 2 * np.pi
    flat = np.cos(((np.arange(128) + 0.5) / 128 - 0.5) * np.pi)
    values = np.ones((128, 256, 4), np.float32)
    values[..., :3] += (flat[:, None] * np.cos(round_z))[..., None]
    sky.pixels.foreach_set(values.ravel())
    assert head_light.of_panorama(sky, turned) == pytest.approx(head_light.of_fit(ahead), rel=1e-3)
    assert (head_light.of_panorama(sky, Matrix()) < 0.8 * head_light.of_fit(ahead)).all()
