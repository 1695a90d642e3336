# SPDX-License-Identifier: GPL-3.0-or-later
"""Sequences with truth: reading them, their mistakes, floors, and the whole benchmark with stand-ins for the engine."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics import exr
from limelight.backend.optics import panorama as pano
from limelight.benchmarks.limo import spheres, video, video_methods, video_score, video_table
from limelight.benchmarks.limo.video_methods import HELD, ONE_NOISE, OVER_TIME, PER_FRAME, light_of
from limelight.benchmarks.limo.video_set import Sequence, find_sequences, read_sequence

HALF = torch.tensor([3.0, 2.0, 4.0])


class Quiet:
    def progress(self, fraction: float, stage: str) -> None:
        assert 0 <= fraction < 1


def pose(i: int) -> list[list[float]]:
    a = math.radians(2.0 * i)
    return [[math.cos(a), 0, math.sin(a), 0.1 * i], [0, 1, 0, 0], [-math.sin(a), 0, math.cos(a), 0], [0, 0, 0, 1]]


def write_frame(folder: Path, i: int) -> None:
    """A box of painted walls around the world's middle, seen from (0.1 i, 0, 0); the probe a metre ahead."""
    matrix = torch.tensor(pose(i))
    position = [0.0, 0.0, -1.0]
    centre = matrix[:3, :3] @ torch.tensor(position) + matrix[:3, 3]
    d = pano.directions(128) @ matrix[:3, :3].T
    distance = ((HALF * d.sign() - centre) / d).amin(-1)
    walls = 0.5 + 0.4 * torch.sin((centre + distance[..., None] * d) * 1.5 + torch.tensor([0.0, 1.0, 2.0]))
    exr.write_image(folder / "image.exr", torch.full((18, 24, 3), 0.4))
    exr.write_depth(folder / "depth.exr", torch.full((18, 24), 3.0))
    exr.write_panorama(folder / "env_0.exr", walls, frame="camera")
    exr.write_depth(folder / "distance_0.exr", distance)
    probe = {"id": 0, "position_camera": position, "radius": 0.1}
    meta = {"fov_x_deg": 60, "camera_to_world": pose(i), "probes": [probe]}
    (folder / "meta.json").write_text(json.dumps(meta))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "set" / "camera" / "camera_1"
    for i in range(4):
        (made / f"frame_{i:04d}").mkdir(parents=True)
        write_frame(made / f"frame_{i:04d}", i)
    (made / "sample.json").write_text(json.dumps({"family": "camera"}))
    return tmp_path / "set"


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    for module in (spheres, video_score):
        monkeypatch.setattr(module, "SMALL", replace(spheres.SMALL, size=64))


def true_light(sequence: Sequence) -> torch.Tensor:
    return torch.stack([case.truth for case in sequence.cases])


def shaken(sequence: Sequence) -> torch.Tensor:
    gains = torch.tensor([1.0, 1.2, 0.9, 1.1])[:, None, None, None]
    return true_light(sequence) * gains


def test_a_sequence_is_read_with_its_cameras_and_true_motion(folder: Path) -> None:
    (path,) = find_sequences(folder)
    (sequence,) = read_sequence(path)
    assert sequence.name == "camera_1/0" and sequence.family == "camera" and len(sequence.cases) == 4
    torch.testing.assert_close(sequence.placements[2].camera_to_world, torch.tensor(pose(2)))
    true = video_score.Shown.of(true_light(sequence))
    found = video_score.score(true, true, video_score.motions(sequence), video_score.WITHOUT_WEIGHTS)
    still = float((true.balls["mirror"][1:] - true.balls["mirror"][:-1]).square().sum(-1).mean().sqrt())
    # The walls turn and shift on the mirror, and along their true motion they stay what they are.
    assert found["mirror.warped_error"] < 0.3 * still and found["mirror.rmse"] == 0
    assert found["mirror.t_dssim_diff"] == 0 and found["mirror.t_dssim"] > 0


def test_the_bench_tells_steady_from_shaken_and_goes_on_where_it_broke(folder: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def counted(sequence: Sequence) -> torch.Tensor:
        asked.append(sequence.name)
        return shaken(sequence)

    known = {OVER_TIME: true_light, PER_FRAME: counted, ONE_NOISE: shaken}
    for _ in range(2):
        found = video.run_bench(folder, tmp_path / "out", quality="draft", methods=known, report=Quiet())
    assert asked == ["camera_1/0"] and found["passed"]
    means = found["means"]
    assert means[OVER_TIME]["mirror.warped_error"] < 0.5 * means[PER_FRAME]["mirror.warped_error"]
    assert means[OVER_TIME]["flicker"] < 0.05 < means[PER_FRAME]["flicker"]
    assert means[OVER_TIME]["swing"] == means["truth"]["swing"] < 0.1
    assert means[PER_FRAME]["swing"] == pytest.approx(math.log2(1.2 / 0.9), abs=0.1) and means[HELD]["swing"] == 0
    assert means[HELD]["mirror.gradient_error"] > means[OVER_TIME]["mirror.gradient_error"]
    assert found["families"] == {"camera": 1} and "What moves: camera" in found["table"]
    assert "swing, stops" in found["table"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"lights", "scores.json", "strips.png", "table.md"}
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["rows"][0]["name"] == "camera_1/0"


def test_light_of_another_set_is_not_taken_for_its_namesakes(folder: Path, tmp_path: Path) -> None:
    (path,) = find_sequences(folder)
    (sequence,) = read_sequence(path)
    brighter = [replace(case, view=replace(case.view, radiance=case.view.radiance * 2)) for case in sequence.cases]
    asked = []
    for seen in (sequence, replace(sequence, cases=brighter), sequence):
        light_of("over time", lambda seen: asked.append(seen) or true_light(seen), seen, tmp_path)
    assert len(asked) == 2


def test_floors_fail_when_light_shakes_as_much_or_is_further_off() -> None:
    def means(warped: float, rmse: float) -> dict[str, float]:
        return {f"{b}.{k}": v for b in ("mirror", "diffuse") for k, v in (("warped_error", warped), ("rmse", rmse))}

    known = {OVER_TIME: means(0.06, 0.3), PER_FRAME: means(0.1, 0.25), ONE_NOISE: means(0.08, 0.25)}
    assert [verdict.passed for verdict in video_table.verdicts(known)] == [False] * 4
    known[OVER_TIME] = means(0.05, 0.27)
    judged = video_table.verdicts(known)
    assert [verdict.passed for verdict in judged] == [True] * 4
    assert str(judged[0]) == (
        "PASS: mirror warped error at most 0.5 of per frame: 0.50 (0.0500 of 0.1000; 0.62 of that with one noise)"
    )


def test_what_is_no_sequence_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no sequence"):
        find_sequences(tmp_path / "empty")
    with pytest.raises(BadInput, match="The quality is 'best'"):
        video.run_bench(folder, tmp_path / "out", quality="best", report=Quiet())
    with pytest.raises(BadInput, match="The limit is -1"):
        video.run_bench(folder, tmp_path / "out", limit=-1, report=Quiet())
    (path,) = find_sequences(folder)
    (path / "frame_0002" / "distance_0.exr").unlink()
    with pytest.raises(BadInput, match=r"lacks frame_0002/distance_0.exr"):
        read_sequence(path)


def test_the_engines_methods_answer_for_every_frame(folder: Path, monkeypatch) -> None:
    """Painting and fitting are stood in for: what is tested is which noise and frames they get."""
    noises: list[int] = []

    class Painter:
        def __init__(self, device: str, takes: int) -> None:
            assert takes == 2

        def paint_frames(self, views, probes, *, steps: int, seed: int):
            assert len(views) == len(probes) == 4 and seed == 7
            return [0.1, 0.2, 0.3, 0.4]

    def estimate(view, probes, *, painter, quality, height, seed):
        noises.append(seed)
        return [type("Answer", (), {"environment": torch.full((128, 256, 3), 1.0)})]

    monkeypatch.setattr(video_methods, "EmbeddedPainter", Painter)
    monkeypatch.setattr(video_methods, "estimate", estimate)
    monkeypatch.setattr(
        video_methods,
        "estimate_frames",
        lambda views, probes, *, painter, steps, rows, height, seed: [
            torch.full((height, 2 * height, 3), level)
            for level in painter.paint_frames(views, probes, steps=steps, seed=seed)
        ],
    )
    (sequence,) = read_sequence(find_sequences(folder)[0])
    known = video_methods.make_methods("draft", 7, "cpu")
    assert {name: light(sequence).shape for name, light in known.items()} == dict.fromkeys(
        (OVER_TIME, PER_FRAME, ONE_NOISE), (4, 128, 256, 3)
    )
    assert noises == [7, 8, 9, 10, 7, 7, 7, 7]
