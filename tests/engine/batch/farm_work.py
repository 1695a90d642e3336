# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests let a cluster's workers do; a worker finds it by its module's name."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

from limelight.backend.errors import BadInput


@functools.cache
def _model() -> list[int]:
    """Stands for a model: loaded once a process, by the process that this names."""
    return [os.getpid()]


def ask(number: int, pause: float = 0.2) -> tuple[int, int, str]:
    """The number, who loaded the model, and the GPUs that the worker sees."""
    time.sleep(pause)
    return number, _model()[0], os.environ.get("CUDA_VISIBLE_DEVICES", "")


def square(number: int, log: Path, slow: bool = False) -> int:
    """A square; each attempt leaves a line in the log."""
    with log.open("a") as file:
        file.write(f"{number} {os.getpid()}\n")
    if slow:
        time.sleep(1)
    if number < 0:
        raise BadInput("The number is negative.", "Give another.")
    return number**2
