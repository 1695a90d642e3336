# SPDX-License-Identifier: GPL-3.0-or-later
"""Flamenco's job type, compiled by node before a stand-in of its Manager: parts of light, the lit file, renders."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "bridge" / "flamenco" / "limelight_light.js"
MANAGER = Path(__file__).with_name("flamenco_manager.js")
GIVEN = {
    "frames": "1-100",
    "blendfile": "/share/shots/alley.flamenco.blend",
    "format": "OPEN_EXR",
    "render_output_root": "/share/out",
    "render_output_path": "/share/out/shot/{timestamp}/######",
}
FOLDER = "/share/out/shot/2026-01-02_030405"
pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def compiled(**changed: Any) -> dict[str, Any]:
    """What the Manager gets; fails with its words if the script does what it does not allow."""
    line = ["node", str(MANAGER), str(SCRIPT), json.dumps({**GIVEN, **changed})]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def arguments(task: dict[str, Any]) -> list[str]:
    (command,) = task["commands"]
    assert command["name"] == "blender-render" and command["parameters"]["exe"] == "{blender}"
    return list(command["parameters"]["args"])


def option(task: dict[str, Any], name: str) -> str:
    line = arguments(task)
    return line[line.index(name) + 1]


def covered(ranges: list[str]) -> list[int]:
    return [n for text in ranges for n in range(int(text.split("-")[0]), int(text.split("-")[1]) + 1)]


def test_light_is_estimated_in_parts_then_applied_then_rendered() -> None:
    tasks = compiled(light_chunk_size=48, chunk_size=40)["tasks"]
    assert [task["name"] for task in tasks] == [
        *("light-1-48", "light-49-96", "light-97-100", "apply-light", "render-1-40", "render-41-80", "render-81-100")
    ]
    light, applied, renders = tasks[:3], tasks[3], tasks[4:]
    assert covered([option(task, "--range") for task in light]) == list(range(1, 101))
    assert applied["dependencies"] == [task["name"] for task in light] and not light[0]["dependencies"]
    assert all(task["dependencies"] == ["apply-light"] for task in renders)
    assert {option(task, "--out") for task in [*light, applied]} == {f"{FOLDER}/light"}
    assert {option(task, "--apply") for task in light} == {"none"} and option(applied, "--apply") == "world"
    assert option(applied, "--range") == "1-100"
    assert all("--keep" in arguments(task) for task in light) and "--keep" not in arguments(applied)
    lit = option(applied, "--save")
    assert lit == f"{FOLDER}/alley.lit.blend"
    assert {task["commands"][0]["parameters"]["blendfile"] for task in renders} == {lit}
    assert {task["commands"][0]["parameters"]["blendfile"] for task in light} == {GIVEN["blendfile"]}
    assert [option(task, "--render-frame") for task in renders] == ["1..40", "41..80", "81..100"]
    assert {option(task, "--render-output") for task in renders} == {f"{FOLDER}/######"}


def test_frames_with_gaps_are_lit_without() -> None:
    tasks = compiled(frames="3, 5-7, 12", light_chunk_size=4, chunk_size=3)["tasks"]
    light = [option(task, "--range") for task in tasks if task["name"].startswith("light")]
    assert covered(light) == list(range(3, 13))
    rendered = [option(task, "--render-frame") for task in tasks if task["name"].startswith("render")]
    assert rendered == ["3,5,6", "7,12"]
    single = compiled(frames="47")["tasks"]
    assert [option(task, "--range") for task in single[:2]] == ["47-47", "47-47"]
    # Two frames in a row are written with a comma by the Manager.
    assert option(compiled(frames="8-9")["tasks"][0], "--range") == "8-9"


def test_choices_reach_blender_and_the_command_takes_them() -> None:
    told = compiled(quality="draft", apply="domes", probe="Desk lamp", engine="{engine}")
    line = arguments(told["tasks"][0])
    assert line[:2] == ["--command", "limelight"], "what follows is ours"
    assert option(told["tasks"][0], "--probe") == "Desk lamp" and option(told["tasks"][0], "--engine") == "{engine}"
    assert option(told["tasks"][0], "--quality") == "draft" and option(told["tasks"][2], "--apply") == "domes"
    assert "--engine" not in arguments(compiled()["tasks"][0])
    assert told["settings"]["render_output_path"] == f"{FOLDER}/######"


def test_without_renders_the_job_ends_at_the_lit_file() -> None:
    assert [task["name"] for task in compiled(render=False, format="FFMPEG")["tasks"]][-1] == "apply-light"


@pytest.mark.parametrize(("changed", "text"), [({"format": "FFMPEG"}, "FFMPEG"), ({"frames": "all"}, "no frames")])
def test_what_cannot_be_done_is_told(changed: dict[str, str], text: str) -> None:
    assert text in compiled(**changed)["refused"]
