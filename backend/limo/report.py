# SPDX-License-Identifier: GPL-3.0-or-later
"""How a running job speaks to whoever asked for it: the wire, a terminal or a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class Report(Protocol):
    """How a running job speaks to whoever asked for it."""

    def progress(self, fraction: float, stage: str) -> None:
        """Fraction done in [0, 1] and what is being done."""

    def preview(self, path: Path) -> None:
        """A picture worth showing now."""

    def log(self, text: str) -> None:
        """A line for the log."""

    def check(self) -> None:
        """Raise :class:`limelight.backend.errors.Cancelled` when the job is to stop."""


@dataclass
class SilentReport:
    """A report for scripts that only want the result."""

    lines: list[str] = field(default_factory=list)

    def progress(self, fraction: float, stage: str) -> None:
        """Ignored."""

    def preview(self, path: Path) -> None:
        """Ignored."""

    def log(self, text: str) -> None:
        """Kept in ``lines``."""
        self.lines.append(text)

    def check(self) -> None:
        """Never cancels."""


@dataclass(frozen=True)
class PartReport:
    """The report of one part of a longer job, which fills the fractions from ``start`` to ``start + share``."""

    whole: Report
    start: float
    share: float
    name: str

    def progress(self, fraction: float, stage: str) -> None:
        """Tell the whole's fraction, and which part it is."""
        self.whole.progress(self.start + self.share * fraction, f"{self.name}: {stage}")

    def preview(self, path: Path) -> None:
        """As the whole does."""
        self.whole.preview(path)

    def log(self, text: str) -> None:
        """As the whole does, with the part's name."""
        self.whole.log(f"{self.name}: {text}")

    def check(self) -> None:
        """As the whole does."""
        self.whole.check()
