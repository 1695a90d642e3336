# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test of the engine starts from."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def precision_of_its_own() -> Iterator[None]:
    """Accelerate keeps the first training's precision for the whole process: another test may want another."""
    yield
    if (state := sys.modules.get("accelerate.state")) is not None:
        state.AcceleratorState._reset_state(reset_partial_state=True)
