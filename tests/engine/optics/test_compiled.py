# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled functions where there is no place for a cache."""

from __future__ import annotations

import numba
import pytest
from limelight.backend.compiled import njit


def test_a_function_is_compiled_where_its_machine_code_cannot_be_kept() -> None:
    names: dict = {}
    exec("def more(x):\n    return x + 1", names)  # of no file, so that there is no folder for a cache
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(cache=True)(names["more"])
    assert njit(nogil=True)(names["more"])(2) == 3
