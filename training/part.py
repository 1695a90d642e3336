# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``--part K/N`` of programs that are started N times over, each for its part of the work."""

from __future__ import annotations

from argparse import ArgumentTypeError


def part(text: str) -> slice:
    """Every N-th of a list, from the K-th on, counted from 1; to be an argparse ``type``."""
    which, _, parts = text.partition("/")
    if not (which.isdecimal() and parts.isdecimal() and 1 <= int(which) <= int(parts)):
        raise ArgumentTypeError(f"'{text}' is no part; write K/N with K from 1 to N, such as 1/8")
    return slice(int(which) - 1, None, int(parts))
