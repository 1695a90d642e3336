# SPDX-License-Identifier: GPL-3.0-or-later
"""The hidden folder that a job works in: gone after every end, even if the next job has to see to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.limo.output import staged, write_json
from limelight.backend.optics import exr

ROOT = Path(__file__).resolve().parents[3]
_JOB = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("launch", sys.argv[1])
launch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launch)
launch.bind_package()
from pathlib import Path
from limelight.backend.limo.output import staged
with staged(Path(sys.argv[2])) as work:
    (work / "half.exr").write_text("half")
    print("working", flush=True)
    time.sleep(300)
"""


def hidden(out: Path) -> list[str]:
    """The staging folders in an output folder."""
    return sorted(path.name for path in out.glob(".limelight-*"))


def test_what_a_killed_job_left_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", _JOB, str(ROOT / "bridge" / "launch.py"), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None and job.stdout.readline() == "working\n"
        (theirs,) = hidden(out)
        with staged(out) as work:
            assert hidden(out) == sorted([theirs, work.name])
            # A second job of the same process leaves the first one's folder alone.
            with staged(out) as other:
                assert hidden(out) == sorted([theirs, work.name, other.name])
            (work / "probe_0.exr").write_text("whole")
        assert hidden(out) == [theirs]
        job.kill()
    assert hidden(out) == [theirs]
    with staged(out):
        assert theirs not in hidden(out)
    assert sorted(path.name for path in out.iterdir()) == ["probe_0.exr"]


def test_a_folder_without_a_lock_is_removed_once_it_cannot_be_new(tmp_path: Path) -> None:
    old, new = tmp_path / ".limelight-old", tmp_path / ".limelight-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "half.exr").write_text("half")
    hour_ago = time.time() - 3600
    os.utime(old, (hour_ago, hour_ago))
    (tmp_path / "mine.exr").write_text("mine")
    with staged(tmp_path):
        assert not old.exists() and new.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".limelight-new", "mine.exr"]


def test_what_could_not_be_written_is_told_as_the_disks(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for write in (lambda path: exr.write_image(path, torch.zeros(2, 2, 3)), lambda path: write_json(path, {})):
        with pytest.raises(BadInput) as caught:
            write(tmp_path / "file" / "a.exr")
        assert caught.value.code == "disk", "so that a batch tries again"


def test_a_failed_job_leaves_everything_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="half way"), staged(tmp_path / "out") as work:
        (work / "half.exr").write_text("half")
        raise RuntimeError("half way")
    assert not (tmp_path / "out").exists()
