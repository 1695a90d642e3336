# SPDX-License-Identifier: GPL-3.0-or-later
"""The light benchmark: its spheres, its sets and their mistakes, its baselines, statistics, and the whole path."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from limelight.backend.errors import BadInput, MissingPart
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics import exr, shading
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.exposure import expose
from limelight.backend.optics.sphere import SphereView
from limelight.benchmarks.limo import baselines, run, sheet, spheres, statistics
from limelight.benchmarks.limo import score as scoring
from limelight.benchmarks.limo.probe_set import HEIGHT, Case, kept_maps, read_set, write_crops
from limelight.benchmarks.limo.score import TRUTH, energies, score
from limelight.synthesis.samples import EVALUATION_SEEDS
from PIL import Image


def sky(shift: float = 0.0) -> torch.Tensor:
    """A bluish sky over a brown floor with a soft lamp at the right: (128, 256, 3)."""
    d = pano.directions(HEIGHT)
    up = torch.sigmoid(4 * d[..., 1:2])
    lamp = torch.exp(20 * (d @ torch.tensor([0.8, 0.6, 0.0]) - 1))[..., None]
    return up * torch.tensor([0.3, 0.4, 0.6]) + (1 - up) * torch.tensor([0.2, 0.13, 0.1]) + (6 + shift) * lamp


@pytest.fixture(scope="module", autouse=True)
def small_balls():
    """Balls of 48 pixels: the same code in a hundredth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LIMO", "THREE"):
            small = replace(getattr(spheres, name), size=48)
            for module in (spheres, scoring, sheet):
                patch.setattr(module, name, small, raising=False)
        yield


def test_the_truth_itself_scores_perfectly_in_both_protocols() -> None:
    found = score({"estimate": sky(), TRUTH: sky()})[0]["estimate"]
    assert len(found) == 4 * 6 + 3 * 4 + 4
    for key, value in found.items():
        best = {"ssim": 1.0, "psnr": 60.0, "energy_ratio": 1.0}.get(key.split(".")[-1], 0.0)
        assert value == pytest.approx(best, abs=1e-3), key


def test_a_wrong_exposure_shows_in_limos_rmse_and_not_in_diffusionlights() -> None:
    found = score({"estimate": 2 * sky(), TRUTH: sky()})[0]["estimate"]
    assert found["limo.diffuse.rmse"] > 0.1 and found["map.energy_ev"] == pytest.approx(1, abs=1e-4)
    assert found["three.diffuse.rmse"] < 1e-4 and found["three.mirror.normalised_rmse"] < 1e-4


def test_the_balls_are_those_of_the_physics() -> None:
    view = spheres.LIMO
    balls = spheres.limo_balls({"sky": sky()})["sky"]
    expected = {
        "mirror": shading.mirror_sphere(sky(), view, 2),
        "glossy": shading.glossy_sphere(sky(), view, spheres.GLOSSY),
        "matte": shading.glossy_sphere(sky(), view, spheres.MATTE),
        "diffuse": shading.diffuse_sphere(sky(), view),
    }
    for name, ball in balls.items():
        error = (ball - expose(expected[name], 0)).abs()[view.mask]
        assert float(error.max()) < 0.02 and float(error.mean()) < 0.005, name
        assert torch.allclose((ball * 255).round(), ball * 255, atol=1e-3) and not bool(ball[~view.mask].any())


def test_the_tone_map_puts_the_median_at_half_and_does_not_clip() -> None:
    toned = spheres.tone_map(sky())
    assert float(toned.median()) == pytest.approx(0.5, abs=1e-3) and float(toned.max()) > 1
    assert torch.allclose(toned, spheres.tone_map(7 * sky()), atol=1e-5)
    # In light of one colour from everywhere every material shows its own base colour, the diffuse one about so.
    ball = spheres.three_balls({"grey": torch.full((64, 128, 3), 3.0)})["grey"]
    seen = {name: float(pixels[24, 24, 0]) for name, pixels in ball.items()}
    assert seen["mirror"] == pytest.approx(0.4, abs=1e-3) and seen["matte"] == pytest.approx(0.4, abs=1e-3)
    assert seen["diffuse"] == pytest.approx(0.5 * (0.8 * 0.96 + 0.04), abs=2e-3)
    assert 0.1 < spheres.THREE_SHARE < 0.13


def write_scene(folder: Path, probes: int = 1) -> Path:
    """A valid scene: a grey photo 32 × 24, a wall at 3 m, the sky around each probe, the second in shade."""
    exr.write_image(folder / "image.exr", torch.full((24, 32, 3), 0.4))
    exr.write_depth(folder / "depth.exr", torch.full((24, 32), 3.0))
    for i in range(probes):
        exr.write_panorama(folder / f"env_{i}.exr", sky() * 0.25**i, frame="camera")
    entries = [{"id": i, "position_camera": [0.2 * i, 0, -2], "radius": 0.2} for i in range(probes)]
    meta = {"fov_x_deg": 60.0, "camera_to_world": None, "exposure": 0.0, "probes": entries}
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def change_meta(**changes: object):
    def change(scene: Path) -> None:
        meta = json.loads((scene / "meta.json").read_text())
        (scene / "meta.json").write_text(json.dumps({**meta, **changes}))

    return change


def write_truth(light: torch.Tensor, frame: str = "camera"):
    return lambda scene: exr.write_panorama(scene / "env_0.exr", light, frame=frame)  # type: ignore[arg-type]


BROKEN = {
    "is not JSON": (lambda s: (s / "meta.json").write_text("{"), "meta.json"),
    "without picture": (lambda s: (s / "image.exr").unlink(), "image"),
    "without depth": (lambda s: (s / "depth.exr").unlink(), "depth.exr"),
    "without truth": (lambda s: (s / "env_0.exr").unlink(), "env_0.exr"),
    "depth of another size": (lambda s: exr.write_depth(s / "depth.exr", torch.ones(8, 8)), "8×8"),
    "truncated truth": (lambda s: (s / "env_0.exr").write_bytes(b"v/1\x01"), "env_0.exr"),
    "truth not 2:1": (write_truth(torch.ones(16, 16, 3)), "16×16"),
    "truth in the world frame": (write_truth(torch.ones(16, 32, 3), "world"), "world"),
    "truth with NaN": (write_truth(torch.full((16, 32, 3), math.nan)), "NaN"),
    "black truth": (write_truth(torch.zeros(16, 32, 3)), "black"),
    "no field of view": (change_meta(fov_x_deg=None), "camera"),
    "no probes": (change_meta(probes=[]), "probes"),
    "a probe without radius": (change_meta(probes=[{"id": 0, "position_camera": [0, 0, -1]}]), "radius"),
    "a flat position": (change_meta(probes=[{"id": 0, "position_camera": [0, -1], "radius": 0.1}]), "2 numbers"),
    "a probe behind": (change_meta(probes=[{"id": 0, "position_camera": [0, 0, 1], "radius": 0.1}]), "behind"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_set_is_told_in_a_sentence(broken: str, tmp_path: Path) -> None:
    spoil, named = BROKEN[broken]
    spoil(write_scene(tmp_path / "kitchen"))
    with pytest.raises(BadInput) as told:
        list(read_set(tmp_path))
    assert named in told.value.text and "Scene kitchen" in told.value.text and told.value.remedy.endswith(".")
    assert "\n" not in str(told.value)


def test_a_set_is_read_scene_by_scene_and_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    write_scene(tmp_path / "b", 2)
    write_scene(tmp_path / "a")
    cases = list(read_set(tmp_path))
    assert [(case.scene, case.name) for case in cases] == [("a", "a/0"), ("b", "b/0"), ("b", "b/1")]
    assert cases[0].view.camera.fov_x_deg == pytest.approx(60) and cases[0].truth.shape == (128, 256, 3)
    with pytest.raises(BadInput, match="no probe set"):
        list(read_set(tmp_path / "nowhere"))


def make_case(truth: torch.Tensor) -> Case:
    photo = torch.rand(24, 32, 3, generator=torch.Generator().manual_seed(3))
    view = View(photo, torch.full((24, 32), 3.0), Camera.from_fov(32, 24, 60))
    return Case("scene", "scene/0", view, Probe("0", torch.tensor([0.3, 0.1, -2.0]), 0.2), truth)


class _Painted:
    """Stands for the engine: answers what the photo's mean says."""

    environment = torch.full((HEIGHT, 2 * HEIGHT, 3), 0.3)


def test_crops_are_cut_from_kept_panoramas_alone_and_once(tmp_path: Path) -> None:
    exr.write_image(tmp_path / "maps" / "meadow.exr", sky())
    with pytest.raises(BadInput, match="kept out of training"):
        kept_maps(tmp_path / "maps")
    exr.write_image(tmp_path / "maps" / "courtyard.exr", sky())
    maps = kept_maps(tmp_path / "maps")
    assert [path.stem for path in maps] == ["courtyard"]
    write_crops(maps, tmp_path / "set", 1)
    first = (tmp_path / "set" / "courtyard_000" / "image.exr").stat().st_mtime_ns
    write_crops(maps, tmp_path / "set", 2)
    assert (tmp_path / "set" / "courtyard_000" / "image.exr").stat().st_mtime_ns == first
    write_crops(maps, tmp_path / "more", 1, EVALUATION_SEEDS + 1)
    one, other = (tmp_path / part / "courtyard_001" / "env_0.exr" for part in ("set", "more"))
    assert torch.equal(exr.read_image(one), exr.read_image(other)), "a seed is a crop"
    with pytest.raises(BadInput, match="Seed 5 may have been used for training"):
        write_crops(maps, tmp_path / "set", 1, 5)
    with pytest.raises(BadInput, match="another maps"):
        write_crops([*maps, *maps], tmp_path / "set", 3)
    for case in read_set(tmp_path / "set"):
        shown = pano.sample(case.truth, case.view.camera.rays()).clamp(0, 1)
        assert float((shown - case.view.radiance).abs().mean()) < 0.03


def test_baselines_see_no_truth_but_greys_mean(monkeypatch) -> None:
    monkeypatch.setattr(run, "estimate", lambda *a, **k: [_Painted])
    one, other = (run.make_lights(make_case(t), ("given", "guessed"), None, "draft", 0) for t in (sky(), sky(20)))
    names = {"grey", "wrapped", "partial, given depth", "partial, guessed depth", "training mean"}
    assert names < set(one)
    assert {name for name in one if not torch.equal(one[name], other[name])} == {"grey", TRUTH}
    assert torch.allclose(pano.mean_radiance(one["grey"]).mean(), pano.mean_radiance(sky()).mean(), rtol=1e-4)
    assert float(one["grey"].std()) < 1e-6
    # The same light from elsewhere has the same mean, and grey does not see the difference.
    assert torch.allclose(baselines.grey(sky().roll(64, 1)), one["grey"], rtol=1e-5)


def test_baselines_stand_where_the_photo_looks(monkeypatch) -> None:
    photo = torch.zeros(24, 32, 3)
    photo[:, 16:] = 1.0
    view = View(photo, torch.full((24, 32), 3.0), Camera.from_fov(32, 24, 60))
    probe = Probe("0", torch.tensor([0.0, 0.0, -1.0]), 0.1)
    for light in (baselines.wrapped(photo, 64), baselines.partial(view, probe, 64)):
        left, right = pano.sample(light, torch.tensor([[-0.2, 0.0, -1.0], [0.2, 0.0, -1.0]]))
        assert float(left.mean()) < 0.05 and float(right.mean()) > 0.95
    monkeypatch.setattr(baselines, "MEAN", Path("nowhere.exr"))
    with pytest.raises(MissingPart, match=r"nowhere\.exr"):
        baselines.training_mean(64)


def test_without_depth_the_probe_keeps_its_pixel_size_and_share_of_the_way() -> None:
    case = make_case(sky())
    view, probe = run.without_depth(case)
    uv, depth = view.camera.project(probe.position)
    assert torch.allclose(uv, view.camera.project(case.probe.position)[0], atol=1e-5)
    behind = view.depth_at(*uv.tolist())
    assert probe.radius / float(depth) == pytest.approx(0.1) and float(depth) < behind
    there = View(case.view.radiance, torch.full_like(case.view.depth, 8.0), case.view.camera)
    # The same scene twice as large: a photo cannot tell, and neither may the probe.
    larger = View(there.radiance, 2 * there.depth, there.camera)
    twice = Probe("0", case.probe.position * 2, case.probe.radius * 2)
    once, twin = (
        run.without_depth(replace(case, view=v, probe=p))[1] for v, p in ((there, case.probe), (larger, twice))
    )
    assert torch.allclose(once.position, twin.position) and once.radius == pytest.approx(twin.radius)
    way = float(case.view.camera.project(case.probe.position)[1]) / 8.0
    assert float(view.camera.project(once.position)[1]) / behind == pytest.approx(way, rel=1e-4)


def row(scene: str, name: str, scores: dict[str, float], truth: float = 1.0, told: float = 1.0) -> statistics.Row:
    """One number a method, and the energies of the truth and the estimate."""
    by_method = {method: {"limo.mirror.rmse": value, "limo.mirror.ssim": 1 - value} for method, value in scores.items()}
    return statistics.Row(f"{scene}/{name}", scene, by_method, {TRUTH: truth, "est": told, "a": 1.0, "grey": truth})


def test_means_intervals_and_gains() -> None:
    rows = [row("s", "0", {"est": 0.2, "a": 0.4, "grey": 0.5}), row("s", "1", {"est": 0.4, "a": 0.4, "grey": 0.5}),
            row("t", "0", {"est": 0.6, "a": 0.4, "grey": math.nan})]  # fmt: skip
    found = statistics.summarize(rows, ["est"])
    key = "limo.mirror.rmse"
    assert found.means["est"][key] == pytest.approx(0.4) and found.means["grey"][key] == pytest.approx(0.5)
    # Scenes are drawn whole: only s, only t, or both.
    assert found.intervals["est"][key] == pytest.approx((0.3, 0.6))
    assert found.intervals["a"][key] == pytest.approx((0.4, 0.4))
    assert found.best_baseline == "a" and found.relative["est"][key]["best"] == "a"
    assert found.relative["est"][key]["gain"] == pytest.approx(0.0, abs=1e-9)
    assert found.relative["est"][key]["interval"] == pytest.approx((-0.5, 0.25))
    assert statistics.gain(0.3, 0.4, key) == pytest.approx(0.25)
    assert statistics.gain(0.9, 0.6, "limo.mirror.ssim") == pytest.approx(0.5)
    assert statistics.summarize(rows[:2], ["est"]).intervals["est"][key] is None


def test_grounding_compares_light_and_shade_of_one_scene() -> None:
    zero = {"est": 0.0, "a": 0.0, "grey": 0.0}
    rows = []
    for scene, lit, told in (("s", 2.0, 2.0), ("t", 4.0, 4.0), ("u", 8.0, 8.0), ("flat", 1.1, 9.0)):
        rows += [row(scene, "shade", zero), row(scene, "lit", zero, lit, told), row(scene, "between", zero, 1.05, 50.0)]
    found = statistics.grounding(rows)
    assert found["pairs"] == 3 and found["true_stops"] == pytest.approx(2) and "grey" not in found["methods"]
    perfect, constant = found["methods"]["est"], found["methods"]["a"]
    assert perfect["correlation"] == pytest.approx(1) and perfect["error_stops"] == pytest.approx(0, abs=1e-9)
    assert perfect["right_order"] == 1 and perfect["predicted_stops"] == pytest.approx(2)
    assert constant["correlation"] is None and constant["right_order"] == 0 and constant["predicted_stops"] == 0
    reversed_rows = [replace(r, energies={**r.energies, "est": 1 / r.energies[TRUTH]}) for r in rows]
    assert statistics.grounding(reversed_rows)["methods"]["est"]["correlation"] == pytest.approx(-1)
    assert statistics.grounding(rows[:1]) == {"pairs": 0, "methods": {}}
    assert energies({"grey": torch.full((8, 16, 3), 0.5)})["grey"] == pytest.approx(0.5, rel=1e-4)


class _Silent:
    def progress(self, fraction: float, stage: str) -> None:
        assert 0 <= fraction <= 1 and stage


def test_the_whole_path_writes_table_json_and_both_sheets(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(run, "estimate", lambda *a, **k: [_Painted])
    monkeypatch.setattr(run, "make_painter", lambda *a: None)
    write_scene(tmp_path / "set" / "kitchen", 2)
    write_scene(tmp_path / "set" / "hall")
    answer = run.run_bench(tmp_path / "set", tmp_path / "out", report=_Silent())

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    stored = json.loads((tmp_path / "out" / "scores.json").read_text(), parse_constant=refuse)
    assert (answer["probes"], answer["scenes"], len(stored["rows"])) == (3, 2, 3)
    assert stored["means"]["grey"]["map.peak_direction_deg"] is None and stored["grounding"]["pairs"] == 1
    assert {"estimate, given depth", "estimate, guessed depth"} == set(stored["relative"])
    table = (tmp_path / "out" / "table.md").read_text()
    assert table == answer["table"] and table.count("\n## ") == 5 and "nan" not in table
    sheets = [Image.open(tmp_path / "out" / name) for name in ("contact_sheet.png", "worst_cases.png")]
    assert sheets[0].size == sheets[1].size and sheets[0].width > 1500
    only = run.run_bench(tmp_path / "set", tmp_path / "given", depth="given", limit=1, report=_Silent())
    assert list(only["relative"]) == ["estimate, given depth"] and only["probes"] == 1
    for wrong in ({"depth": "none"}, {"quality": "best"}, {"limit": -1}):
        with pytest.raises(BadInput):
            run.run_bench(tmp_path / "set", tmp_path / "x", report=_Silent(), **wrong)


def test_a_sphere_view_is_where_diffusionlights_camera_stands() -> None:
    assert isinstance(spheres.THREE, SphereView)
    assert float(spheres.THREE.center.norm()) == pytest.approx(math.hypot(16, 2))
