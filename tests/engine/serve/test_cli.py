# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line as scripts meet it: exit codes, one JSON object on stdout, no traceback."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from limelight.backend import models
from limelight.bridge import Engine

ROOT = Path(__file__).resolve().parents[3]


def limelight(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    command = [sys.executable, str(ROOT / "bridge" / "launch.py"), "backend", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "arguments",
    [
        ("light", "no.png", "--probe", "0.5,0.5", "--out", "OUT"),
        ("light", "no.png", "--probe", "here", "--out", "OUT"),
        ("light", "no.png", "--probe", "0.5,0.5,1,2", "--out", "OUT"),
        ("light", "no.png", "--probe", "0.5,0.5", "--out", "OUT", "--camera", "no.json"),
        ("light", "no.png", "--probe", "0.5,0.5", "--out", "OUT", "--size", "333"),
        ("fit", "--out", "OUT/env.exr"),
        ("depth", "no.png", "--out", "OUT/depth.exr"),
        ("models", "fetch", "nothing"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_sentence_and_exit_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = limelight(*(a.replace("OUT", str(tmp_path / "out")) for a in arguments), "--json")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["text"].endswith(".") and error["remedy"]
    assert not (tmp_path / "out").exists()


def test_doctor_prints_one_object() -> None:
    done = limelight("doctor", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["missing"] == []
    assert answer["devices"][0]["id"] == "cpu" and answer["devices"][0]["memory_gb"] > 0


def test_a_checksum_tells_whole_from_damaged(tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    assert models.state(weights) == "missing"
    weights.write_bytes(b"light")
    assert models.state(weights) == "unverified"
    (tmp_path / "w.safetensors.sha256").write_text(hashlib.sha256(b"light").hexdigest() + "  w.safetensors\n")
    assert models.state(weights) == "ok"
    weights.write_bytes(b"lighT")
    assert models.state(weights) == "damaged"


def test_ready_within_six_seconds(tmp_path: Path) -> None:
    engine = Engine(Path(sys.executable), ROOT, log_file=tmp_path / "engine.log")
    start = time.monotonic()
    engine.start()
    while not engine.ready and time.monotonic() - start < 30:
        engine.step()
        time.sleep(0.01)
    assert time.monotonic() - start < 6
    refused = engine.wait(engine.submit("light", {"images": ["no.png"], "probes": [{"u": 0.5, "v": 0.5}],
                                                  "out": str(tmp_path / "out")}))  # fmt: skip
    assert refused.error and refused.error.code == "bad_input" and not (tmp_path / "out").exists()
    engine.stop()
