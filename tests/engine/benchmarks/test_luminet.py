# SPDX-License-Identifier: GPL-3.0-or-later
"""The relighting benchmark: its pairs, its numbers, its baselines, and the whole path with fake relighters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.luminet import estimate as engine
from limelight.backend.luminet.relighter import CODE, Relit
from limelight.backend.optics.exposure import srgb_eotf, srgb_oetf
from limelight.benchmarks.luminet import codes, methods, pairs, run
from limelight.benchmarks.luminet.score import albedo_error, score
from limelight.synthesis.light_mixtures import mix, photograph
from limelight.synthesis.samples import EVALUATION_SEEDS, save_sample
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

SIZE = 32


def smooth(rng: np.random.Generator, channels: int) -> np.ndarray:
    """A smooth field in (0, 1): (32, 32, C)."""
    coarse = torch.from_numpy(rng.random((1, channels, 4, 4), np.float32))
    return F.interpolate(coarse, (SIZE, SIZE), mode="bicubic").clamp(0.02, 0.98)[0].permute(1, 2, 0).numpy()


def write_room(folder: Path, seed: int) -> None:
    """A made-up light set: an albedo of small squares under ten soft lights, nowhere black."""
    rng = np.random.default_rng(seed)
    albedo = np.kron(rng.uniform(0.2, 0.8, (8, 8, 3)), np.ones((4, 4, 1)))
    folder.mkdir(parents=True, exist_ok=True)
    save_sample(folder / f"sample_{seed}.npz", {
        "lights": np.stack([albedo * smooth(rng, 1) * 0.1 for _ in range(10)]),
        "albedo": albedo,
        "normal": np.zeros((SIZE, SIZE, 3)),
        "depth": np.ones((SIZE, SIZE)),
        "camera": dict.fromkeys(("width", "height", "fx", "fy", "cx", "cy"), 1.0),
    })  # fmt: skip


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rooms")
    for seed in range(4):
        write_room(folder, EVALUATION_SEEDS + seed)
    return folder


class Identity:
    """Leaves every picture as it is and sees the same light in all."""

    size = SIZE

    def light_codes(self, pictures: Tensor) -> Tensor:
        return torch.ones(len(pictures), CODE) / 4

    def relight(
        self, picture: Tensor, code: Tensor, *, steps: int, seeds: Sequence[int], progress: Any = None
    ) -> Relit:
        count = len(seeds)
        return Relit(torch.zeros(count, *picture.shape), self.light_codes(picture.expand(count, -1, -1, -1)))


class Oracle:
    """Knows of every picture that was taken which room it shows under which light; its first candidate is a bad one."""

    size = SIZE

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.known: dict[bytes, tuple[Tensor, Tensor]] = {}
        self.weights: list[Tensor] = []
        self.project = torch.randn(30, CODE, generator=torch.Generator().manual_seed(0))

        def watched_mix(lights: Tensor, weights: Tensor) -> Tensor:
            self.last = lights, weights
            return mix(lights, weights)

        def watched_photograph(linear: Tensor) -> Tensor:
            picture = photograph(linear)
            self.known[picture.numpy().tobytes()] = self.last
            self.weights.append(self.last[1])
            return picture

        for module in (pairs, codes):
            patch.setattr(module, "mix", watched_mix)
            patch.setattr(module, "photograph", watched_photograph)

    def about(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        return self.known[planes.permute(1, 2, 0).contiguous().numpy().tobytes()]

    def light_codes(self, pictures: Tensor) -> Tensor:
        weights = torch.stack([self.about(picture)[1] for picture in pictures])
        return F.normalize(weights.flatten(1) @ self.project, dim=-1)

    def intrinsics(self, pictures: Tensor) -> SimpleNamespace:
        return SimpleNamespace(
            maps=[torch.stack([self.about(p)[0].float().mean(0).permute(2, 0, 1) for p in pictures])]
        )

    def decode(self, picture: Tensor, code: Tensor) -> Tensor:
        return (0.9 * picture + 0.1 * self.target(picture, code)).clamp(0, 1)

    def target(self, picture: Tensor, code: Tensor) -> Tensor:
        lights, _ = self.about(picture)
        codes = F.normalize(torch.stack(self.weights).flatten(1) @ self.project, dim=-1)
        weights = self.weights[int((codes @ code).argmax())]
        return photograph(mix(lights, weights)).permute(2, 0, 1)

    def relight(
        self, picture: Tensor, code: Tensor, *, steps: int, seeds: Sequence[int], progress: Any = None
    ) -> Relit:
        ratio = (srgb_eotf(self.target(picture, code)) / srgb_eotf(picture)).log()
        return Relit(torch.stack([torch.zeros_like(ratio)] + [ratio] * (len(seeds) - 1)),
                     torch.stack([-code] + [code] * (len(seeds) - 1)))  # fmt: skip


class _Silent:
    def progress(self, fraction: float, stage: str) -> None:
        assert 0 <= fraction <= 1 and stage


def test_an_oracle_passes_every_floor_and_leaves_all_files(rooms: Path, tmp_path: Path, monkeypatch) -> None:
    # Colours as pure as some lamps of this test leave the engine's bound.
    monkeypatch.setattr(engine, "BOUND", 20.0)
    answer = run.run_bench(rooms, tmp_path, limit=14, relighter=Oracle(monkeypatch), report=_Silent())
    assert answer["passed"] and (answer["pairs"], answer["scenes"]) == (28, 4)
    for kind in pairs.KINDS:
        means = answer["transfers"][kind]["means"]
        assert means["LumiNet"]["raw.unit.rmse"] < 1e-4 and means["LumiNet"]["albedo_error"] < 1e-3
        assert means["LumiNet"]["raw.signed.ssim"] == pytest.approx(1, abs=1e-4)
        assert means["LumiNet, carried"]["raw.unit.rmse"] < 0.5 * means["source unchanged"]["raw.unit.rmse"]
        assert 0.01 < means["decoder alone"]["raw.unit.rmse"] < means["source unchanged"]["raw.unit.rmse"]
    assert answer["retrieval"]["means"]["light code"]["top1"] == 1
    alike = answer["intrinsics"]["means"]["intrinsics"]
    assert alike["across lightings"] == pytest.approx(1) and alike["across scenes"] < 0.99
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table == answer["table"] and table.count("PASS: ") == 4 and "FAIL" not in table and "nan" not in table
    stored = json.loads((tmp_path / "scores.json").read_text())
    assert [len(stored["rows"][kind]) for kind in pairs.KINDS] == [14, 14]
    sheet, worst = (Image.open(tmp_path / name) for name in ("transfers.png", "worst_cases.png"))
    # Two a row: 24 transfers and 10.
    assert sheet.width == worst.width and (sheet.height - worst.height) % 7 == 0 and sheet.height > 12 * 176


def test_the_identity_is_the_source_unchanged_and_fails(rooms: Path, tmp_path: Path) -> None:
    answer = run.run_bench(rooms, tmp_path, limit=6, quality="draft", relighter=Identity(), report=_Silent())
    for kind in pairs.KINDS:
        means = answer["transfers"][kind]["means"]
        assert means["LumiNet"] == pytest.approx(means["source unchanged"], abs=1e-4)
    assert not answer["passed"] and not any(verdict["passed"] for verdict in answer["verdicts"])
    assert answer["retrieval"]["means"]["light code"]["top1"] == pytest.approx(0.1) and answer["intrinsics"] is None
    assert "decoder alone" not in means


def test_pairs_share_scene_or_light_as_their_kind_says_and_a_seed_gives_them_again(rooms: Path) -> None:
    sets = pairs.read_sets(rooms)
    same, cross = (list(pairs.draw_pairs(sets, kind, 8, 1)) for kind in pairs.KINDS)
    assert all(torch.equal(pair.reference, pair.truth) for pair in same)
    assert all(not torch.allclose(pair.reference, pair.truth, atol=0.05) for pair in cross)
    assert all(not torch.allclose(pair.source, pair.truth, atol=0.02) for pair in same + cross)
    assert [pair.scene for pair in cross] == [str(s.seed) for s in sets] * 2
    # Fewer pairs are the first of more.
    for pair, again in zip(cross, pairs.draw_pairs(sets, "cross-scene", 3, 1), strict=False):
        assert pair.name == again.name and torch.equal(pair.source, again.source)
    other = next(pairs.draw_pairs(sets, "cross-scene", 1, 2))
    assert not torch.equal(other.source, cross[0].source)


def test_the_two_conventions_and_the_correction() -> None:
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(0.2 + 0.6 * smooth(rng, 3))
    albedo, solid = torch.full_like(truth, 0.5), torch.ones(SIZE, SIZE, dtype=torch.bool)
    found = score(truth + torch.tensor([0.1, 0.0, -0.1]), truth, albedo, solid)
    assert found["raw.unit.rmse"] == pytest.approx(0.1 * (2 / 3) ** 0.5, rel=1e-4)
    assert found["raw.signed.rmse"] == pytest.approx(2 * found["raw.unit.rmse"])
    assert found["corrected.unit.rmse"] < 1e-6 and found["corrected.signed.ssim"] == pytest.approx(1, abs=1e-5)
    assert found["raw.unit.ssim"] < 1 and found["colour_angle"] > 3
    # The luminance term of SSIM is one of ratios: it sees a shift of zero.
    assert found["raw.signed.ssim"] < found["raw.unit.ssim"]


def test_the_albedo_error_sees_structure_and_not_smooth_light() -> None:
    rng = np.random.default_rng(1)
    albedo = torch.from_numpy(np.kron(rng.uniform(0.2, 0.8, (8, 8, 3)), np.ones((4, 4, 1)))).float()
    solid = torch.ones(SIZE, SIZE, dtype=torch.bool)
    truth = srgb_oetf(albedo * torch.from_numpy(0.3 + 0.4 * smooth(rng, 1)))
    ramp = torch.linspace(0.5, 1, SIZE)[:, None, None]
    dimmed, coloured = srgb_oetf(srgb_eotf(truth) * ramp), srgb_oetf(srgb_eotf(truth) * torch.tensor([0.5, 1.0, 0.8]))
    assert albedo_error(truth, truth, albedo, solid) < 1e-4 and albedo_error(coloured, truth, albedo, solid) < 1e-4
    flat = truth.mean((0, 1)).expand_as(truth)
    shadow = truth.clone()
    shadow[10:21, 10:21] *= 0.3
    errors = [albedo_error(p, truth, albedo, solid) for p in (dimmed, shadow, flat)]
    assert errors[0] < 0.05 < errors[1] < 1 and 0.2 < errors[2] <= 1
    assert albedo_error(torch.zeros_like(truth), truth, albedo, solid) == pytest.approx(1)
    # What is cut out does not count.
    assert albedo_error(shadow, truth, albedo, shadow[..., 0] == truth[..., 0]) < 1e-4


def test_baselines_take_the_references_colours_and_know_no_scene() -> None:
    rng = np.random.default_rng(2)
    source, reference = (torch.from_numpy(0.1 + 0.5 * smooth(rng, 3)) for _ in range(2))
    light, wanted = srgb_eotf(methods.mean_colour(source, reference)).mean((0, 1)), srgb_eotf(reference).mean((0, 1))
    torch.testing.assert_close(light, wanted, rtol=1e-3, atol=1e-4)
    matched = methods.histograms(source, reference)
    ordered, theirs = (picture.flatten(0, 1).sort(0).values for picture in (matched, reference))
    # Equal values of the source stay equal, so a few are off.
    assert float((ordered - theirs).abs().mean()) < 2e-3
    for transfer in (methods.reinhard_cones, methods.reinhard_lab):
        torch.testing.assert_close(transfer(source, source), source, atol=2e-3, rtol=0)
        moved = transfer(source, reference)
        assert float((moved - reference).mean((0, 1)).abs().max()) < 0.02
        # One gain for the whole source is undone by the statistics.
        dimmed = srgb_oetf(srgb_eotf(source) * 0.7)
        torch.testing.assert_close(transfer(dimmed, reference), moved, atol=0.02, rtol=0)
    black = methods.reinhard_cones(torch.zeros(8, 8, 3), reference)
    assert torch.isfinite(black).all()


def test_retrieval_by_hand() -> None:
    unit = torch.eye(3)
    # The second scene confuses its last two lights.
    found = codes.retrieve(torch.stack([unit, unit[[0, 2, 1]], unit]))
    assert found.tolist() == pytest.approx([(1 / 3 + 1) / 2, 1 / 3, (1 / 3 + 1) / 2])


def test_bad_sets_and_settings_are_told(rooms: Path, tmp_path: Path) -> None:
    write_room(tmp_path / "one", EVALUATION_SEEDS)
    with pytest.raises(BadInput, match="at least 2"):
        run.run_bench(tmp_path / "one", tmp_path, relighter=Identity(), report=_Silent())
    write_room(tmp_path / "one", 5)
    with pytest.raises(BadInput, match="Seed 5"):
        run.run_bench(tmp_path / "one", tmp_path, relighter=Identity(), report=_Silent())
    for wrong in ({"quality": "best"}, {"limit": -1}):
        with pytest.raises(BadInput):
            run.run_bench(rooms, tmp_path, relighter=Identity(), report=_Silent(), **wrong)


def test_pictures_of_another_size_are_resized_and_the_ratio_back() -> None:
    picture = torch.from_numpy(smooth(np.random.default_rng(3), 3))
    half = methods.to_square(picture, SIZE // 2)
    assert half.shape == (3, 16, 16) and methods.from_square(half, SIZE).shape == picture.shape
    assert float((methods.from_square(half, SIZE) - picture).abs().mean()) < 0.02

    class Small(Identity):
        size = SIZE // 2

    for method in methods.relit(Small(), "draft", None, 0):
        torch.testing.assert_close(method(picture, picture), picture, atol=1e-5, rtol=0)
