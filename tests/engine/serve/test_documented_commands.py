# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command line that the guides show is one that the command line understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from limelight.backend import cli

ROOT = Path(__file__).resolve().parents[3]
_PREFIX = re.compile(r"(?:limelight|python3 run\.py limelight|python bridge/launch\.py backend) (.+)")
LINES = [
    found[1]
    for guide in ("README.md", "docs/artists.md", "docs/scripting.md")
    for line in (ROOT / guide).read_text(encoding="utf-8").splitlines()
    if (found := _PREFIX.fullmatch(line.split(" #")[0].strip()))
]


@pytest.mark.parametrize("line", LINES)
def test_a_documented_line_is_understood(line: str) -> None:
    command, words = typer.main.get_command(cli.app), shlex.split(line)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context(line, words)
    assert not context.args


def test_the_guides_show_commands() -> None:
    assert len(LINES) > 15
