# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of completed faces: numbers, baselines, and the whole path with a prior that knows the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import skimage
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics.exposure import srgb_oetf
from limelight.backend.relightify import maps
from limelight.backend.relightify.records import PartialTexture
from limelight.benchmarks.relightify import cases, identity, methods, relit, run
from limelight.benchmarks.relightify.score import DIFFUSE_RMSE, HIDDEN_PSNR, KNOWN_PSNR, score
from limelight.benchmarks.relightify.verdict import verdicts
from limelight.synthesis.samples import EVALUATION_SEEDS
from PIL import Image
from safetensors.torch import save_file

SIZE = maps.RESOLUTION


def head(number: int) -> torch.Tensor:
    """Maps (10, 256, 256) uint8 alike on both sides: a bright stripe on a colour, lit from above."""
    stack = maps.empty()
    colour = torch.tensor([0.8, 0.6, 0.5]) * (1 - 0.12 * number)
    stack[maps.DIFFUSE] = colour[:, None, None]
    stack[maps.DIFFUSE, :, 100:156] = 0.3
    stack[maps.TEXTURE] = stack[maps.DIFFUSE] * torch.linspace(1, 0.4, SIZE)[:, None]
    stack[maps.SPECULAR] = 0.3 + 0.1 * number
    return (stack * 255 + 0.5).byte()


def write_heads(folder: Path, first: int, count: int = 4) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    seeds = torch.arange(count) + first
    parts = {
        "maps": torch.stack([head(i) for i in range(count)]),
        "tone": (seeds % 6).to(torch.uint8),
        "seed": seeds,
        "identity": torch.zeros(count, 64),
        "expression": torch.zeros(count, 52),
    }
    save_file(parts, folder / f"faces_{first:08d}.safetensors")
    return folder


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heads(tmp_path_factory.mktemp("heads"), EVALUATION_SEEDS)


class Oracle:
    """Knows all heads of a folder, and tells the one whose texture fits, a little off if it is told to be."""

    def __init__(self, folder: Path, off: float) -> None:
        self.heads, self.off = [case.maps for case in cases.read_cases(folder, 0, 0)], off

    def complete(self, known: PartialTexture, effort, **_) -> torch.Tensor:
        errors = [float(((m[maps.TEXTURE] - known.colour) * known.mask).abs().sum()) for m in self.heads]
        found = (self.heads[errors.index(min(errors))] + self.off).clamp(0, 1)
        found[maps.TEXTURE] = torch.where(known.mask > 0, known.colour, found[maps.TEXTURE])
        return found

    def expected(self, known: PartialTexture) -> torch.Tensor:
        return self.complete(known, None)


class Silent:
    def progress(self, fraction: float, stage: str) -> None:
        pass


@pytest.fixture
def one_environment(monkeypatch):
    monkeypatch.setattr(relit, "ENVIRONMENTS", 1)
    monkeypatch.setattr(relit, "_SIDE", 48)
    monkeypatch.setattr(run, "RELIT", 1)


def test_the_truth_passes_every_floor_and_is_written_down(heads, tmp_path, one_environment):
    found = run.run_bench(heads, tmp_path, prior=Oracle(heads, 0.0), limit=3, report=Silent())
    assert found["passed"]
    assert found["heads"] == 3
    assert 0.3 <= found["hidden"] <= 0.7
    assert found["maps"]["means"]["prior"][DIFFUSE_RMSE] == 0
    assert found["relit"]["means"]["prior"]["relit psnr"] == 60
    stored = json.loads((tmp_path / "scores.json").read_text())
    assert len(stored["rows"]) == 3
    assert {row["tone"] for row in stored["rows"]} == set(map(int, stored["tones"]))
    table = (tmp_path / "table.md").read_text()
    assert table.count("PASS") == 4
    assert "FAIL" not in table
    for name in ("heads.png", "worst_cases.png"):
        assert Image.open(tmp_path / name).size[0] > 800


def test_identity_is_told_where_a_network_knows_faces(heads, tmp_path, one_environment, monkeypatch):
    monkeypatch.setattr(identity, "network", lambda: None)
    found = run.run_bench(heads, tmp_path / "without", prior=Oracle(heads, 0.0), limit=2, report=Silent())
    assert "identity distance" not in found["relit"]["means"]["prior"] and found["identity"] is None
    assert "pip install dlib-bin" in found["table"]
    # A stand-in that knows a face by the mean of its picture.
    monkeypatch.setattr(identity, "network", lambda: "stand-in")
    monkeypatch.setattr(identity, "descriptor", lambda picture, landmarks: picture.mean((0, 1)).numpy())
    monkeypatch.setattr(run, "RELIT", 2)
    monkeypatch.setattr(relit, "ENVIRONMENTS", 2)
    monkeypatch.setattr(run, "_environments", relit.environments)
    found = run.run_bench(heads, tmp_path / "with", prior=Oracle(heads, 0.0), limit=2, report=Silent())
    means = found["relit"]["means"]
    assert means["prior"]["identity distance"] == 0 < means["true texture as albedo"]["identity distance"]
    assert found["identity"]["others"] > 0 and found["identity"]["light"] > 0
    assert f"two heads in one light {found['identity']['others']:.3f}" in found["table"]


def test_the_network_is_asked_about_an_aligned_face():
    pytest.importorskip("dlib")
    if identity.network() is None:
        pytest.skip("face_recognition_models is not installed")
    from limelight.backend.relightify.find import portrait_photo
    from limelight.backend.relightify.landmarks import find_faces

    photo = portrait_photo(Path(skimage.__file__).parent / "data" / "astronaut.png", 512)
    shown = srgb_oetf(photo.radiance).clamp(0, 1)
    landmarks = find_faces(photo.radiance)[0].landmarks
    one = identity.descriptor(shown, landmarks)
    assert identity.distance(one, identity.descriptor(0.7 * shown, landmarks)) < 0.3
    # Where there is no face it sees another one.
    assert identity.distance(one, identity.descriptor(shown, landmarks + torch.tensor([0.0, 0.3]))) > 0.5


def test_what_is_off_fails(heads, tmp_path, one_environment):
    found = run.run_bench(heads, tmp_path, prior=Oracle(heads, 0.2), limit=2, report=Silent())
    judged = {verdict["floor"].split(" at")[0]: verdict["passed"] for verdict in found["verdicts"]}
    assert not judged["hidden texture"]
    assert judged["known texture"]


def test_a_mirror_completes_a_head_that_is_alike_on_both_sides(heads):
    case = next(cases.read_cases(heads, 1, 0))
    mask = maps.skin_mask().clone()
    mask[:, :, : SIZE // 2] = 0
    half = cases.Case(
        case.name, case.tone, case.maps, PartialTexture(case.maps[maps.TEXTURE] * mask, mask), case.points
    )
    by_mirror = score(methods.baked(methods.mirror(half)), half.maps, mask)
    smooth = score(methods.baked(methods.biharmonic(half)), half.maps, mask)
    assert by_mirror[HIDDEN_PSNR] > 30
    assert by_mirror[HIDDEN_PSNR] > smooth[HIDDEN_PSNR]
    assert by_mirror[KNOWN_PSNR] == smooth[KNOWN_PSNR] == 60


def test_opencv_fills_what_is_hidden_and_keeps_the_rest(heads):
    pytest.importorskip("cv2")
    case = next(cases.read_cases(heads, 1, 0))
    found = score(methods.baked(methods.telea(case)), case.maps, case.known.mask)
    empty = score(methods.baked(case.known.colour * case.known.mask), case.maps, case.known.mask)
    assert found[KNOWN_PSNR] == 60
    assert found[HIDDEN_PSNR] > empty[HIDDEN_PSNR]


def test_the_mean_leaves_the_head_itself_out(heads):
    found = list(cases.read_cases(heads, 0, 0))
    total, count = cases.mean_maps(heads)
    others = torch.stack([case.maps for case in found[1:]]).mean(0)
    mean = methods.mean(found[0], total, count)
    assert torch.allclose(mean[maps.SPECULAR], others[maps.SPECULAR], atol=1e-4)
    fitted = methods.fitted(found[0], total, count)
    hidden = score(fitted, found[0].maps, found[0].known.mask)[HIDDEN_PSNR]
    assert hidden > score(mean, found[0].maps, found[0].known.mask)[HIDDEN_PSNR]


def test_errors_are_told_in_their_units():
    truth = maps.empty()
    found = truth.clone()
    found[maps.SPECULAR] += 0.1
    found[maps.NORMAL] = maps.encode_normal(torch.tensor([0.5, 0.0, 0.75**0.5]))[:, None, None]
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, :128] = 1
    scores = score(found, truth, mask)
    assert scores["specular rmse"] == pytest.approx(0.1, abs=1e-4)
    assert scores["normal angle"] == pytest.approx(30, abs=0.1)
    assert scores[DIFFUSE_RMSE] == 0


def test_floors_are_judged_against_the_best_baseline():
    base = {KNOWN_PSNR: 60.0, DIFFUSE_RMSE: 0.1}
    means = {name: {**base, HIDDEN_PSNR: 20.0} for name in (*methods.MEASURED, methods.MIRROR, methods.MEAN)}
    means[methods.MEAN][HIDDEN_PSNR] = 23.0
    means[methods.BAKED] = {**base, HIDDEN_PSNR: float("nan"), DIFFUSE_RMSE: 0.2}
    means[methods.PRIOR] = {**base, HIDDEN_PSNR: 25.0}
    assert [verdict.passed for verdict in verdicts(means)] == [True, False, True, True]


def test_heads_of_training_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(BadInput, match="no heads"):
        cases.count_heads(tmp_path)
    with pytest.raises(BadInput, match="belongs to training"):
        cases.count_heads(write_heads(tmp_path, 7))
