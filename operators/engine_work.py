# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifying the engine as a piece of work that an operator ticks, and which Python its environment is made with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ..scene import paths

if TYPE_CHECKING:
    from ..preferences import LimelightPreferences

#: Whether Blender loads a file, which ends all operators; and their work that goes on after it, by operator.
_loading = False
_interrupted: dict[str, Any] = {}

NO_PYTHON = "No Python 3.11 or newer was found: install one from python.org, or choose its file"


def before_load() -> None:
    """From now on Blender loads a file."""
    global _loading
    _loading = True


def interrupt(operator: str, work: Any) -> bool:
    """Keep the work of an operator that Blender ends if that is for a file's sake; whether it is kept."""
    if _loading:
        _interrupted[operator] = work
    return _loading


def take(operator: str) -> Any:
    """The work that an operator goes on with, None if it begins anew."""
    return _interrupted.pop(operator, None)


def after_load() -> None:
    """Go on with what the file that is loaded now interrupted."""
    global _loading
    _loading = False
    if _interrupted:
        bpy.app.timers.register(_resume, first_interval=0.0, persistent=True)


def _resume() -> None:
    for name in list(_interrupted):
        group, operator = name.lower().split("_ot_")
        # A timer has no window.
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            getattr(getattr(bpy.ops, group), operator)("INVOKE_DEFAULT")


def forget() -> None:
    """End what was interrupted and did not go on yet."""
    while _interrupted:
        _interrupted.popitem()[1].cancel()


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

    Raises ``FileNotFoundError`` or ``ValueError`` with a sentence if none is found or the chosen one won't do.
    """
    from ..bridge import setup

    chosen = ""
    if stored is not None:
        chosen = stored.base_python if stored.base_python not in {"CHOOSE", ""} else stored.chosen_python
    if not chosen:
        found = setup.find_pythons()
        if not found:
            raise FileNotFoundError(NO_PYTHON)
        return found[0][0]
    python = paths.at_home(chosen)
    version = setup.ask_version(python)
    if version is None:
        raise ValueError(f"{python} is no Python that starts and can make environments: choose another")
    if not setup.suits(version):
        raise ValueError(f"{python} is Python {version}: choose one from 3.11 to 3.13")
    return python
