# SPDX-License-Identifier: GPL-3.0-or-later
"""What is applied follows a new estimate of its own probe, and nothing else."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from limelight.scene import asset, compat, lamps, pixels, probes, results, world
from limelight.tests.addon.lit_scene import dome_material, estimate, image_of, panorama, shown_by, white_plane


def test_a_map_is_unpacked_beside_the_blend_whatever_its_probe_is_called(scene, tmp_path):
    probe = probes.add_probe(scene, (0, 0, 0), 0.1, name='../lamp: "A"')
    pixels.write(tmp_path / "a.exr", np.ones((4, 8, 3), np.float32))
    image = results.load_image(None, tmp_path / "a.exr", f"{probe.name} light", probe)
    assert image.name == '../lamp: "A" light' and image.filepath_raw == "//.._lamp_ _A_ light.exr"
    (tmp_path / "shot").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot" / "shot.blend"))
    image.unpack(method="WRITE_ORIGINAL")
    assert (tmp_path / "shot" / ".._lamp_ _A_ light.exr").is_file()


def test_results_are_packed_and_replace_earlier_ones(scene, tmp_path):
    probe = probes.add_probe(scene, (0, 0, 0), 0.1)
    entry = {"name": probe.name, "lamps": [], "warnings": []}
    for name in ("environment", "fill", "spheres"):
        made = image_of(panorama(), name)
        made.filepath_raw, made.file_format = str(tmp_path / f"{name}.exr"), "OPEN_EXR"
        made.save()
        bpy.data.images.remove(made)
        entry[name] = f"{name}.exr"
    answer = {"probes": [entry], "seconds": {"estimate": 2.0}, "warnings": []}
    assert results.load_results(bpy.context.scene, tmp_path, answer) == [probe]
    made = world.apply_world(scene, probe)
    count = len(bpy.data.images)
    results.load_results(bpy.context.scene, tmp_path, answer)
    assert len(bpy.data.images) == count
    # The truth that an artist lights with is no earlier estimate: it stays.
    truth = probe.limelight.truth = probe.limelight.environment = image_of(panorama(), "truth")
    results.load_results(bpy.context.scene, tmp_path, answer)
    assert probe.limelight.truth == truth != probe.limelight.environment
    world.apply_world(scene, probe)
    shown = made.node_tree.nodes["Limelight light image"].image
    assert shown == probe.limelight.environment and shown.packed_file is not None
    assert shown.is_float and shown.colorspace_settings.name == compat.LINEAR
    saved = tmp_path / "saved" / "shot.blend"
    saved.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(saved), compress=False)
    # The file's own place is in it; a job's folder or the extension's is not.
    assert str(tmp_path / "env").encode() not in saved.read_bytes()
    assert str(Path(results.__file__).parent).encode() not in saved.read_bytes()


@pytest.mark.parametrize("apply", [world.apply_world, dome_material])
def test_a_duplicated_probes_light_never_takes_the_originals_place(scene, tmp_path, apply):
    probe = probes.add_probe(scene, (0, 0, 0), 0.1)
    white_plane(scene)
    estimate(tmp_path, {probe: 1})
    made = apply(scene, probe)
    double = probe.copy()
    scene.collection.objects.link(double)
    estimate(tmp_path, {double: 2})
    assert shown_by(made) == 1
    third = probe.copy()
    scene.collection.objects.link(third)
    estimate(tmp_path, {probe: 3})
    assert shown_by(made) == 3
    estimate(tmp_path, {probe: 4, double: 5, third: 6})
    assert shown_by(made) == 4
    assert [pixels.of(p.limelight.environment)[0, 0, 0] for p in (probe, double, third)] == [4, 5, 6]


def test_the_world_follows_from_the_truth_to_a_new_estimate(scene, tmp_path):
    probe = probes.add_probe(scene, (0, 0, 0), 0.1)
    truth = probe.limelight.truth = probe.limelight.environment = image_of(panorama(), "truth")
    made = world.apply_world(scene, probe)
    estimate(tmp_path, {probe: 3})
    assert shown_by(made) == 3 and probe.limelight.truth == truth


SUN = {"kind": "sun", "direction": [0, 0, 1], "irradiance": [3.0] * 3, "angle_deg": 1}


def test_lamps_and_fill_follow_a_new_estimate_together(scene, tmp_path):
    probe = probes.add_probe(scene, (0, 0, 0), 0.1)
    estimate(tmp_path, {probe: 1}, [SUN])
    lamps.apply_lamps(scene, probe)
    made = scene.world
    made.limelight.strength_ev = 1.0
    estimate(tmp_path, {probe: 2}, [SUN | {"direction": [1, 0, 0], "irradiance": [7.0] * 3}])
    (lamp,) = [o for o in scene.objects if o.type == "LIGHT"]
    bpy.context.view_layer.update()
    assert scene.world == made and shown_by(made) == 1 and lamp.data.energy == pytest.approx(14)
    assert tuple(lamp.matrix_world.to_3x3().col[2]) == pytest.approx((1, 0, 0), abs=1e-6)
    # Without concentrated light the World shows all of it.
    estimate(tmp_path, {probe: 4})
    assert shown_by(made) == 4 and not bpy.data.lights
    # What the artist put in the World's place, with the lamps left on, stays.
    estimate(tmp_path, {probe: 1}, [SUN])
    lamps.apply_lamps(scene, probe)
    mine = scene.world = bpy.data.worlds.new("Mine")
    estimate(tmp_path, {probe: 2}, [SUN])
    assert scene.world == mine and len(bpy.data.lights) == 1


def test_nodes_that_the_artist_added_to_the_world_stay(scene, tmp_path):
    probe = probes.add_probe(scene, (0, 0, 0), 0.1)
    estimate(tmp_path, {probe: 1}, [SUN])
    lamps.apply_lamps(scene, probe)
    tree = scene.world.node_tree
    shader = tree.nodes["Limelight light"]
    mine = tree.nodes.new("ShaderNodeHueSaturation")
    tree.links.new(shader.inputs["Color"].links[0].from_socket, mine.inputs["Color"])
    tree.links.new(mine.outputs[0], shader.inputs["Color"])
    estimate(tmp_path, {probe: 2}, [SUN])
    assert shader.inputs["Color"].links[0].from_node == mine and shown_by(scene.world) == 1
    world.apply_world(scene, probe)
    assert shader.inputs["Color"].links[0].from_node == mine and shown_by(scene.world) == 2
    # Where one of the nodes that it needs is gone, the World is made anew.
    tree.nodes.remove(tree.nodes["Limelight light tint"])
    world.apply_world(scene, probe)
    assert shown_by(scene.world) == 2 and "Limelight light tint" in tree.nodes


def test_an_asset_keeps_its_light_until_it_is_marked_again(scene, tmp_path):
    probe = probes.add_probe(scene, (0, 0, 0), 0.1)
    estimate(tmp_path, {probe: 1})
    kept = asset.mark_asset(scene, probe)
    estimate(tmp_path, {probe: 2})
    assert shown_by(kept) == 1
    count = len(bpy.data.images)
    assert asset.mark_asset(scene, probe) == kept and shown_by(kept) == 2 and len(bpy.data.images) == count
    (image,) = {node.image for node in kept.node_tree.nodes if node.type == "TEX_ENVIRONMENT"}
    # Unpacked, each goes into a file of its own.
    assert image.packed_file is not None and image.filepath_raw != probe.limelight.environment.filepath_raw
