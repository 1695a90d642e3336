# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms rendered once per light source: light adds up, the rig shines equally, files resume; mixtures of them."""

from __future__ import annotations

import copy
import json
import math
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend import cli
from limelight.backend.errors import BadInput
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.exposure import luminance, srgb_eotf
from limelight.synthesis import cycles_light_sets, light_mixtures, light_sets, tracer
from limelight.synthesis.cameras import pose
from limelight.synthesis.light_mixtures import draw_lighting, mix, photograph, read_light_set
from limelight.synthesis.rooms import make_room
from limelight.synthesis.scene import SceneBuilder
from limelight.synthesis.viewpoint import Viewpoint, camera_corners, place_camera
from typer.testing import CliRunner

TINY = {"size": 16, "samples": 2, "threads": 1}
RIG = len(light_sets.RIG)
ALL = np.ones(len(light_sets.SLOTS), bool)


def traced(builder: SceneBuilder, view: Viewpoint, samples: int, seed: int) -> np.ndarray:
    """Radiance (H, W, 3) without clamp and without denoising, both of which are not linear."""
    turned = camera_corners(view.camera) @ view.camera_to_world[:3, :3].T
    place = view.camera_to_world[:3, 3]
    return tracer.trace(builder.build(), place, turned, samples=samples, seed=seed, bounces=4, threads=1).radiance


def furnished() -> tuple[SceneBuilder, Viewpoint, np.ndarray]:
    """A plain room with a box in it, a view into it, and the middle of the view."""
    builder = SceneBuilder()
    wall, red = builder.material((0.6, 0.6, 0.6)), builder.material((0.7, 0.2, 0.2))
    builder.set_room((-3, -3, 0), (3, 3, 2.6), [wall, red, wall, wall, wall, wall])
    builder.group([((0.8, -0.5, 0), (1.4, 0.3, 0.8), red)])
    view = Viewpoint(Camera.from_fov(16, 16, 70), pose(np.array([-2.0, 0, 1.3]), 0.0, 0.0, 0.0))
    return builder, view, np.array([0.0, 0.0, 1.2])


def test_two_lamps_at_once_give_the_sum_of_each_alone() -> None:
    builder, view, middle = furnished()
    scene = builder.build()
    one, other = (
        light_sets._with_lamp(builder, scene, view, middle, *light_sets.RIG[name], 0.1) for name in ("left", "behind")
    )
    both = copy.deepcopy(one)
    lamp = both.material((0.8,) * 3, radiance=other.materials[-1][11:14])
    both.sphere(other.spheres[0][:3], other.spheres[0][3], lamp)
    pictures = [traced(b, view, 1024, 1 + i) for i, b in enumerate((one, other, both))]
    # Blocks of 4 × 4 pixels: the noise of what is compared is about a fiftieth.
    first, second, together = (p.reshape(4, 4, 4, 4, 3).mean((1, 3)) for p in pictures)
    np.testing.assert_allclose(first + second, together, rtol=0.06)
    assert (first + second).mean() == pytest.approx(together.mean(), rel=0.015)


def test_daylight_and_lamps_of_a_room_add_up_to_the_room() -> None:
    rng = np.random.default_rng(10_000_001)
    builder = make_room(rng, [])
    view = place_camera(rng, builder.build(), 12)
    lit = (builder, light_sets._dark(builder, daylight=False), light_sets._dark(builder, lamps=False))
    whole, day, lamps = (traced(b, view, 256, 5 + i) for i, b in enumerate(lit))
    assert whole.mean() == pytest.approx(day.mean() + lamps.mean(), rel=0.05) and min(day.mean(), lamps.mean()) > 0
    assert traced(light_sets._dark(builder), view, 4, 1).max() == 0


@pytest.mark.parametrize("name", light_sets.RIG)
def test_every_lamp_of_the_rig_gives_the_middle_an_irradiance_of_one(name: str) -> None:
    builder, view, middle = furnished()
    right, up = light_sets.RIG[name]
    lit = light_sets._with_lamp(builder, builder.build(), view, middle, right, up, 0.2)
    ((x, y, z, radius, number),) = lit.spheres
    towards = np.array([x, y, z]) - middle
    distance = np.linalg.norm(towards)
    towards /= distance
    assert lit.materials[number][11] * math.pi * (radius / distance) ** 2 == pytest.approx(1)
    # The camera looks along +x: its right is −y.
    assert math.degrees(math.asin(towards[2])) == pytest.approx(up)
    turn = math.degrees(math.atan2(-towards[1], towards[0])) - right
    assert (turn + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)
    # A grain of albedo 0.5 in the middle, seen from the lamp's side: radiance 0.5/π · E.
    grain = 0.002
    lit.sphere(middle, grain, lit.material((0.5,) * 3))
    side = np.cross(towards, (0.3, 0.5, 0.8))
    side /= np.linalg.norm(side)
    j, i = np.mgrid[0:3, 0:3] - 1.0
    corners = -towards + 1e-3 * (i[..., None] * side + j[..., None] * np.cross(side, towards))
    seen = tracer.trace(lit.build(), middle + 0.05 * towards, corners, samples=256, seed=1, bounces=1, threads=1)
    assert seen.radiance.mean() == pytest.approx(0.5 / math.pi, rel=0.03)


@pytest.fixture(scope="module")
def light_set() -> dict:
    return light_sets.make_light_set(10_000_004, hdris=[], **TINY)


def test_a_light_set_is_exposed_and_the_same_seed_gives_it_again(light_set: dict) -> None:
    assert light_set["lights"].shape == (10, 16, 16, 3) and np.isfinite(light_set["lights"]).all()
    together = light_set["lights"][:RIG].sum(0) @ np.array([0.2126, 0.7152, 0.0722])
    assert np.percentile(together, 95) == pytest.approx(0.95, rel=1e-4)
    again = light_sets.make_light_set(10_000_004, hdris=[], **TINY)
    for key in ("lights", "albedo", "normal", "depth", "middle"):
        np.testing.assert_array_equal(light_set[key], again[key])
    assert np.abs(light_sets.make_light_set(10_000_005, hdris=[], **TINY)["lights"] - light_set["lights"]).max() > 0.01


def test_files_hold_the_set_and_a_second_run_keeps_them(tmp_path: Path, light_set: dict) -> None:
    told: list[float] = []
    light_sets.write_light_sets(tmp_path, 10_000_004, 1, **TINY)
    path = tmp_path / "sample_10000004.npz"
    before = path.stat().st_mtime_ns
    light_sets.write_light_sets(tmp_path, 10_000_004, 3, 2, lambda done, stage: told.append(done), **TINY)
    assert path.stat().st_mtime_ns == before and told[-1] == 1
    files = light_mixtures.light_set_files(tmp_path)
    assert [read_light_set(file).seed for file in files] == [10_000_004, 10_000_005, 10_000_006]
    stored = read_light_set(path)
    np.testing.assert_allclose(stored.lights.float(), light_set["lights"], rtol=2e-3, atol=1e-6)
    assert stored.lights.dtype == torch.float16 and stored.present.tolist() == [
        bool(light.max() > 0) for light in light_set["lights"]
    ]


def test_the_command_writes_sets_of_the_size_and_seed_asked_for(tmp_path: Path) -> None:
    line = ["synthesize", "lights", "--out", str(tmp_path), "--count", "1", "--seed", "10000004", "--width", "32",
            "--samples", "1", "--device", "cpu", "--json"]  # fmt: skip
    answer = CliRunner().invoke(cli.app, line)
    assert answer.exit_code == 0 and json.loads(answer.stdout)["first"] == 10_000_004
    assert read_light_set(tmp_path / "sample_10000004.npz").lights.shape == (10, 32, 32, 3)


def test_what_is_no_light_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no light sets"):
        light_mixtures.light_set_files(tmp_path)
    (tmp_path / "sample_1.npz").write_bytes(b"not a zip")
    np.savez(tmp_path / "sample_2.npz", radiance=np.zeros((4, 4, 3)))
    maps = dict.fromkeys(("albedo", "normal", "depth"), np.zeros((4, 4, 3)))
    np.savez(tmp_path / "sample_3.npz", lights=np.zeros((9, 4, 4, 3)), **maps)
    for number in (1, 2, 3):
        with pytest.raises(BadInput, match=f"sample_{number}"):
            read_light_set(tmp_path / f"sample_{number}.npz")


def test_a_mixture_of_one_source_is_its_picture_and_mixing_is_linear() -> None:
    generator = torch.Generator().manual_seed(0)
    lights = torch.rand(2, 10, 8, 8, 3, generator=generator).half()
    for slot in range(10):
        weights = torch.zeros(10, 3)
        weights[slot] = 1
        assert torch.equal(mix(lights[0], weights), lights[0, slot].float())
    one, other = torch.rand(2, 2, 10, 3, generator=generator)
    torch.testing.assert_close(mix(lights, one + 2 * other), mix(lights, one) + 2 * mix(lights, other))
    torch.testing.assert_close(mix(lights, one)[1], torch.einsum("lhwc,lc->hwc", lights[1].float(), one[1]))
    assert mix(lights, torch.zeros(2, 10, 3)).abs().max() == 0


def test_a_photograph_is_exposed_by_itself() -> None:
    linear = torch.rand(3, 16, 16, 3, generator=torch.Generator().manual_seed(1))
    linear *= torch.tensor([0.01, 1, 70])[:, None, None, None]
    display = photograph(linear)
    assert display.min() >= 0 and float(display.max()) == pytest.approx(1)
    for picture, alone in zip(display, linear, strict=True):
        torch.testing.assert_close(picture, photograph(alone))
        torch.testing.assert_close(picture, photograph(5 * alone))
        # The brightest channels are clipped, so the luminance there is a little less.
        assert float(torch.quantile(luminance(srgb_eotf(picture)), 0.95)) == pytest.approx(0.95, abs=0.05)
    assert photograph(torch.zeros(4, 4, 3)).max() == 0


def test_lightings_are_of_one_to_four_sources_that_are_there() -> None:
    rng = np.random.default_rng(0)
    present = ALL.copy()
    present[[2, 8]] = False
    rig = np.stack([draw_lighting(rng, present, own=False) for _ in range(400)])
    own = np.stack([draw_lighting(rng, torch.from_numpy(present), own=True) for _ in range(400)])
    for lightings in (rig, own):
        counts = (lightings.sum(-1) > 0).sum(-1)
        assert set(counts) == {1, 2, 3, 4} and lightings.min() >= 0 and not lightings[:, [2, 8]].any()
    assert not rig[:, RIG:].any() and 0.3 < own[:, 9].any(-1).mean() < 0.5
    again = np.stack([draw_lighting(np.random.default_rng(0), present, own=False)])
    np.testing.assert_array_equal(again[0], rig[0])


def test_lamps_have_luminance_one_and_most_are_black_bodies() -> None:
    rng = np.random.default_rng(3)
    colours = np.stack([light_mixtures.draw_colour(rng) for _ in range(600)])
    np.testing.assert_allclose(colours @ (0.2126, 0.7152, 0.0722), 1, rtol=1e-5)
    # Black bodies run from red over white to blue: green is never the least nor far the most.
    saturated = (colours[:, 1] > 1.3 * np.maximum(colours[:, 0], colours[:, 2])) | (
        colours[:, 1] < 0.8 * np.minimum(colours[:, 0], colours[:, 2])
    )
    assert 0.04 < saturated.mean() < 0.2


#: Plays Blender: source i has radiance i + 1, the surfaces are of albedo 0.5 and face +y in the world.
STAND_IN = """
    import json, sys
    from pathlib import Path
    import numpy as np, OpenEXR
    job = json.loads(Path(sys.argv[3]).read_text())
    out, size = Path(job["out"]), job["size"]
    assert sys.argv[2] == "synthesis.blender.light_stage" and len(job["rig"]) == 8
    def write(name, channels):
        data = {key: np.full((size, size), value, np.float32) for key, value in channels.items()}
        OpenEXR.File({"type": OpenEXR.scanlineimage}, data).write(str(out / name))
    for i in range(10):
        write(f"light_{i}.exr", dict.fromkeys("RGB", (i + 1.0) * (i != 9)))
    albedo = {f"ViewLayer.Denoising Albedo.{c}": 0.5 for c in "RGB"}
    write("surfaces.exr", albedo | {f"ViewLayer.Normal.{axis}": float(axis == "Y") for axis in "XYZ"})
    np.save(out / "depth.npy", np.full((size, size), 3.0, np.float32))
    # A camera that looks along +y, so that the surfaces face away from it.
    matrix = [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 1], [0, 0, 0, 1]]
    raw = {"focal": 20.0, "camera_to_world": matrix, "middle": [0, 0, -1.5]}
    (out / "raw.json").write_text(json.dumps(raw))
"""


def test_blenders_rooms_are_written_in_the_same_form(tmp_path: Path) -> None:
    script, program = tmp_path / "stand_in.py", tmp_path / "python-with-bpy"
    script.write_text(textwrap.dedent(STAND_IN))
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    program.chmod(0o755)
    line = ["synthesize", "lights", "--out", str(tmp_path / "set"), "--count", "2", "--width", "32", "--seed", "7",
            "--blender", str(program), "--device", "cpu", "--json"]  # fmt: skip
    answer = CliRunner().invoke(cli.app, line)
    assert answer.exit_code == 0, answer.output
    assert [p.name for p in light_mixtures.light_set_files(tmp_path / "set")] == ["sample_7.npz", "sample_8.npz"]
    found = read_light_set(tmp_path / "set" / "sample_7.npz")
    assert found.lights.shape == (10, 32, 32, 3) and found.present.tolist() == [True] * 9 + [False]
    # The rig's together show 0.95, in its own ratios; the daylight is scaled to their mean.
    torch.testing.assert_close(found.lights[:, 0, 0, 0].float(), torch.tensor(
        [0.95 * (i + 1) / 36 for i in range(8)] + [0.95 / 8, 0.0]), rtol=2e-3, atol=1e-6)  # fmt: skip
    assert found.normal[0, 0].tolist() == [0, 0, -1] and found.albedo[0, 0].tolist() == [0.5] * 3
    with np.load(tmp_path / "set" / "sample_7.npz") as stored:
        assert stored["camera"].tolist() == [32, 32, 20, 20, 16, 16] and set(stored) == {
            "lights", "albedo", "normal", "depth", "camera", "camera_to_world", "middle"}  # fmt: skip


def test_blender_has_to_be_there_for_its_rooms_and_its_models(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no"):
        cycles_light_sets.write_light_sets(tmp_path, 0, 1, blender=tmp_path / "nowhere")
    line = ["synthesize", "lights", "--out", str(tmp_path), "--assets", str(tmp_path), "--device", "cpu", "--json"]
    answer = CliRunner().invoke(cli.app, line)
    assert answer.exit_code == 2 and "does not use --assets" in answer.output
