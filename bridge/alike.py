# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a result was made as it is asked for now: settings as JSON holds them."""

from __future__ import annotations

import math
import os
from typing import Any

from .messages import PATHS


def alike(one: Any, other: Any) -> bool:
    """Whether two values say the same: numbers as far as single precision, objects but for their nulls."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(alike(one.get(name), other.get(name)) for name in one.keys() | other.keys())
    if isinstance(one, list | tuple) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return one is not None and other is not None and math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-6)
    return bool(one == other)


def relocated(then: Any, now: dict[str, Any]) -> Any:
    """The settings ``then``, their files called as ``now`` where both lie alike as seen from the result, ``out``.

    So a folder of pictures and results may move, or be mounted elsewhere on another computer.
    """
    if not isinstance(then, dict):
        return then
    same = [name for name in PATHS if (seen := _seen(then, name)) is not None and seen == _seen(now, name)]
    return {**then, **{name: now[name] for name in same}, "out": now["out"]}


def _seen(settings: dict[str, Any], name: str) -> Any:
    """A file, or each of a list, by its way from the result; None if there is none."""

    def way(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [way(part) for part in value]
        return os.path.relpath(value, settings["out"]) if isinstance(value, str) else value

    try:
        return way(settings.get(name))
    except (KeyError, ValueError):
        return None  # of an earlier version, or on another drive
