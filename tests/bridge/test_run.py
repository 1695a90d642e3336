# SPDX-License-Identifier: GPL-3.0-or-later
"""The developers' door, run.py."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
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


@pytest.mark.skipif(os.name == "nt", reason="one process there starts another")
def test_a_signal_reaches_the_command_line_itself(tmp_path: Path) -> None:
    script = f"""
import runpy, signal, sys
# What runs tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.SIG_DFL)
door = runpy.run_path({str(RUN)!r})["main"].__globals__
door |= {{"ROOT": __import__("pathlib").Path({str(tmp_path)!r}), "engine": lambda: sys.executable}}
sys.argv[1:] = ["limelight", "light"]
raise SystemExit(door["main"]())
"""
    (tmp_path / "bridge").mkdir()
    (tmp_path / "bridge" / "launch.py").write_text(
        "import sys, time\ntry: print(sys.argv[1:], flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt: time.sleep(1); sys.exit(130)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "['backend', 'light']\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_what_is_made_on_the_way_is_told_beside_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    door = runpy.run_path(str(RUN))["main"].__globals__
    door["find_python"] = lambda version: None
    door["ENVS"] = Path("none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["run.py", "limelight", "doctor", "--json"])
        assert door["main"]() == 1
    told = capsys.readouterr()
    assert "was not found" in told.err and not told.out
