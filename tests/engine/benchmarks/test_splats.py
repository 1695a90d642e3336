# SPDX-License-Identifier: GPL-3.0-or-later
"""The splats' benchmark: the truth scores as the truth, baselines are worse, and a run that broke off goes on."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics import exr
from limelight.backend.optics.exposure import expose
from limelight.backend.splats import render
from limelight.backend.splats.inputs import read_scene
from limelight.backend.splats.shading.environment import Light, from_panorama, to_panorama
from limelight.benchmarks.splats import ablation, models, run
from limelight.benchmarks.splats.cases import TEXELS, Case, read_cases
from limelight.benchmarks.splats.models import FULL, PHOTOGRAPHED, PLAIN, RIVALS, TEXTURED, Effort, Model
from limelight.benchmarks.splats.score import ALBEDO, KEYS, NORMAL, NOVEL, RELIT, SCALED, Scores, fit_scale, score
from limelight.benchmarks.splats.table import as_table
from limelight.benchmarks.splats.verdict import verdicts
from limelight.tests.engine.splats.scenes import ball, sky, write_obj, write_scene
from PIL import Image

SIZE, LIGHTS = 32, ("dim", "turned")


def write_png(path: Path, straight: torch.Tensor, alpha: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = torch.cat([straight, alpha], -1).clamp(0, 1).numpy()
    Image.fromarray((pixels * 255 + 0.5).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of one object: the ball of the training's tests, with the truth that splats themselves give."""
    root = tmp_path_factory.mktemp("set")
    case = write_scene(root / "ball", views=8, tests=2, size=SIZE)
    exr.write_panorama(case / "environment.exr", to_panorama(sky(), 32), frame="world")
    others = {"dim": 0.4 * sky(), "turned": sky().flip(1)}
    for name, radiance in others.items():
        exr.write_panorama(case / "relit" / f"{name}.exr", to_panorama(radiance, 64), frame="world")
    model = Model(ball(), None, None)
    for view in read_scene(case, SIZE).test:
        maps = model.maps(view.camera)
        for name in others:
            panorama, _ = exr.read_panorama(case / "relit" / f"{name}.exr")
            linear, alpha = model.relit(view.camera, Light(from_panorama(panorama, TEXELS)))
            write_png(case / "relit" / name / view.name, expose(linear, 0), alpha)
        (case / "truth").mkdir(exist_ok=True)
        layers = {name: maps.channel(name).numpy() for name in ("albedo", "normal", "roughness", "metallic")}
        layers["normal"] = layers["normal"] / np.linalg.norm(layers["normal"], axis=-1, keepdims=True).clip(1e-6)
        layers |= {name: layers[name][..., 0] for name in ("roughness", "metallic")}
        np.savez(case / "truth" / Path(view.name).with_suffix(".npz"), cover=maps.alpha[..., 0].numpy(), **layers)
    write_obj(case / "mesh.obj")
    (case / "object.json").write_text(json.dumps({"relit": list(others)}))
    return root


@pytest.fixture(scope="module")
def case(folder: Path) -> Case:
    return read_cases(folder, 0)[0]


def test_the_truth_scores_as_the_truth(case: Case) -> None:
    found, scale = score(case, Model(ball(), from_panorama(case.environment, 16), None), FULL)
    assert set(found) == set(KEYS) and all(math.isfinite(value) for value in found.values())
    assert found[RELIT] > 40 and found[SCALED] > 40 and found[NORMAL] < 0.5 and found[ALBEDO] > 50 and found[NOVEL] > 35
    assert found["light log rmse"] < 0.2 and found["light peak angle"] < 10
    torch.testing.assert_close(scale, torch.ones(3), atol=0.02, rtol=0)


def test_a_wrong_brightness_is_scaled_away_and_a_wrong_material_is_not(case: Case) -> None:
    dark = {**ball(), "albedo": 0.5 * ball()["albedo"], "metallic": torch.ones(400)}
    metal = {**ball(), "metallic": torch.ones(400)}
    first, scale = score(case, Model(dark, None, None), FULL)
    second, other = score(case, Model(metal, None, None), FULL)
    torch.testing.assert_close(scale / other, torch.full((3,), 2.0), rtol=0.05, atol=0)
    assert first[RELIT] < second[RELIT] - 2
    assert first[SCALED] == pytest.approx(second[SCALED], abs=1) and second[SCALED] < 35
    assert math.isnan(first[NOVEL])


def test_a_scale_is_found_for_each_channel() -> None:
    linear = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    true = expose(linear * torch.tensor([0.3, 1.0, 4.0]), 0)
    torch.testing.assert_close(fit_scale([(linear, true)]), torch.tensor([0.3, 1.0, 4.0]), rtol=0.01, atol=0)


def test_one_material_and_a_light_are_fitted(case: Case) -> None:
    found = models.constant_material(Model(ball(), None, None), case.scene, 60, 0)
    assert found.light is not None and torch.equal(found.cloud["albedo"][0], found.cloud["albedo"][-1])
    view = case.scene.test[0]
    shown, truth = found.novel(view.camera), view.over(torch.ones(3))
    assert shown is not None
    start = models.constant_material(Model(ball(), None, None), case.scene, 1, 0).novel(view.camera)
    assert start is not None and ((shown - truth) ** 2).mean() < 0.6 * ((start - truth) ** 2).mean()


@pytest.mark.slow
def test_a_bench_writes_all_and_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(run.EFFORTS, "draft", Effort(60, 300, 32))
    answer = run.run_bench(folder, tmp_path, quality="draft", device="cpu", report=SilentReport())
    assert "ball" in answer["table"] and "FAIL" in answer["table"] + "FAIL"
    for name in ("scores.json", "table.md", "ball.png"):
        assert (tmp_path / name).stat().st_size > 500
    json.loads((tmp_path / "scores.json").read_text(), parse_constant=lambda text: pytest.fail(text))
    trained = (tmp_path / "draft" / "ball" / "full.ply").stat().st_mtime_ns
    again = run.run_bench(folder, tmp_path, quality="draft", device="cpu", report=SilentReport())
    assert again["scores"] == answer["scores"]
    found = answer["scores"]["ball"]
    assert found[TEXTURED][NORMAL] < 15 and found[TEXTURED][NOVEL] > 15
    assert found[PHOTOGRAPHED][NOVEL] is None and found[PHOTOGRAPHED][SCALED] != found[TEXTURED][SCALED]
    assert (tmp_path / "draft" / "ball" / "full.ply").stat().st_mtime_ns == trained


def test_what_is_there_of_another_set_or_seed_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "learnt", lambda *given: {})
    monkeypatch.setattr(run, "write_sheet", lambda *given: None)
    (case,) = read_cases(folder, 0)
    for _ in range(2):
        assert run.measured(case, tmp_path / "a", Effort(60, 300, 32), 0, "cpu", SilentReport()) == {}
    with pytest.raises(BadInput, match="another set, or with another seed"):
        run.measured(case, tmp_path / "a", Effort(60, 300, 32), 1, "cpu", SilentReport())
    other = shutil.copytree(case.folder, tmp_path / "set" / case.name)
    told = json.loads((other / "object.json").read_text())
    (other / "object.json").write_text(json.dumps({**told, "samples": 1}))
    (namesake,) = read_cases(tmp_path / "set", 0)
    with pytest.raises(BadInput, match="another set, or with another seed"):
        run.measured(namesake, tmp_path / "a", Effort(60, 300, 32), 0, "cpu", SilentReport())


def test_the_parts_worth_is_not_told_of_another_set_seed_or_effort(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "trained", lambda *given: given[1])
    monkeypatch.setattr(models, "load", lambda file: None)
    monkeypatch.setattr(ablation, "score", lambda *given: (scores(), {}))
    cases = read_cases(folder, 0)
    for _ in range(2):
        assert ablation.run_ablation(cases, tmp_path, Effort(60, 300, 32), ("full",))["ball"]["full"]
    for effort, seed in ((Effort(60, 300, 32), 1), (Effort(90, 300, 32), 0)):
        with pytest.raises(BadInput, match="another set, or with another seed or quality"):
            ablation.run_ablation(cases, tmp_path, effort, ("full",), seed)


def scores(**changed: float) -> Scores:
    return {**dict.fromkeys(KEYS, 20.0), **{name.replace("_", " "): value for name, value in changed.items()}}


def test_floors_are_of_what_shines_and_of_novel_views() -> None:
    base = {name: scores(relit_scaled_psnr=22) for name in RIVALS} | {PLAIN: scores(novel_view_psnr=30)}
    found = {
        "metal": {
            FULL: scores(relit_scaled_psnr=24.5, novel_view_psnr=29.6),
            PLAIN: scores(novel_view_psnr=30),
            **base,
        },
        "rough": {FULL: scores(relit_scaled_psnr=10, novel_view_psnr=29.6), **base},
    }
    assert [verdict.passed for verdict in verdicts(found)] == [True, True, True, True]
    found["metal"][FULL]["novel view psnr"] = 28.0
    found["metal"][RIVALS[0]]["relit scaled psnr"] = 23.0
    assert [verdict.passed for verdict in verdicts(found)] == [True, False, True, False]
    about = {"set": "s", "views": 8, "tests": 2, "size": 32, "lights": 2, "iterations": 1, "gaussians": 2, "texels": 8,
             "seconds": 3}  # fmt: skip
    table = as_table(about, found, verdicts(found))
    assert "## metal" in table and table.count("FAIL") == 2 and "| distilled | 28.80 |" in table


def test_bad_sets_are_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BadInput, match="no objects"):
        read_cases(tmp_path, 0)
    with pytest.raises(BadInput, match="quality"):
        run.run_bench(folder, tmp_path, quality="best", report=SilentReport())


def test_render_radiance_is_what_the_picture_shows(case: Case) -> None:
    camera, light, white = case.scene.test[0].camera, Light(sky()), torch.zeros(3)
    maps = render.draw(ball(), camera, material=True)
    picture = render.physical(maps, camera, light, white, tone="srgb")
    linear = render.radiance(maps, camera, light)
    torch.testing.assert_close(expose(linear, 0), picture.physical.clamp(0, 1), atol=1e-5, rtol=0)
