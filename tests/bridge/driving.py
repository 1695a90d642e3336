# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a folder that an engine starts from, tick it, run its jobs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from limelight.bridge import Engine, Job

PACKAGE = Path(__file__).resolve().parents[2]


def make_root(folder: Path) -> Path:
    """A folder that an :class:`Engine` can be started from."""
    (folder / "bridge").mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("loop.py"), folder / "bridge" / "launch.py")
    (folder / "package").write_text(str(PACKAGE), encoding="utf-8")
    return folder


def until(engine: Engine, condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Tick the engine until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        engine.step()
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def run(engine: Engine, kind: str, **params: object) -> Job:
    """A job, run to its end."""
    return engine.wait(engine.submit(kind, params))
