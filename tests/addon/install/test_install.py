# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip, as a user gets it: built, installed into a fresh user folder, used with the real engine, removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ENGINE = Path(os.environ.get("LIMELIGHT_ENGINE_PYTHON", ROOT / ".envs" / "engine" / "bin" / "python"))


@pytest.mark.skipif(not ENGINE.is_file(), reason="there is no engine environment: run python3 run.py test")
def test_the_zip_installs_estimates_applies_and_leaves_nothing(tmp_path):
    build = [sys.executable, str(ROOT / "benchmarks" / "build_extension.py"), str(ROOT), str(tmp_path)]
    assert subprocess.run(build, check=False, capture_output=True).returncode == 0
    (zip_path,) = tmp_path.glob("limelight-*.zip")
    assert zip_path.stat().st_size < 80e6
    user = tmp_path / "user folder ü"
    user.mkdir()
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("journey.py")), str(zip_path), str(ENGINE)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "BLENDER_USER_RESOURCES": str(user)},
    )
    assert "JOURNEY DONE" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
