# SPDX-License-Identifier: GPL-3.0-or-later
"""What folders, patterns and files beside them become as jobs; the list from the command line; its report."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from limelight.backend import cli
from limelight.backend.batch.commands import chosen, tell
from limelight.backend.batch.light_jobs import find_sources
from limelight.backend.batch.report import COLUMNS, write_report
from limelight.backend.batch.seats import spread
from limelight.backend.errors import BadInput
from limelight.backend.limo.frames import find_frames
from limelight.backend.limo.job import FREE, LightJob, settings_of
from limelight.bridge.batch import USUAL, Batch, is_there
from limelight.bridge.joblist import JobList
from limelight.tests.engine.limo.test_sequence import shoot
from typer.testing import CliRunner


def names(*pictures: Path, **how: Any) -> dict[str, str | None]:
    return {source.id: source.span for source in find_sources(pictures, **how)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos, one of the same name in another format, a folder within, a text, a hidden file."""
    folder = shoot(tmp_path / "photos", [1, 2], "photo_{}.png")
    (folder / "photo_2.jpg").write_bytes((folder / "photo_2.png").read_bytes())
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_text("hidden")
    shoot(folder / "more", [1], "photo_{}.png")
    return folder


def test_a_folder_is_its_pictures_and_a_sequence_is_one_job_or_its_parts(photos: Path, tmp_path: Path) -> None:
    shots = shoot(tmp_path / "shots", [1, 2, 3, 4, 5])
    assert list(names(photos)) == ["photo_1", "photo_2_jpg", "photo_2_png"]
    assert list(names(photos, deep=True)) == ["photo_1", "photo_2_jpg", "photo_2_png", "more/photo_1"]
    pattern = shots / "shot_####.png"
    assert names(pattern) == {"shot": None}
    assert names(pattern, span="2-4") == {"shot": "2-4"}
    assert names(pattern, chunk=2) == {"shot@1-2": "1-2", "shot@3-4": "3-4", "shot@5-5": "5-5"}
    assert names(pattern, span="1-5x2", chunk=2) == {"shot@1-3x2": "1-3x2", "shot@5-5x2": "5-5x2"}
    assert names(shots, sequences=True) == {"shots": None}
    (tmp_path / "clip.mov").touch()
    assert names(tmp_path / "clip.mov", pattern, span="2-4", chunk=2) == {
        "clip": "2-4", "shot@2-3": "2-3", "shot@4-4": "4-4"}  # fmt: skip
    assert list(names(photos / "photo_1.png", photos / "more")) == ["photo_1_png", "photo_1_png~2"]


def add(listed: Path, *line: object) -> Any:
    done = CliRunner().invoke(cli.app, ["batch", "add", str(listed), *map(str, line), "--json"])
    return json.loads(done.stdout.splitlines()[-1]) if done.exit_code == 0 else done.exception


def test_names_that_differ_by_case_alone_have_folders_of_their_own_on_any_disk(tmp_path: Path) -> None:
    for name in ("Street.jpg", "street.png"):
        (tmp_path / name).touch()
    assert [source.folder for source in find_sources([tmp_path])] == ["Street_jpg", "street_png"]


def test_files_beside_the_pictures_are_theirs(photos: Path, tmp_path: Path) -> None:
    for folder in ("cameras", "depth"):
        (tmp_path / folder).mkdir()
    for name, fov in (("photo_1", 40), ("photo_2_jpg", 50), ("photo_2_png", 60)):
        (tmp_path / "cameras" / f"{name}.json").write_text(json.dumps({"fov_x_deg": fov}))
        (tmp_path / "depth" / f"{name}.exr").write_bytes(b"depth")
    points = {"photo_1.png": [{"u": 0.1, "v": 0.2, "name": "desk"}, {"u": 0.3, "v": 0.4}]}
    (tmp_path / "points.json").write_text(json.dumps(points))
    listed = tmp_path / "all.jobs"
    given = ["--out", tmp_path / "light", "--probe", "0.5,0.6", "--probes", tmp_path / "points.json",
             "--camera", tmp_path / "cameras", "--depth", tmp_path / "depth"]  # fmt: skip
    assert add(listed, photos, *given) == {"list": str(listed), "added": 3, "jobs": 3}
    assert add(listed, photos, *given)["added"] == 0, "a second time adds nothing"
    entries = JobList(listed).entries
    assert [entries[name].params["camera"]["fov_x_deg"] for name in entries] == [40, 50, 60]
    assert entries["photo_1"].params["depth"] == "depth/photo_1.exr"
    assert [probe["name"] for probe in entries["photo_1"].params["probes"]] == ["desk", "probe_1"]
    assert entries["photo_2_png"].params["probes"] == [{"name": "probe_0", "u": 0.5, "v": 0.6}]
    assert entries["photo_2_png"].params["out"] == "light/photo_2_png"


def test_a_take_and_no_front_are_asked_for_where_they_are_wanted(photos: Path, tmp_path: Path) -> None:
    given = [photos / "photo_1.png", "--probe", "0.5,0.6", "--out", tmp_path / "light"]
    add(tmp_path / "usual.jobs", *given)
    add(tmp_path / "other.jobs", *given, "--take", 2, "--no-front")
    usual, other = (JobList(tmp_path / f"{name}.jobs").entries["photo_1"].params for name in ("usual", "other"))
    assert "take" not in usual and "front" not in usual
    assert (other["take"], other["front"]) == (2, False)


def test_a_camera_file_with_frames_is_a_track(photos: Path, tmp_path: Path) -> None:
    shots, track = shoot(tmp_path / "shots", [1, 2]), tmp_path / "track.json"
    entry = {"camera": {"fov_x_deg": 50}, "probes": {"Table": {"u": 0.5, "v": 0.6}}}
    track.write_text(json.dumps({"version": 1, "frames": {"1": entry, "2": entry}}))
    listed = tmp_path / "all.jobs"
    assert add(listed, shots / "shot_####.png", "--out", tmp_path / "light", "--camera", track)["added"] == 1
    params = JobList(listed).entries["shot"].params
    assert params["track"] == ["track.json"] and "camera" not in params and params["probes"] == []
    refused = add(listed, photos, "--out", tmp_path / "light", "--camera", track, "--probe", "0.5,0.6")
    assert isinstance(refused, SystemExit) and len(JobList(listed).entries) == 1


def test_a_sequence_in_parts_is_gathered_after_them(tmp_path: Path) -> None:
    shots = shoot(tmp_path / "shots", [1, 2, 3])
    listed = tmp_path / "all.jobs"
    told = add(listed, shots / "shot_####.png", "--out", tmp_path / "light", "--probe", "0.5,0.6", "--chunk", 2)
    assert told["added"] == 3
    entries = JobList(listed).entries
    assert entries["shot"].after == ["shot@1-2", "shot@3-3"] and "range" not in entries["shot"].params
    assert {entry.params["out"] for entry in entries.values()} == {"light/shot"}
    assert [entries[part].params["first"] for part in entries["shot"].after] == [1, 1]


def test_sequences_of_one_name_are_cut_and_gathered_apart(tmp_path: Path) -> None:
    shots = [shoot(tmp_path / name, [1, 2, 3]) / "shot_####.png" for name in ("one", "two")]
    given = ["--out", tmp_path / "light", "--probe", "0.5,0.6", "--chunk", 2]
    assert add(tmp_path / "all.jobs", *shots, *given)["added"] == 6
    entries = JobList(tmp_path / "all.jobs").entries
    whole = {name: entry.after for name, entry in entries.items() if entry.after}
    assert whole == {
        "shot_png": ["shot_png@1-2", "shot_png@3-3"],
        "shot_png~2": ["shot_png~2@1-2", "shot_png~2@3-3"],
    }
    places = {entry.params["images"][0]: entry.params["out"] for entry in entries.values()}
    assert places == {"one/shot_####.png": "light/shot_png", "two/shot_####.png": "light/shot_png~2"}


def test_pictures_in_a_folder_that_are_passed_over_are_told(photos: Path, tmp_path: Path) -> None:
    for name in ("IMG_7.HEIC", "photo_1.nef", "more/walk.mov"):
        (photos / name).touch()
    told: list[str] = []
    found = find_sources([photos], deep=True, tell=told.append)
    assert len(found) == 4 and [note.split("; ")[0] for note in told] == [
        f"{photos}: IMG_7.HEIC passed over",
        f"{photos / 'more'}: walk.mov passed over",
    ]
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "a.heic").touch()
    for search in (find_sources, find_frames):
        with pytest.raises(BadInput) as refused:
            search([tmp_path / "phone"])
        assert "a.heic" in refused.value.remedy


BAD = {
    "no picture": lambda f: [f / "none", "--probe", "0.5,0.6"],
    "missing picture's probe": lambda f: [f / "photos"],
    "a folder without pictures": lambda f: [f, "--probe", "0.5,0.6"],
    "a probe of words": lambda f: [f / "photos", "--probe", "left"],
    "unknown quality": lambda f: [f / "photos", "--probe", "0.5,0.6", "--quality", "best"],
    "no camera for one": lambda f: [f / "photos", "--probe", "0.5,0.6", "--camera", f],
    "probes that are not there": lambda f: [f / "photos", "--probes", f / "none.json"],
    "probes that are no lists": lambda f: [f / "photos", "--probes", f / "bad.json"],
    "probes that are no objects": lambda f: [f / "photos", "--probes", f / "words.json"],
    "no list": lambda f: [f / "photos", "--probe", "0.5,0.6", "LIST", f / "bad.json"],
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_added_is_told_and_adds_nothing(name: str, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"photo_1": 3}')
    (tmp_path / "words.json").write_text('{"photo_1": ["middle"]}')
    line = BAD[name](tmp_path)
    listed = line.pop() if "LIST" in line else tmp_path / "all.jobs"
    line = [part for part in line if part != "LIST"]
    before = sorted(tmp_path.iterdir())
    done = CliRunner().invoke(cli.app, ["batch", "add", str(listed), *map(str, line), "--out", str(tmp_path / "o")])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert sorted(tmp_path.iterdir()) == before


def test_jobs_are_chosen_by_number_and_name(tmp_path: Path) -> None:
    made = JobList.make(tmp_path / "x.jobs")
    for name in ("a", "b", "shot@1-2", "c"):
        made.add("light", {}, name)
    assert chosen(made, None) is None
    assert chosen(made, "2-3") == ["b", "shot@1-2"] and chosen(made, "4") == ["c"] and chosen(made, "4-9") == ["c"]
    assert chosen(made, "shot*") == ["shot@1-2"]
    with pytest.raises(BadInput, match="'7'"):
        chosen(made, "7")


def test_a_report_has_a_line_a_job(tmp_path: Path) -> None:
    made = JobList.make(tmp_path / "x.jobs")
    made.add("light", {"images": [str(tmp_path / "ä, b.png")], "out": str(tmp_path / "o")}, "a")
    made.add("light", {"images": ["/x.png"]}, "b")
    with made.writer() as writer:
        told = {"mean_radiance": [1.0, 2.0, 3.0], "lamps": 2, "probes": 1, "warnings": ["One.", "Two."]}
        writer.tell("a", state="done", attempts=1, seconds=4.0, summary=told)
        writer.tell("b", state="failed", attempts=2, code="died", text="It ended.", remedy="Again.")
    write_report(made, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == list(COLUMNS)
    assert lines[0]["image"] == str(tmp_path / "ä, b.png") and lines[0]["radiance_g"] == "2.0"
    assert lines[0]["warnings"] == "One. Two." and lines[1]["state"] == "failed" and lines[1]["radiance_g"] == ""
    write_report(made, tmp_path / "r.json")
    told = json.loads((tmp_path / "r.json").read_text())
    assert told["counts"]["done"] == 1 and told["failed"][0]["text"] == "It ended." and len(told["rows"]) == 2
    with pytest.raises(BadInput, match="report"):
        write_report(made, tmp_path / "r.xls")


def test_no_name_is_a_formula_to_a_spreadsheet(tmp_path: Path) -> None:
    made = JobList.make(tmp_path / "x.jobs")
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "a=1"]
    for name in names:
        made.add("light", {"images": ["/x.png"]}, name)
    with made.writer() as writer:
        writer.tell("a=1", state="done", summary={"brightness_stops": -0.5})
    write_report(made, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines] == [*(f"'{name}" for name in names[:-1]), "a=1"]
    assert lines[-1]["brightness_stops"] == "-0.5"
    write_report(made, tmp_path / "r.json")
    assert [row["id"] for row in json.loads((tmp_path / "r.json").read_text())["rows"]] == names


def test_a_result_is_taken_for_what_it_was_asked_for_alone(photos: Path, tmp_path: Path) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(LightJob) if field.name not in FREE}
    assert {**defaults, "depth": None} == {**USUAL, "probes": dataclasses.MISSING}
    picture, out = next(path for path in photos.rglob("*.png")), tmp_path / "light"
    matrix = [[1, 0, 0, 0.1], [0, 1, 0, 0.2], [0, 0, 1, 0.3], [0, 0, 0, 1]]
    asked = {"images": [str(picture)], "out": str(out), "probes": [{"u": 0.3, "v": 0.6, "depth": 2}], "radius": 0.1,
             "depth": str(tmp_path / "depth.exr"), "camera": {"fov_x_deg": 50}, "camera_to_world": matrix}  # fmt: skip
    out.mkdir()
    result = {"settings": settings_of(LightJob.from_params(asked)), "probes": []}
    (out / "result.json").write_text(json.dumps(result))
    assert is_there("light", asked) and is_there("light", {**asked, "quality": "normal", "fov_deg": None})
    moved = shutil.copytree(tmp_path, tmp_path / "moved")
    there = {name: str(moved / Path(asked[name]).name) for name in ("out", "depth")}
    assert is_there("light", {**asked, **there, "images": [str(moved / picture.relative_to(tmp_path))]})
    for name in ("depth", "radius", "camera", "camera_to_world"):
        assert not is_there("light", {key: value for key, value in asked.items() if key != name}), name


def test_a_list_is_run_and_shown(tmp_path: Path) -> None:
    made = JobList.make(tmp_path / "x.jobs")
    made.add("models", {}, "good")
    made.add("levitate", {}, "bad")
    done = CliRunner().invoke(cli.app, ["batch", "run", str(made.path), "--json", "--report", str(tmp_path / "r.csv")])
    assert done.exit_code == 2
    told = json.loads(done.stdout.splitlines()[0])
    assert told["counts"]["done"] == told["counts"]["failed"] == 1 and told["failed"][0]["id"] == "bad"
    assert (tmp_path / "r.csv").is_file()
    shown = CliRunner().invoke(cli.app, ["batch", "show", str(made.path), "--json"])
    assert json.loads(shown.stdout.splitlines()[0])["counts"] == told["counts"]
    again = CliRunner().invoke(cli.app, ["batch", "run", str(made.path), "--again", "failed", "--only", "b*", "--json"])
    assert again.exit_code == 2
    assert JobList(made.path).entries["bad"].attempts == 2 and JobList(made.path).entries["good"].attempts == 1
    wrong = CliRunner().invoke(cli.app, ["batch", "run", str(made.path), "--again", "queued"])
    assert wrong.exit_code == 2
    # Of a part, what failed elsewhere in the list is no failure.
    part = CliRunner().invoke(cli.app, ["batch", "run", str(made.path), "--only", "good", "--json"])
    assert part.exit_code == 0 and json.loads(part.stdout.splitlines()[0])["failed"] == []


def test_the_bar_of_a_part_shows_how_far_the_part_is(tmp_path: Path) -> None:
    made = JobList.make(tmp_path / "x.jobs")
    for name in ("a", "b", "c", "d"):
        made.add("models", {}, name)
    with made.writer() as writer:
        writer.tell("a", state="failed")
        writer.tell("c", state="done")
    told = []
    tell(SimpleNamespace(progress=lambda *seen: told.append(seen)), Batch(made, [], only=["c", "d"]))
    assert told == [(0.5, "1 of 2 jobs")]


def test_a_part_that_waits_for_the_rest_says_so(tmp_path: Path) -> None:
    made = JobList.make(tmp_path / "x.jobs")
    for name, after in (("one", []), ("two", []), ("joined", ["one", "two"])):
        made.add("models", {}, name, after=after)
    line = ["batch", "run", str(made.path), "--only"]
    alone = CliRunner().invoke(cli.app, [*line, "joined"])
    assert alone.exit_code == 0 and "joined: It still waits for 'one' and 1 other." in alone.stderr
    with made.writer() as writer:
        writer.tell("one", state="done")
    told = json.loads(CliRunner().invoke(cli.app, [*line, "joined", "--json"]).stdout.splitlines()[0])
    assert told["waiting"] == [{"id": "joined", "after": ["two"]}] and not told["failed"]
    done = CliRunner().invoke(cli.app, [*line, "2-3", "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout.splitlines()[0])["waiting"] == []


def test_a_report_of_another_kind_is_refused_before_the_list_is_worked_off(tmp_path: Path) -> None:
    made = JobList.make(tmp_path / "x.jobs")
    made.add("models", {}, "good")
    refused = CliRunner().invoke(cli.app, ["batch", "run", str(made.path), "--report", str(tmp_path / "r.txt")])
    assert refused.exit_code == 2
    assert JobList(made.path).entries["good"].state == "queued"


def test_engines_without_a_gpu_share_the_processor() -> None:
    assert spread(3, "cpu") == ["cpu"] * 3 and spread(2, "cuda:1") == ["cuda:1"] * 2
