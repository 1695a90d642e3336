# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, as sentences: each error says what was got and expected, and what to do about it."""

from __future__ import annotations

import json
import sys
from typing import NoReturn


class LimelightError(Exception):
    """An error an artist can read. ``text`` is one sentence, ``remedy`` says what to do, ``code`` is for programs."""

    exit_code = 1

    def __init__(self, text: str, remedy: str = "", code: str = "failed") -> None:
        super().__init__(f"{text} {remedy}".strip())
        self.text = text
        self.remedy = remedy
        self.code = code


class BadInput(LimelightError):
    """The input cannot be used: a missing or broken file, a point outside the picture, a value out of range."""

    exit_code = 2

    def __init__(self, text: str, remedy: str = "", code: str = "bad_input") -> None:
        super().__init__(text, remedy, code)


class MissingPart(LimelightError):
    """A model or a part of the engine is not installed."""

    exit_code = 3

    def __init__(self, text: str, remedy: str = "", code: str = "missing_part") -> None:
        super().__init__(text, remedy, code)


def of_code(code: str, text: str, remedy: str = "") -> LimelightError:
    """An error again that reached this process as texts."""
    kinds = {"bad_input": BadInput, "missing_part": MissingPart, "cancelled": Cancelled}
    return kinds.get(code, LimelightError)(text, remedy, code)


class Cancelled(LimelightError):
    """The artist or the caller asked to stop."""

    exit_code = 130

    def __init__(self, text: str = "Cancelled.", remedy: str = "", code: str = "cancelled") -> None:
        super().__init__(text, remedy, code)


def fail(error: LimelightError, as_json: bool) -> NoReturn:
    """Say in one line what went wrong, and leave."""
    if as_json:
        print(json.dumps({"error": {"code": error.code, "text": error.text, "remedy": error.remedy}}))
    print(f"{error.text} {error.remedy}".strip(), file=sys.stderr)
    raise SystemExit(error.exit_code)
