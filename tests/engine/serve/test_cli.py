# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line as scripts meet it: exit codes, one JSON object on stdout, no traceback."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from limelight.backend import cli, models, workshop
from limelight.backend.console import TerminalReport
from limelight.backend.optics import exr
from limelight.backend.serve import explain
from limelight.bridge import Engine
from PIL import Image
from safetensors import SafetensorError
from typer.main import get_command
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[3]
SPLATS = str(ROOT / "tests" / "data" / "splats" / "jspz_unitCube.spz")


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
        ("light", "no.png", "--probe", "0.5,0.5", "--out", "OUT", "--take", "99999999999"),
        ("light", "no.png", "--probe", "0.5,0.5", "--out", "OUT", "--seed", "99999999999999999999999"),
        ("fit", "--out", "OUT/env.exr"),
        ("depth", "no.png", "--out", "OUT/depth.exr"),
        ("relight", "no.png", "no.jpg", "--out", "OUT/relit.png"),
        ("relight", "no.png", "no.jpg", "--out", "OUT/relit.png", "--strength", "3"),
        ("models", "fetch", "nothing"),
        ("splat", "info", "no.ply"),
        ("splat", "info", str(ROOT / "README.md")),
        ("splat", "convert", "no.ply", "OUT/a.spz"),
        ("splat", "convert", SPLATS, "OUT/a.ksplat"),
        ("splat", "convert", SPLATS, "OUT/a.obj"),
        ("splat", "convert", SPLATS, "OUT/a.ply", "--axes", "up"),
        ("splat", "convert", SPLATS, SPLATS, "--overwrite"),
        ("splat", "convert", SPLATS, "OUT/a.ply", "--degree", "5"),
        ("splat", "train", "nowhere", "--out", "OUT/a.ply"),
        ("splat", "train", str(ROOT), "--out", "OUT/a.ply"),
        ("splat", "train", "nowhere", "--out", "OUT/a.obj"),
        ("splat", "train", "nowhere", "--out", "OUT/a.ply", "--tone", "film"),
        ("splat", "train", "nowhere", "--out", "OUT/a.ply", "--iterations", "3"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_sentence_and_exit_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = limelight(*(a.replace("OUT", str(tmp_path / "out")) for a in arguments), "--json")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["text"].endswith(".") and error["remedy"]
    assert not (tmp_path / "out").exists()


def test_only_what_nobody_foresaw_shows_where_it_happened(capsys: pytest.CaptureFixture[str]) -> None:
    told = explain("", OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), "long.png"), terse=True)
    assert "long.png" in told.text and not capsys.readouterr().err
    full = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert explain("", full, terse=True).code == "disk"
    assert explain("", ZeroDivisionError(), terse=True).code == "failed"
    assert "ZeroDivisionError" in capsys.readouterr().err


def commands() -> dict[str, Any]:
    """Every command by its words."""
    found: dict[str, Any] = {}
    for name, command in get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        nested = getattr(command, "commands", None)
        found |= {f"{name} {word}": sub for word, sub in nested.items()} if nested else {name: command}
    return found


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_takes_device_seed_and_json(name: str) -> None:
    options = {text: p for p in commands()[name].params for text in p.opts if text.startswith("--")}
    # Without a seed, scenes for evaluation begin elsewhere than those for training.
    assert options["--device"].default == "auto" and options["--seed"].default in (0, None)
    assert options["--json"].is_flag and options["--json"].default is False
    assert all(options[text].help for text in options)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("models", "list", "--device", "cuda:99"), "cuda:99"),
        (("models", "verify", "--device", "tpu"), "tpu"),
        (("doctor", "--device", "cuda:x"), "cuda:x"),
        (("fit", "--out", "env.exr", "--device", "cuda99"), "cuda99"),
        (("depth", "no.png", "--out", "d.exr", "--device", "gpu"), "gpu"),
        (("bench", "limo", "SET", "--out", "OUT", "--device", "-1"), "-1"),
        (("doctor", "--seed", "-1"), "--seed"),
        (("depth", "no.png"), "--out"),
        (("light", "a.png", "--out", "o", "--probe", "0.5,0.5", "--fov", "wide"), "--fov"),
        (("illuminate",), "illuminate"),
    ],
    ids=" ".join,
)
def test_wrong_options_end_as_any_bad_input(arguments: tuple[str, ...], named: str, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["limelight", *arguments, "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    error = json.loads(out)["error"]
    assert named in error["text"] and error["text"].endswith(".") and error["remedy"]
    assert err.strip().splitlines()[-1] == f"{error['text']} {error['remedy']}"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("train luminet --start x", "'train luminet' does not use --start. Leave it out; it is for limo."),
        ("train limo-flux --hdris x", "'train limo-flux' does not use --hdris."),
        ("train limo --rank 0", "'train limo' does not use --rank. Leave it out; it is for limo-flux, limo-wan."),
        ("synthesize splats --first 3", "'synthesize splats' does not use --seed."),
        ("synthesize crops --ray auto", "'synthesize crops' does not use --ray."),
        ("synthesize lights --blender x --hdris x", "'synthesize lights --blender' does not use --hdris."),
        ("synthesize lights --assets x", "does not use --assets. Leave it out; it is for lights --blender."),
        ("synthesize views --frames 5", "'synthesize --family still' does not use --frames. Leave it out; it is for "),
        ("synthesize crops --blender x --hdris x", "'synthesize crops --hdris' does not use --blender."),
        ("synthesize rooms --workers 2 --ray auto", "'synthesize --ray' does not use --workers."),
        ("splat relight x --env x --cameras x --views 3", "it is for places all around."),
        ("splat mesh x --cameras x --views 8", "'mesh --cameras' does not use --views."),
        ("bench depth x --quality normal", "'bench depth' does not use --quality."),
        ("bench limo x --model embedded", "'bench limo' does not use --model."),
    ],
)
def test_options_of_other_kinds_are_refused(line: str, told: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, [*line.split(), "--out", str(tmp_path / "out"), "--seed", "0"])
    assert done.exit_code == 2 and told in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("model", workshop._SCORED)
def test_what_a_benchmark_uses_it_takes(model: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["bench", model, str(tmp_path / "none"), "--out", str(tmp_path), "--json"])
    assert done.exit_code == 2 and "none" in json.loads(done.stdout)["error"]["text"]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("synthesize", workshop._MADE), ("train", workshop._TRAINED), ("bench", workshop._SCORED)],
)
def test_what_kinds_use_are_options_and_all_are_used_by_some(name: str, kinds: dict[str, str]) -> None:
    options = {option.name for option in commands()[name].params}
    assert {option for used in kinds.values() for option in used.split()} < options
    unnamed = options - {option for used in kinds.values() for option in used.split()}
    assert unnamed == {
        "synthesize": {"kind", "out", "count", "device", "as_json"},
        "train": {"model", "out", "device", "seed", "as_json"},
        "bench": {"model", "folder", "out", "limit", "device", "seed", "as_json"},
    }[name]


def test_synthesize_keeps_what_is_there_and_prints_one_object(tmp_path: Path) -> None:
    (tmp_path / "sample_5.npz").touch()
    for word in ("--seed", "--first"):
        done = limelight("synthesize", "rooms", "--out", tmp_path, "--count", 1, word, 5, "--device", "cpu", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"out": str(tmp_path), "first": 5, "count": 1, "device": "cpu"}
    assert (tmp_path / "sample_5.npz").stat().st_size == 0


def test_several_processes_make_faces_in_a_clone_of_any_name(tmp_path: Path) -> None:
    done = limelight("synthesize", "faces", "--out", tmp_path, "--count", 2, "--workers", 2, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["faces"] == 2


def test_doctor_prints_one_object() -> None:
    done = limelight("doctor", "--device", "cpu", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["missing"] == [] and answer["device"] == "cpu"
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' full device")
def test_an_answer_that_finds_no_place_is_a_sentence() -> None:
    command = [sys.executable, str(ROOT / "bridge" / "launch.py"), "backend"]
    for words in (["splat", "info", SPLATS], ["illuminate", "--json"]):
        with open("/dev/full", "w") as full:
            ended = subprocess.run([*command, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
        assert ended.returncode == 2 and "disk is full" in ended.stderr and "Traceback" not in ended.stderr
    gone, answer = os.pipe()
    os.close(gone)
    ended = subprocess.run([*command, *words], stdout=answer, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(answer)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr


def test_what_libraries_print_is_not_the_answer(tmp_path: Path) -> None:
    exr.write_image(tmp_path / "cut.exr", torch.rand(64, 128, 3))
    data = (tmp_path / "cut.exr").read_bytes()
    (tmp_path / "cut.exr").write_bytes(data[: len(data) // 2])
    done = limelight("depth", tmp_path / "cut.exr", "--out", tmp_path / "depth.exr", "--json")
    assert "pixels of cut.exr are damaged" in json.loads(done.stdout)["error"]["text"] and done.returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that is used there stays")
def test_a_folder_that_is_gone_is_told_and_served_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    command = [sys.executable, str(ROOT / "bridge" / "launch.py"), "backend", "doctor", "--json"]
    script = 'import os, sys; os.rmdir(os.getcwd()); os.execv(sys.argv[1], sys.argv[1:])'
    words = [sys.executable, "-c", script, *command]
    done = subprocess.run(words, cwd=tmp_path / "gone", capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "is gone" in json.loads(done.stdout)["error"]["text"]
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    Image.new("RGB", (96, 64), "grey").save(tmp_path / "grey.png")
    engine = Engine(Path(sys.executable), ROOT)
    job = engine.wait(engine.submit("depth", {"image": str(tmp_path / "grey.png"), "out": str(tmp_path / "d.exr")}))
    engine.stop()
    assert job.state == "done"


def test_names_that_look_like_markup_are_told_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a bar as in a terminal
    with TerminalReport() as report:
        report.progress(0.5, "[/x] and [bold]")
        report.log("a/[shot] :smile: [/x].png " + "long " * 40)
    told = re.sub(r"\x1b\[[0-9;?]*\w", "", capsys.readouterr().err)
    assert "a/[shot] :smile: [/x].png " + "long " * 39 in told and "[/x] and [bold]" in told


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("begun", ["| typer", "ready"])
def test_a_signal_ends_a_command_with_a_sentence_at_any_time(number: int, code: int, begun: str) -> None:
    command = [sys.executable, "-X", "importtime", str(ROOT / "bridge" / "launch.py"), "backend", "serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # What runs tests in the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout and process.stderr
        if begun == "ready":
            assert "ready" in process.stdout.readline()
        else:
            while begun not in process.stderr.readline():
                pass
        process.send_signal(number)
        lines = [line for line in process.stderr if not line.startswith("import time:")]
        assert process.wait(60) == code and lines == ["Cancelled.\n"]
