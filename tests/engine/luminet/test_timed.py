# SPDX-License-Identifier: GPL-3.0-or-later
"""Training by the clock: its pace, the rooms that are traced meanwhile, all of it in a few seconds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from limelight.backend.errors import BadInput
from limelight.backend.luminet.embedded import load_relighter
from limelight.backend.luminet.network import LumiNet
from limelight.synthesis.light_mixtures import SLOTS, draw_lightings, read_light_set
from limelight.tests.engine.luminet.test_embedded import TINY, write_sets
from limelight.training.limo import prepare
from limelight.training.luminet import recipe, tracing
from limelight.training.luminet.examples import LightSets
from limelight.training.pace import SAVES, Pace
from limelight.training.part import part
from limelight.training.resumable import Resumable


@pytest.mark.parametrize("speed", [3.0, 50.0])
def test_a_pace_fills_its_time_and_saves_evenly(speed: float) -> None:
    now, step, planned, saves = 0.0, 100, 8000, 0
    pace = Pace(60, step, lambda: now)
    while step < planned:
        # Half as fast in the second half.
        now += (1 if now < 30 else 2) / speed
        step += 1
        planned = pace.steps(step, planned)
        saves += pace.save_due()
    assert now == pytest.approx(60, abs=2.1 / speed) and saves == SAVES
    assert step == pytest.approx(100 + 45 * speed, rel=0.05)


def test_a_timed_run_goes_on_beyond_the_steps_that_are_planned_at_first(tmp_path: Path) -> None:
    weights = {"w": torch.nn.Parameter(torch.zeros(1))}
    trained = Resumable(Accelerator(cpu=True), weights, 1e-3, tmp_path / "checkpoint.safetensors")
    trained.step = 100
    trained.go_by(50, 0.5)
    trained.run(50, 10, lambda: trained.descend([lambda: weights["w"].sum()]), lambda: None, lambda line: None)
    assert trained.step > 100


def test_rooms_are_traced_in_parts_and_those_for_validation_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracing.order(50) == [0, 20, 40, *(seed for seed in range(50) if seed % 20)]
    monkeypatch.setattr(tracing, "SMALL", {"size": 16, "samples": 1})
    monkeypatch.setattr(tracing, "LARGE", {"size": 32, "samples": 1})
    for text in ("1/2", "2/2"):
        tracing.trace(tmp_path, 3, part(text), [])
    sizes = [read_light_set(tmp_path / f"sample_{seed}.npz").lights.shape[1] for seed in range(3)]
    assert sizes == [32, 16, 16]


@pytest.mark.parametrize("text", ["3/2", "0/2", "1/0", "-1/2", "2", "1/", "a/b", ""])
def test_a_part_that_there_is_not_is_told_in_a_sentence(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for program, asked in ((tracing, []), (prepare, ["traced"])):
        monkeypatch.setattr(sys, "argv", ["x", *asked, "--out", str(tmp_path / "out"), f"--part={text}"])
        with pytest.raises(SystemExit, match="2"):
            program.main()
        assert f"argument --part: '{text}' is no part; write K/N" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_lightings_of_a_batch_are_of_sources_that_are_there() -> None:
    rng = np.random.default_rng(0)
    present = np.ones((800, len(SLOTS)), bool)
    present[:, [2, 8]] = False
    own = np.arange(800) < 400
    drawn = draw_lightings(rng, present, own)
    counts = (drawn.sum(-1) > 0).sum(-1)
    assert drawn.dtype == np.float32 and {*counts} == {1, 2, 3, 4} and not drawn[:, [2, 8]].any()
    assert not drawn[~own, 8:].any() and 0.3 < drawn[own, 9].any(-1).mean() < 0.5
    assert np.bincount(counts, minlength=5)[1] / 800 == pytest.approx(0.35, abs=0.06)


def test_a_batch_depends_on_its_generator_and_new_rooms_are_taken_in(tmp_path: Path) -> None:
    write_sets(tmp_path, 4)
    data = LightSets(tmp_path, validation=False, size=32)
    one, again, other = (data.draw(3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.source, again.source) and not torch.equal(one.source, other.source)
    write_sets(tmp_path, 6)
    data.take_in()
    assert len(data) == 5 and data.lights(4).shape == (10, 32, 32, 3)


def test_data_and_training_at_once_leave_weights_that_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sets(tmp_path / "sets", 24)
    monkeypatch.setattr("limelight.training.luminet.train.LumiNet", lambda: LumiNet(TINY))
    monkeypatch.setattr("limelight.training.luminet.train._VALIDATION_PAIRS", 10)
    phases = [(stage, 16, share, 2, rate) for stage, _, share, _, rate in recipe.TIMED_PHASES]
    monkeypatch.setattr(recipe, "TIMED_PHASES", phases)
    lines: list[str] = []
    weights = recipe.reproduce_within(
        tmp_path / "run", 0.1, scenes_in=tmp_path / "sets", scenes=24, workers=1, device="cpu", report=lines.append
    )
    assert load_relighter.__wrapped__(weights).network.config == TINY
    log = [json.loads(line) for line in (tmp_path / "run" / "phase_4" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["rooms"] == 22 and log[-2]["steps"] == log[-2]["step"]
    assert sum("Phase" in line for line in lines) == 4


def test_too_few_rooms_are_told_before_any_is_traced(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Use more than 20 scenes"):
        recipe.reproduce(tmp_path, scenes=1)
    assert not any(tmp_path.iterdir())
