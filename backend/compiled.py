# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions compiled by Numba, with its cache on disk where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.njit`` with a cache; an installation and a home that are both read-only make do without: each process
    compiles anew, unless NUMBA_CACHE_DIR names a folder."""

    def compile_function(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except (RuntimeError, OSError):
            return numba.njit(**options)(function)

    return compile_function
