# SPDX-License-Identifier: GPL-3.0-or-later
"""The developers' door, run.py."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

RUN = Path(__file__).resolve().parents[2] / "run.py"


def test_clones_that_share_their_environments_are_examined_apart(tmp_path: Path) -> None:
    seen: list[Path] = []

    def call(command: list[str | Path], **options: Any) -> None:
        if "mypy" in command:
            seen.append(Path(options["cwd"]) / "limelight")

    (tmp_path / "shared").mkdir()
    for name in ("one", "other"):
        door = runpy.run_path(str(RUN))["lint"].__globals__
        door |= {"ENVS": tmp_path / "shared", "ROOT": tmp_path / name, "call": call, "engine": lambda tools: RUN}
        (tmp_path / name).mkdir()
        door["lint"]()
    assert [link.resolve().name for link in seen] == ["one", "other"]


def test_an_environment_that_was_broken_off_is_made_anew(tmp_path: Path) -> None:
    door = runpy.run_path(str(RUN))["environment"].__globals__
    half = tmp_path / "env" / "half"

    def call(command: list[str | Path], **_options: Any) -> None:
        if "venv" in command:
            half.parent.mkdir()
            python = door["python_in"]("env")
            python.parent.mkdir()
            python.touch()
        elif killed:
            half.touch()
            raise door["Failed"]("Killed.")
        else:
            assert not half.exists()

    door |= {"ENVS": tmp_path, "call": call, "find_python": lambda version: RUN}
    steps = [["first"], ["second"]]
    killed = True
    with pytest.raises(door["Failed"]):
        door["environment"]("env", (3, 11), steps)
    killed = False
    assert door["environment"]("env", (3, 11), steps) == door["python_in"]("env")
