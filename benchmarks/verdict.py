# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a floor holds that a method was built for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """One floor, what was measured, and whether it holds."""

    floor: str
    measured: str
    passed: bool

    def __str__(self) -> str:
        return f"{'PASS' if self.passed else 'FAIL'}: {self.floor}: {self.measured}"
