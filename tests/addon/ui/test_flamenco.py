# SPDX-License-Identifier: GPL-3.0-or-later
"""What Flamenco's job type has its workers run is what Blender's command line takes."""

import shutil

import pytest
from limelight.scene import command, shot_range
from limelight.tests.bridge.test_flamenco import arguments, compiled


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_command_line_takes_what_flamenco_gives_it():
    tasks = compiled(frames="1-100", light_chunk_size=40, engine="/opt/python", quality="draft", probe="Desk")["tasks"]
    light = [task for task in tasks if not task["name"].startswith("render")]
    given = [command.parser().parse_args(arguments(task)[2:]) for task in light]
    assert [option.command for option in given] == ["light"] * 4
    assert [n for option in given[:3] for n in shot_range.numbers(option.range)] == list(range(1, 101))
    assert [option.keep for option in given] == [True] * 3 + [False]
    assert [option.apply for option in given] == ["none"] * 3 + ["world"]
    assert given[3].save and {option.out for option in given} == {given[0].out}
    assert {(option.probe, option.quality, option.engine) for option in given} == {("Desk", "draft", "/opt/python")}
