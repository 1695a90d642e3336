# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of pictures under one light: goes on after a break, past what fails, and replaces nothing unasked."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from limelight.backend import cli, kinds
from limelight.backend.errors import BadInput, Cancelled
from limelight.backend.limo.report import SilentReport
from limelight.backend.luminet.job import RelightJob, run_relight
from limelight.backend.optics import exr
from limelight.bridge import messages
from PIL import Image

RED = (0.5, 0.0, -0.5)


@pytest.fixture
def sources(tmp_path) -> Path:
    """Three pictures, one that is none, one of a phone, and a file that is no picture's."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(("a.jpg", "b.png")):
        pixels = np.random.default_rng(number).integers(0, 200, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    exr.write_image(folder / "c.exr", torch.rand(32, 48, 3))
    (folder / "broken.png").write_bytes(b"nothing")
    (folder / "phone.heic").write_bytes(b"heic")
    (folder / "notes.txt").write_text("none")
    Image.fromarray(np.full((32, 32, 3), (220, 150, 90), np.uint8)).save(tmp_path / "other.png")
    return folder


def relight(sources: Path, report: SilentReport | None = None, **params: Any) -> dict[str, Any]:
    """Relight the folder into ``out`` beside it."""
    folder = sources.parent
    job = {"source": str(sources), "reference": str(folder / "other.png"), "out": str(folder / "out"), **params}
    return run_relight(RelightJob.from_params(job), report or SilentReport())


def test_every_picture_is_relit_and_the_broken_one_is_told(sources, relighter) -> None:
    fake = relighter(RED)
    report = SilentReport()
    result = relight(sources, report, ratio=str(sources.parent / "ratios"))
    out = sources.parent / "out"
    assert [Path(entry["relit"]).name for entry in result["relit"]] == ["a.png", "b.png", "c.exr"]
    assert all(Path(entry["relit"]).is_file() and Path(entry["preview"]).is_file() for entry in result["relit"])
    assert result["kept"] == 0 and [Path(entry["source"]).name for entry in result["failed"]] == ["broken.png"]
    assert result["failed"][0]["text"].endswith(".") and result["failed"][0]["remedy"]
    assert any("broken.png" in line for line in report.lines) and json.dumps(result)
    assert any("phone.heic passed over" in line for line in report.lines)
    assert {path.name for path in (sources.parent / "ratios").iterdir()} == {
        "a_ratio.exr", "b_ratio.exr", "c_ratio.exr"}  # fmt: skip
    # Mended, it is all that is left to do.
    Image.new("RGB", (40, 40), (90, 90, 90)).save(sources / "broken.png")
    times, asked = {path: path.stat().st_mtime_ns for path in out.iterdir()}, len(fake.asked)
    result = relight(sources, ratio=str(sources.parent / "ratios"))
    assert result["kept"] == 3 and result["failed"] == [] and len(fake.asked) == asked + 1
    assert all(path.stat().st_mtime_ns == time for path, time in times.items() if path.name != "relight.json")
    assert relight(sources)["kept"] == 4 and relight(sources, overwrite=True)["kept"] == 0


def test_results_of_other_settings_are_not_mixed(sources, relighter) -> None:
    relighter(RED)
    relight(sources)
    with pytest.raises(BadInput, match="other settings"):
        relight(sources, strength=0.5)
    assert len(relight(sources, strength=0.5, overwrite=True)["relit"]) == 3
    assert relight(sources, strength=0.5)["kept"] == 3


def test_a_folder_goes_on_where_the_project_was_moved_to(sources, relighter) -> None:
    relighter(RED)
    relight(sources)
    moved = shutil.copytree(sources.parent, sources.parent / "moved") / sources.name
    assert relight(moved)["kept"] == 3
    with pytest.raises(BadInput, match="other settings"):
        relight(moved, reference=str(sources / "a.jpg"))


def test_results_that_could_not_be_made_anew_do_not_pass_for_the_new_ones(sources, relighter) -> None:
    fake = relighter(RED)
    out, whole = sources.parent / "out", (sources / "b.png").read_bytes()
    relight(sources)
    # Nothing is lost while the new settings have made nothing.
    gain, fake.gain = fake.gain, torch.zeros(7)
    assert not relight(sources, strength=0.2, overwrite=True)["relit"] and (out / "b.png").is_file()
    fake.gain = gain
    (sources / "b.png").write_bytes(whole[:60])
    assert len(relight(sources, strength=0.2, overwrite=True)["relit"]) == 2
    assert not (out / "b.png").exists()
    (sources / "b.png").write_bytes(whole)
    result = relight(sources, strength=0.2)
    assert result["kept"] == 2 and [Path(entry["relit"]).name for entry in result["relit"]] == ["b.png"]
    # Of the same settings, what was made stays, and a reference among the results always does.
    (sources / "b.png").write_bytes(whole[:60])
    relight(sources, strength=0.2, overwrite=True)
    assert (out / "b.png").is_file()
    relight(sources, strength=0.3, overwrite=True, reference=str(out / "b.png"))
    assert (out / "b.png").is_file()


def test_a_cancelled_run_keeps_what_is_done(sources, relighter) -> None:
    fake = relighter(RED)

    class Stops(SilentReport):
        def check(self) -> None:
            if len(fake.asked) == 2:
                raise Cancelled

    with pytest.raises(Cancelled, match="run it again"):
        relight(sources, Stops())
    out = sources.parent / "out"
    assert {path.name for path in out.iterdir()} == {"a.png", "a_preview.png", "relight.json"}
    assert relight(sources)["kept"] == 1


def test_names_that_would_meet_stay_apart(sources, relighter) -> None:
    relighter(RED)
    for name in ("a.png", "b_preview.png"):
        Image.new("RGB", (40, 40), (90, 90, 90)).save(sources / name)
    names = {Path(entry["relit"]).name for entry in relight(sources)["relit"]}
    assert names == {"a.jpg.png", "a.png.png", "b.png", "b_preview.png.png", "c.exr"}
    with pytest.raises(BadInput, match="among the sources"):
        relight(sources, out=str(sources))


def test_the_command_line_tells_all_and_ends_with_two(sources, relighter, capsys, monkeypatch) -> None:
    relighter(RED)
    folder = sources.parent
    words = ["relight", str(sources), str(folder / "other.png"), "--out", str(folder / "out"), "--device", "cpu"]
    for flags, code in ((["--json"], 2), ([], 2)):
        monkeypatch.setattr(sys, "argv", ["limelight", *words, *flags])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert ended.value.code == code
        if flags:
            assert len(json.loads(out)["relit"]) == 3
        else:
            assert "0 new, 3 kept, 1 failed" in out and "broken.png" in err
    words[1] = str(sources / "a.jpg")
    for place in ("out", "new/take.2/"):
        words[4] = f"{folder}/{place}"
        monkeypatch.setattr(sys, "argv", ["limelight", *words, "--strength", "0.5"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0 and "a.png" in capsys.readouterr().out
    assert (folder / "new/take.2/a.png").is_file()


def test_the_answer_of_a_large_folder_can_be_sent(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, lost = {"relit": "a.png", "code": [0.123456789] * 48}, {"source": "b.png", "text": "It is no picture."}
    answer = {"version": 1, "relit": [entry] * 8000, "failed": [lost] * 3, "kept": 5}
    monkeypatch.setattr("limelight.backend.luminet.job.run_relight", lambda _job, _report: answer)
    folder = sources.parent
    params = {"source": str(sources), "reference": str(folder / "other.png"), "out": str(folder / "out")}
    report: Any = SilentReport()
    sent = kinds.kinds("cpu")["relight"](params, report)
    messages.encode(messages.Result("x", sent))
    assert sent == {**answer, "relit": []} and any("too many" in line for line in report.lines)


def test_light_ratios_that_are_asked_for_later_are_made(sources: Path, relighter) -> None:
    relighter(RED)
    assert relight(sources)["kept"] == 0
    later = relight(sources, ratio=str(sources.parent / "ratios"))
    assert [Path(entry["ratio"]).is_file() for entry in later["relit"]] == [True] * 3
    assert relight(sources, ratio=str(sources.parent / "ratios"))["kept"] == 3
