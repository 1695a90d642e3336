# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifying the engine as a piece of work that an operator ticks, and which Python its environment is made with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..preferences import LimelightPreferences

NO_PYTHON = "No Python 3.11 or newer was found: install one from python.org, or choose its file"


class Doctor:
    """The engine checking itself; ``report`` holds what it found."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._job = engine.submit("doctor", {})

    def step(self) -> None:
        """Take what the engine answered; never blocks."""
        self._engine.step()

    def cancel(self) -> None:
        """Stop asking."""
        self._engine.cancel(self._job)

    @property
    def over(self) -> bool:
        """Whether the engine has answered or failed."""
        return self._job.over

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1."""
        return float(self._job.fraction)

    @property
    def stage(self) -> str:
        """What happens right now."""
        return self._job.stage or "Starting the engine"

    @property
    def error(self) -> str:
        """Why it failed and what helps; empty if it did not."""
        if self._job.state == "cancelled":
            return "Cancelled"
        if self._job.state != "failed":
            return ""
        error = self._job.error
        return f"{error.text.rstrip('.')}. {error.remedy}".strip() if error else "The engine ended: read its log"

    @property
    def report(self) -> dict[str, Any]:
        """What the engine found: versions, devices, models."""
        return self._job.result or {}


def verdict(report: dict[str, Any]) -> str:
    """What a doctor's report (``backend/doctor.py``) means, in a sentence; its problems if it has any."""
    if report.get("problems"):
        return " ".join(report["problems"])
    gpus = [d for d in report.get("devices", []) if str(d.get("id", "cpu")) != "cpu"]
    return f"The engine works; it can use the processor and {len(gpus)} GPU{'s' * (len(gpus) != 1)}"


def chosen_python(stored: LimelightPreferences | None) -> Path:
    """The Python that the environment is to be made with.

    Raises ``FileNotFoundError`` with an artist's sentence if none was chosen and none is found.
    """
    from ..bridge import setup

    if stored is not None and stored.base_python not in {"CHOOSE", ""}:
        return Path(stored.base_python)
    if stored is not None and stored.chosen_python:
        return Path(stored.chosen_python)
    found = setup.find_pythons()
    if not found:
        raise FileNotFoundError(NO_PYTHON)
    return found[0][0]
