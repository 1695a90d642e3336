# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine whose message loop is the real one and whose jobs are the tests' own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from limelight.bridge import Engine
from limelight.tests.bridge.driving import make_root


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A fresh engine in a folder with a space and an umlaut."""
    made = Engine(Path(sys.executable), make_root(tmp_path / "mit Lücke"), log_file=tmp_path / "log" / "engine.log")
    yield made
    made.stop()
