# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of other kinds than light in lists: where their paths start, what is there already, what is misspelt."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from limelight.backend import kinds as engine_kinds
from limelight.backend.depth.estimate import DEFAULT_MODEL
from limelight.backend.errors import BadInput
from limelight.backend.limo.report import SilentReport
from limelight.bridge.batch import USUAL_DEPTH, USUAL_SPLATS, is_there
from limelight.bridge.joblist import JobList
from limelight.bridge.messages import PATHS
from PIL import Image


def picture(path: Path) -> str:
    level = np.hypot(*np.mgrid[-1:1:64j, -1:1:64j])[..., None] * np.array([90, 60, 30]) + 40
    Image.fromarray(level.astype(np.uint8)).save(path)
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))
    return str(path)


def do(kind: str, params: dict[str, Any]) -> dict[str, Any]:
    return engine_kinds.kinds("cpu")[kind](params, SilentReport())  # type: ignore[arg-type]


def test_whatever_is_a_path_to_a_job_is_one_to_a_list() -> None:
    paths = {
        field.name
        for job, _ in engine_kinds._JOBS.values()
        for field in dataclasses.fields(engine_kinds._found(job))
        if "Path" in str(field.type)
    }
    assert paths <= set(PATHS)


@pytest.mark.parametrize("kind", USUAL_SPLATS)
def test_lists_know_what_jobs_of_splats_are_unless_asked_otherwise(kind: str) -> None:
    fields = dataclasses.fields(engine_kinds._found(engine_kinds._JOBS[kind][0]))
    usual = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    assert usual == {**USUAL_SPLATS[kind], "device": "auto", "overwrite": False}


def test_pictures_of_balls_and_models_go_with_the_folder_of_a_list(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a" / "own").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    made = JobList.make(Path("balls.jobs"))
    made.add("fit", {"mirror": ["ball.jpg@-3"], "out": "env.exr"}, "ball")
    added = made.add("light", {"model": "own"}, "added").params["model"]
    assert added == str(tmp_path / "a" / "own"), "a model that is there is a path"
    (tmp_path / "a" / "embedded").mkdir()
    assert made.add("light", {"model": "embedded"}, "word").params["model"] == "embedded", "whatever folders there are"
    with made.path.open("a") as file:
        file.write('{"id": "hand", "kind": "depth", "params": {"model": "./own"}}\n')
        file.write('{"id": "named", "kind": "depth", "params": {"model": "embedded"}}\n')
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    moved = JobList(tmp_path / "b" / "balls.jobs")
    told = {id: moved.params(entry) for id, entry in moved.entries.items()}
    assert told["ball"] == {"mirror": [str(tmp_path / "b" / "ball.jpg@-3")], "out": str(tmp_path / "b" / "env.exr")}
    assert told["hand"]["model"] == str(tmp_path / "b" / "own") and told["named"]["model"] == "embedded"


def test_depth_is_there_if_it_was_asked_for_alike(tmp_path: Path) -> None:
    assert {"fov_deg": engine_kinds._Depth.fov_deg, "model": DEFAULT_MODEL} == USUAL_DEPTH
    image, other = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    asked = {"image": image, "out": str(tmp_path / "depth.exr"), "model": "guess", "fov_deg": 40}
    do("depth", asked)
    assert is_there("depth", asked) and is_there("depth", {**asked, "fov_deg": 40.0, "device": "cpu"})
    elsewhere = Path(shutil.copytree(tmp_path, tmp_path / "elsewhere"))
    assert is_there("depth", {**asked, "image": str(elsewhere / "a.png"), "out": str(elsewhere / "depth.exr")})
    for change in ({"fov_deg": None}, {"model": "embedded"}, {"image": other}):
        assert not is_there("depth", {**asked, **change})
    Path(image).touch()
    os.utime(tmp_path / "depth.exr", (1, 1))
    assert not is_there("depth", asked)


def test_a_fit_is_there_if_it_was_asked_for_alike(tmp_path: Path) -> None:
    ball, dark = picture(tmp_path / "ball@home.png"), picture(tmp_path / "dark.png")
    asked = {"mirror": [f"{ball}@0"], "out": str(tmp_path / "env.exr"), "height": 32}
    do("fit", asked)
    assert is_there("fit", asked) and is_there("fit", {**asked, "mirror": [ball], "diffuse": []})
    for change in ({"height": 64}, {"mirror": [f"{ball}@-1"]}, {"diffuse": [f"{dark}@0"]}, {"mirror": [dark]}):
        assert not is_there("fit", {**asked, **change})
    os.utime(tmp_path / "env.exr", (1, 1))
    assert not is_there("fit", asked)


@pytest.mark.parametrize(
    "kind, params, told",
    [
        ("depth", {"image": "a.png", "out": "a.exr", "fov": 40}, "unknown parameters: fov"),
        ("depth", {"image": "a.png", "out": "a.exr", "fov_deg": "wide"}, "malformed"),
        ("fit", {"mirror": ["a.png"], "out": "a.exr", "size": 64}, "unknown parameters: size"),
        ("fit", {"mirror": "a.png", "out": "a.exr"}, "malformed"),
        ("fit", {"mirror": [3], "out": "a.exr"}, "malformed"),
        ("fit", {"mirror": ["a.png"], "out": "a.exr", "height": "big"}, "malformed"),
    ],
)
def test_what_depth_and_fit_do_not_know_is_refused(kind: str, params: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        do(kind, params)
