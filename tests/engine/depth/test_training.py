# SPDX-License-Identifier: GPL-3.0-or-later
"""The depth network's recipe: another lens and a mirror keep the geometry, no scale counts, a broken run goes on."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.depth.network import FOCAL_BINS, Answer, DepthConfig, DepthNet
from limelight.backend.errors import BadInput
from limelight.backend.optics import exr
from limelight.backend.optics.camera import Camera
from limelight.benchmarks.depth.run import run_bench
from limelight.benchmarks.depth.score import score
from limelight.benchmarks.limo.probe_set import write_crops
from limelight.synthesis.samples import save_sample
from limelight.training import augment
from limelight.training.depth import examples, recipe
from limelight.training.depth import train as training
from limelight.training.depth.batch import Batch, mirrored, small_turn, turned
from limelight.training.depth.examples import Shards, Shot, find_shots, write_shards
from limelight.training.depth.loss import depth_loss
from safetensors.torch import load_file

UP = torch.tensor([0.0, math.cos(0.2), math.sin(0.2)])


def ground(width: int = 48, height: int = 36, fov: float = 70.0) -> Shot:
    """A floor 1.5 m under a camera that looks down a little; its radiance repeats the depth."""
    camera = Camera.from_fov(width, height, fov)
    below = -(camera.unit_depth_points() @ UP)
    depth = torch.where(below > 0.02, 1.5 / below.clamp(min=0.02), torch.inf)
    return Shot((1 / depth)[..., None].expand(-1, -1, 3).contiguous(), depth, camera, UP)


def heights(shot: Shot) -> torch.Tensor:
    """How high the seen points lie over the camera."""
    return (shot.camera.unproject(shot.depth) @ shot.up)[torch.isfinite(shot.depth)]


def test_another_lens_and_a_turn_leave_the_floor_where_it_is() -> None:
    rng = np.random.default_rng(1)
    for zoom in (1.0, 1.7):
        seen = turned(ground(240, 180), (112, 80), small_turn(rng), zoom)
        assert seen.depth.shape == (80, 112) and float(seen.up.norm()) == pytest.approx(1, abs=1e-5)
        near = heights(seen)[heights(seen).abs() < 10]
        assert float(near.median()) == pytest.approx(-1.5, abs=0.02)
        assert float((near + 1.5).abs().quantile(0.8)) < 0.06
    wide = turned(ground(), (112, 80), torch.eye(3), 1.0).camera
    assert turned(ground(), (112, 80), torch.eye(3), 2.0).camera.fx == pytest.approx(2 * wide.fx)


def test_a_mirror_keeps_lens_and_floor() -> None:
    tilted = ground()._replace(up=torch.nn.functional.normalize(torch.tensor([0.3, 0.9, 0.1]), dim=0))
    other = mirrored(tilted)
    assert other.camera == tilted.camera and torch.equal(other.depth[:, 0], tilted.depth[:, -1])
    assert torch.equal(other.up, tilted.up * torch.tensor([-1.0, 1, 1]))


def answer_and_batch(factor: float) -> tuple[Answer, Batch]:
    """An answer of the right shape whose truth is ``factor`` times as large."""
    shape = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0))
    shape = shape - shape.mean((1, 2), keepdim=True)
    focal = FOCAL_BINS[[4, 9]].clone()
    logits = -(((focal[:, None] - FOCAL_BINS) / 0.09) ** 2) / 2
    answer = Answer(shape, torch.full((2, 8, 8), -20.0), torch.full((2,), math.log(factor)), logits, UP.expand(2, 3))
    return answer, Batch(torch.zeros(0), factor * shape.exp(), focal, UP.expand(2, 3), torch.zeros(2))


def test_the_loss_counts_no_scale_and_sees_each_error() -> None:
    parts = {factor: depth_loss(*answer_and_batch(factor))[1] for factor in (0.5, 8.0)}
    for found in parts.values():
        assert all(float(found[name]) < 1e-3 for name in ("shape", "edges", "scale", "sky"))
    answer, batch = answer_and_batch(2.0)
    wrong = depth_loss(answer._replace(shape=answer.shape * 1.5, scale=answer.scale + 1), batch)[1]
    assert float(wrong["shape"]) > 0.05 and float(wrong["edges"]) > 0.05 and float(wrong["scale"]) > 0.5
    unknown = replace(batch, depth=torch.full_like(batch.depth, torch.nan))
    assert float(depth_loss(answer._replace(shape=answer.shape * 9), unknown)[1]["shape"]) == 0


def samples(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        shot = ground(48, 32, 50 + 5 * seed)
        to_world = np.eye(4, dtype=np.float32)
        to_world[2, :3] = UP
        save_sample(folder / f"sample_{seed}.npz", {"radiance": shot.radiance.numpy(), "depth": shot.depth.numpy(),
                    "camera": shot.camera.to_dict(), "camera_to_world": to_world})  # fmt: skip


def test_a_broken_run_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples(tmp_path / "scenes", 5)
    assert write_shards(find_shots(tmp_path / "scenes"), tmp_path / "data", "views") == 5
    stored = Shards(sorted((tmp_path / "data").glob("*.safetensors")))
    assert len(stored) == 5 and stored[0].camera.fov_x_deg == pytest.approx(50, abs=0.01)
    monkeypatch.setattr(training, "DepthNet", lambda: DepthNet(DepthConfig((8, 12, 12, 24), (1, 1, 1), 2)))
    base = training.Recipe(data=tmp_path / "data", out=tmp_path / "whole", steps=4, batch=3, warmup=2, save_every=2)
    whole = load_file(training.train(base, lambda text: None))

    real, calls = training.draw, []

    def breaks(*arguments: object) -> Batch:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "draw", breaks)
    parts = replace(base, out=tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        training.train(parts, lambda text: None)
    monkeypatch.setattr(training, "draw", real)
    again = load_file(training.train(parts, lambda text: None))
    assert all(torch.allclose(whole[name].float(), again[name].float(), atol=2e-3) for name in whole)
    assert any(float(whole[name].float().std()) > 0 for name in whole)
    with pytest.raises(BadInput, match="no training shards"):
        training.train(replace(base, data=tmp_path / "none"), lambda text: None)


def test_shards_of_a_broken_run_are_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "SHARD", 2)
    samples(tmp_path / "views", 5)

    def broken() -> Iterator[tuple[str, Shot]]:
        yield from itertools.islice(find_shots(tmp_path / "views"), 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(broken(), tmp_path / "run" / "data", "blender")
    monkeypatch.setattr(recipe, "train", lambda made, report: made.data)
    for _ in range(2):
        told: list[str] = []
        data = recipe.reproduce(tmp_path / "run", scenes=0, views=tmp_path / "views", device="cpu", report=told.append)
        shards = sorted(data.glob("blender_*.safetensors"))
        assert len(Shards(shards)) == 5
    assert not told, "what is whole is kept"
    shards[1].write_bytes(shards[1].read_bytes()[:-9])
    with pytest.raises(BadInput, match=r"damaged.*Remove it and run the same again"):
        Shards(shards)
    shards[1].unlink()
    recipe.reproduce(tmp_path / "run", scenes=0, views=tmp_path / "views", device="cpu", report=told.append)
    assert told == ["blender: 5 views"] and len(Shards(shards)) == 5


def test_views_that_are_made_later_are_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "VALIDATION", 1)
    monkeypatch.setattr(recipe, "train", lambda made, report: made.data)
    for count in (3, 5):
        samples(tmp_path / "run" / "views", count)
        data = recipe.reproduce(tmp_path / "run", scenes=0, views=tmp_path / "none", device="cpu")
        seen = [len(Shards(sorted(data.glob(f"{kind}_*.safetensors")))) for kind in ("views", "validation")]
        assert seen == [count - 1, 1]


def test_a_damaged_checkpoint_is_told_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples(tmp_path / "scenes", 5)
    write_shards(find_shots(tmp_path / "scenes"), tmp_path / "data", "views")
    monkeypatch.setattr(training, "DepthNet", lambda: DepthNet(DepthConfig((8, 12, 12, 24), (1, 1, 1), 2)))
    run = training.Recipe(data=tmp_path / "data", out=tmp_path / "out", steps=1, batch=2, warmup=1)
    weights = training.train(run, lambda text: None)
    checkpoint = tmp_path / "out" / "checkpoint.safetensors"
    for damaged in (checkpoint.read_bytes()[:-100], b"", weights.read_bytes()):
        checkpoint.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"checkpoint.safetensors is damaged.*Remove it to begin this training anew"):
            training.train(run, lambda text: None)
    (tmp_path / "start.safetensors").write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"start.safetensors is damaged"):
        training.train(replace(run, out=tmp_path / "new", start=tmp_path / "start.safetensors"), lambda text: None)


def test_photographs_stay_pictures_and_haze_knows_depth() -> None:
    rng = np.random.default_rng(0)
    light = torch.rand(4, 3, 32, 48) * 3
    values = augment.photograph(light, torch.full((4, 32, 48), 5.0), rng)
    assert values.shape == light.shape and float(values.min()) >= 0 and float(values.max()) <= 1
    depth = torch.full((1, 8, 8), 1.0)
    depth[:, :, 4:] = torch.inf
    black = torch.zeros(1, 3, 8, 8)
    black[..., 0] = 1.0
    veiled = augment.haze(black, depth, rng, share=1.0)
    assert float(veiled[..., 5].mean()) > 5 * float(veiled[..., 2].mean()) > 0
    grey = torch.rand(1, 3, 16, 16)
    assert torch.equal(augment.jpeg(grey, rng, share=0.0), grey) and torch.equal(augment.blur(grey, rng, 0.0), grey)


def test_the_score_of_known_errors() -> None:
    camera = Camera.from_fov(4, 4, 60)
    truth = torch.full((4, 4), 2.0)
    truth[0] = torch.inf
    found = torch.full((4, 4), 8.0)
    found[1] = 16.0
    got = score(found, truth, camera, 50.0)
    assert (got.absrel, got.delta, got.scale) == pytest.approx((1 / 3, 2 / 3, 2))
    assert got.fov == pytest.approx(10, abs=1e-4) and (got.shared, got.either) == (0, 4)


def test_the_benchmark_scores_a_folder(tmp_path: Path) -> None:
    samples(tmp_path / "set", 3)
    answer = run_bench(tmp_path / "set", tmp_path / "out", models=("guess",))
    table = answer["scores"]
    assert table["constant depth"]["fov_median"] == pytest.approx(5, abs=0.01)
    assert table["guess, given FoV"]["fov_mean"] == 0 and table["ground plane"]["absrel"] > 0
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["pictures"].keys() == {
        f"sample_{i}" for i in range(3)
    }
    assert (tmp_path / "out" / "worst.png").stat().st_size > 1000 and "AbsRel" in answer["table"]
    with pytest.raises(BadInput, match="no views"):
        run_bench(tmp_path / "none", tmp_path / "out")


def test_the_benchmark_scores_every_scene_of_a_set_that_knows_no_placement(tmp_path: Path) -> None:
    exr.write_panorama(tmp_path / "courtyard.exr", torch.rand(64, 128, 3), frame="world")
    for part in ("a", "b"):
        write_crops([tmp_path / "courtyard.exr"], tmp_path / "set" / part, 1)
    (tmp_path / "set" / "a").rename(tmp_path / "set" / ".a-unfinished")
    write_crops([tmp_path / "courtyard.exr"], tmp_path / "set" / "a", 1)
    run_bench(tmp_path / "set", tmp_path / "out", models=("guess",))
    scored = json.loads((tmp_path / "out" / "scores.json").read_text())["pictures"]
    assert scored.keys() == {"a/courtyard_000", "b/courtyard_000"}
    assert [shot.up.tolist() for _, shot in find_shots(tmp_path / "set")] == [[0, 1, 0]] * 2
    (tmp_path / "set" / "b" / "courtyard_000" / "meta.json").write_text("[]")
    with pytest.raises(BadInput, match="Scene b/courtyard_000"):
        run_bench(tmp_path / "set", tmp_path / "out", models=("guess",))
