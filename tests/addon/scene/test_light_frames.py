# SPDX-License-Identifier: GPL-3.0-or-later
"""Light over frames in the scene: maps at their frames, lamps that live on, domes that go along, sliders."""

import json

import bpy
import numpy as np
import pytest
from limelight.scene import domes, keys, lamp_tracks, lamps, light_frames, pixels, probes, results_frames, world
from mathutils import Vector


def sun(direction, irradiance=(3.0, 2.0, 1.0), kind="sun", angle=2.0):
    return {"kind": kind, "direction": list(direction), "irradiance": list(irradiance), "angle_deg": angle}


def answer(folder, numbers, lights=lambda n: [sun((0, 0, 1))], place=lambda n: (0.0, 0.0, 0.0), scale=1.0):
    """A result as the engine leaves it: the map of frame n has the value n everywhere."""
    records = []
    for number in numbers:
        files = {k: f"probe_0{part}/{number:04d}.exr" for k, part in (("environment", ""), ("fill", "_fill"))}
        for file in files.values():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            pixels.write(folder / file, np.full((4, 8, 3), number * scale, np.float32))
        (folder / "probe_0_spheres").mkdir(exist_ok=True)
        pixels.write(folder / f"probe_0_spheres/{number:04d}.exr", np.zeros((2, 2, 3), np.float32))
        entry = {"name": "Probe", **files, "spheres": f"probe_0_spheres/{number:04d}.exr", "lamps": lights(number),
                 "position_world": list(place(number)), "warnings": [], "spread": None}  # fmt: skip
        records.append({"number": number, "probes": [entry], "warnings": []})
    return {"frames": records, "warnings": []}


def lit(scene, folder, frames, shift=0, **how):
    """A probe with light at ``frames``."""
    probe = probes.add_probe(scene, (0, 0, 0), 0.1)
    numbers = {frame: frame + shift for frame in frames}
    result = answer(folder, numbers.values(), **how)
    assert results_frames.load_results(scene, folder, result, numbers) == [probe]
    return probe


def rendered(scene, frame, path):
    """The red value that a camera in the middle sees at a frame."""
    scene.frame_set(frame)
    scene.render.filepath, scene.render.image_settings.file_format = str(path), "OPEN_EXR"
    bpy.ops.render.render(write_still=True)
    return float(pixels.read(path)[..., 0].mean()), float(pixels.read(path)[..., 1].mean())


@pytest.fixture
def seen(scene):
    """A scene with a camera that renders one pixel or so."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.cycles.samples = 1
    scene.render.resolution_x = scene.render.resolution_y = 4
    return scene


def test_cycles_shows_each_map_at_its_frame_and_holds_first_and_last(seen, tmp_path):
    probe = lit(seen, tmp_path / "shot", [101, 102, 103], scale=0.01)
    world.apply_world(seen, probe)
    for frame, value in ((102, 1.02), (1, 1.01), (103, 1.03), (250, 1.03)):
        # A map that is missing would be pink: red without green.
        assert rendered(seen, frame, tmp_path / "out.exr") == pytest.approx((value, value), abs=0.004)


def test_lamps_keep_step_with_the_world_where_time_is_stretched(scene, tmp_path):
    scene.render.frame_map_old, scene.render.frame_map_new = 100, 200
    (lamp,) = lamps.apply_lamps(scene, lit(scene, tmp_path, [10, 20, 30], lights=lambda n: [sun((0, 0, 1), (n, n, n))]))
    for number in (10, 20, 30):
        scene.frame_set(number)
        graph = bpy.context.evaluated_depsgraph_get()
        assert lamp.data.evaluated_get(graph).energy == pytest.approx(number)


def test_frames_below_one_and_steps_are_filled_up(scene, tmp_path):
    probe = lit(scene, tmp_path, [-3, 1, 5], shift=4)
    image = probe.limelight.environment
    found = [float(light_frames.values(image, frame)[0, 0, 0]) for frame in range(-4, 7)]
    assert found == pytest.approx([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9], abs=1e-3)
    assert (tmp_path / "probe_0" / "0000.exr").is_file() and light_frames.file_at(image, 0).name == "0004.exr"


def test_another_part_or_step_of_a_shot_leaves_the_maps_of_its_other_frames(scene, tmp_path):
    lit(scene, tmp_path, list(range(1, 8)))
    (tmp_path / "frames").mkdir()
    for number in range(1, 8):
        (tmp_path / "frames" / f"{number:04d}.json").write_text("{}")
    for frames in ([4, 5, 6], [1, 7]):
        numbers = {frame: frame for frame in frames}
        result = answer(tmp_path, frames)
        pixels.write(tmp_path / "probe_0/0003.exr", np.full((4, 8, 3), 30.0, np.float32))
        results_frames.load_results(scene, tmp_path, result, numbers)
        assert pixels.read(tmp_path / "probe_0/0003.exr")[0, 0, 0] == 30


def test_a_later_estimate_of_one_frame_takes_its_place_and_the_world_follows(scene, tmp_path):
    probe = lit(scene, tmp_path / "a", [5, 6])
    world.apply_world(scene, probe)
    counted = [n.image_user for n in scene.world.node_tree.nodes if n.type == "TEX_ENVIRONMENT"]
    assert {(u.frame_start, u.frame_duration, u.frame_offset) for u in counted} == {(5, 2, 4)}
    numbers = {f: f for f in range(10, 14)}
    results_frames.load_results(scene, tmp_path / "b", answer(tmp_path / "b", numbers), numbers)
    nodes = [n for n in scene.world.node_tree.nodes if n.type == "TEX_ENVIRONMENT"]
    assert {n.image for n in nodes} == {probe.limelight.environment}
    assert {(n.image_user.frame_start, n.image_user.frame_duration) for n in nodes} == {(10, 4)}
    assert len([i for i in bpy.data.images if i.name.startswith("Probe light")]) == 1


def brightness(scene, lamp, frame):
    scene.frame_set(frame)
    return lamp.data.energy


def shining(scene, lamp, frame):
    """Where a lamp's light comes from at a frame."""
    scene.frame_set(frame)
    return lamp.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world.to_3x3().col[2].normalized()


def test_a_turning_sun_is_one_lamp_and_a_switched_one_goes_dark(scene, tmp_path):
    angles = {n: np.radians(5 * n) for n in range(1, 9)}

    def lights(number):
        moving = sun((np.sin(angles[number]), 0, np.cos(angles[number])))
        switched = [sun((0, 1, 0), (8, 8, 8), "area", 20)] if number != 4 else []
        return [moving, *switched]

    probe = lit(scene, tmp_path, list(range(1, 9)), lights=lights)
    made = lamps.apply_lamps(scene, probe)
    assert sorted(lamp.data.type for lamp in made) == ["AREA", "SUN"]
    area, moving = sorted(made, key=lambda lamp: lamp.data.type)
    for number in (1, 5, 8):
        wanted = Vector((np.sin(angles[number]), 0, np.cos(angles[number])))
        assert shining(scene, moving, number).angle(wanted) < 0.01
        assert brightness(scene, moving, number) == pytest.approx(3.0)
    assert brightness(scene, area, 4) == 0 and brightness(scene, area, 3) == brightness(scene, area, 5) > 0
    assert keys.are(moving, "rotation_quaternion") and not keys.are(area, "rotation_quaternion")
    assert list(moving.data.color) == pytest.approx([1, 2 / 3, 1 / 3])


def test_sliders_scale_keys_turn_all_lamps_and_leave_the_artists_changes(scene, tmp_path):
    probe = lit(scene, tmp_path, [1, 2, 3], lights=lambda n: [sun((1, 0, 0), (n, n, n))])
    (lamp,) = lamps.apply_lamps(scene, probe)
    keys.scale(lamp.data, "energy", [10.0])
    look = scene.world.limelight
    look.strength_ev, look.rotation, look.tint = 1.0, np.pi / 2, (1.0, 0.0, 0.5)
    assert [brightness(scene, lamp, n) for n in (1, 2, 3)] == pytest.approx([20, 40, 60])
    assert shining(scene, lamp, 2).angle(Vector((0, 1, 0))) < 1e-3
    assert list(lamp.data.color) == pytest.approx([1, 0, 0.5], abs=1e-3)
    look.strength_ev, look.tint = 0.0, (1.0, 1.0, 1.0)
    assert brightness(scene, lamp, 3) == pytest.approx(30) and list(lamp.data.color) == pytest.approx([1, 1, 1])


def test_lamps_follow_a_later_estimate(scene, tmp_path):
    probe = lit(scene, tmp_path / "a", [5, 6])
    lamps.apply_lamps(scene, probe)
    later = answer(tmp_path / "b", [5, 6], lights=lambda n: [sun((1, 0, 0), (n, n, n))])
    results_frames.load_results(scene, tmp_path / "b", later, {5: 5, 6: 6})
    (lamp,) = [o for o in scene.objects if o.type == "LIGHT"]
    assert shining(scene, lamp, 6).x == pytest.approx(1) and brightness(scene, lamp, 6) == pytest.approx(6)


def test_applying_again_and_otherwise_leaves_nothing_behind(scene, tmp_path):
    probe = lit(scene, tmp_path, [1, 2, 3], lights=lambda n: [sun((1, 0, 0.1 * n), (n, 1, 1))],
                place=lambda n: (0.5 * n, 0, 0))  # fmt: skip
    kinds = ("objects", "lights", "actions", "worlds", "images", "materials", "meshes", "collections")

    def count():
        return {kind: len(getattr(bpy.data, kind)) for kind in kinds}

    lamps.apply_lamps(scene, probe)
    once = count()
    lamps.apply_lamps(scene, probe)
    assert count() == once and once["actions"] == 3
    world.apply_world(scene, probe)
    assert count()["actions"] == count()["lights"] == 0 and len(scene.objects) == 1
    cube = bpy.data.objects.new("Cube", bpy.data.meshes.new("Cube"))
    scene.collection.objects.link(cube)
    (dome,) = domes.apply_domes(scene, [probe])
    scene.frame_set(2)
    assert dome.location.x == pytest.approx(1.0)
    (node,) = [n for n in dome.data.materials[0].node_tree.nodes if n.type == "TEX_ENVIRONMENT"]
    assert node.image_user.frame_duration == 3 and node.image_user.use_auto_refresh and not node.image_user.use_cyclic
    domes.remove_domes(scene)
    assert count()["actions"] == 0


def test_lamps_are_told_apart_by_place_then_strength():
    left, right = sun((-1, 0, 0.2), (4, 4, 4)), sun((1, 0, 0.2), (1, 1, 1))
    found = lamp_tracks.follow([[left, right], [], [right], [sun((0.95, 0, 0.4), (1.2, 1, 1)), left]])
    assert [sorted(track.found) for track in found] == [[0, 3], [0, 2, 3]]
    assert found[0].irradiances(4)[1] == (0, 0, 0)
    near = [sun((0, 0, 1), (1, 1, 1)), sun((0, 0.1, 1), (9, 9, 9))]
    after = [sun((0, 0.05, 1), (8, 8, 8)), sun((0, 0.06, 1), (1, 1, 1))]
    tracks = lamp_tracks.follow([near, after])
    assert [[track.found[i]["irradiance"][0] for i in (0, 1)] for track in tracks] == [[9, 8], [1, 1]]


def test_what_the_probe_remembers_is_plain_json(scene, tmp_path):
    probe = lit(scene, tmp_path, [1, 3], place=lambda n: (float(n), 0, 0))
    scene.unit_settings.scale_length = 1.0
    stored = json.loads(probe.limelight.over_frames)
    assert stored["frames"] == [1, 3] and stored["places"] == [[1, 0, 0], [3, 0, 0]]
    assert len(stored["lamps"]) == 2
