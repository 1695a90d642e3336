# SPDX-License-Identifier: GPL-3.0-or-later
"""How commands end and speak in a terminal: progress on stderr, the answer on stdout, exit codes of the contract."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .devices import check_device
from .errors import BadInput, Cancelled, LimelightError, fail
from .serve import explain


class TerminalReport:
    """A job's report as a progress bar on stderr."""

    def __init__(self) -> None:
        # Names of files may look like markup.
        stage = TextColumn("{task.description}", markup=False)
        columns = (stage, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True, markup=False, emoji=False), transient=True)
        self._task = self._bar.add_task("Starting", total=1.0)

    def __enter__(self) -> TerminalReport:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def progress(self, fraction: float, stage: str) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=fraction, description=stage)

    def preview(self, path: Path) -> None:
        """A terminal shows no pictures."""

    def log(self, text: str) -> None:
        """A line above the bar."""
        self._bar.console.print(text, soft_wrap=True)

    def check(self) -> None:
        """Ctrl-C raises by itself."""


def run(
    command: Callable[[TerminalReport], dict[str, Any]],
    as_json: bool,
    show: Callable[[dict[str, Any]], None],
    device: str = "auto",
) -> dict[str, Any]:
    """Run a command, print and return its answer, or leave with the contract's exit code.

    2 is bad input, a ``device`` that is not here included; 3 a missing part, 130 cancelled, 143 ended by SIGTERM, 1
    anything else.
    """
    try:
        _check_place()
        check_device(device)
        # Libraries print, too; what they say is not the answer.
        with redirect_stdout(sys.stderr), TerminalReport() as report:
            answer = command(report)
    except KeyboardInterrupt:
        fail(Cancelled(), as_json)
    except LimelightError as error:
        fail(error, as_json)
    except Exception as error:
        told = explain("", error, terse=True)
        kind = LimelightError if told.code == "failed" else BadInput
        fail(kind(told.text, told.remedy, told.code), as_json)
    if as_json:
        print(json.dumps(answer))
    else:
        show(answer)
    return answer


def _check_place() -> None:
    """Refuse to work in a folder that was deleted: a library that everything computes with ends the process there."""
    try:
        os.getcwd()
    except OSError as error:
        raise BadInput("The folder that this command was started in is gone.", "Change to another one.") from error
