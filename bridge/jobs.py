# SPDX-License-Identifier: GPL-3.0-or-later
"""A job as its owner sees it: state, progress, previews, and how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from . import messages

OVER = ("done", "failed", "cancelled")


@dataclass
class Job:
    """``state`` is queued, running, done, failed or cancelled; ``eta`` in seconds, None while unknown."""

    id: str
    kind: str
    params: dict[str, Any]
    state: str = "queued"
    fraction: float = 0.0
    stage: str = ""
    eta: float | None = None
    previews: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    result: dict[str, Any] | None = None
    error: messages.Error | None = None
    started: float = field(default_factory=time.monotonic)
    _told: float = field(default_factory=time.monotonic, repr=False)

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in OVER

    def take(self, message: messages.Message) -> None:
        """Follow one answer of the engine; answers after the end are ignored."""
        if self.over:
            return
        if isinstance(message, messages.Progress):
            self.state, self.fraction, self.stage = "running", message.fraction, message.stage
            self.eta = self._smooth(message.eta)
        elif isinstance(message, messages.Preview):
            self.previews.append(message.path)
        elif isinstance(message, messages.Log):
            self.log.append(message.text)
        elif isinstance(message, messages.Result):
            self.state, self.fraction, self.result, self.eta = "done", 1.0, message.data, 0.0
        elif isinstance(message, messages.Error):
            self.state = "cancelled" if message.code == "cancelled" else "failed"
            self.error, self.eta = message, None

    def _smooth(self, eta: float | None) -> float | None:
        """Count the last estimate down and lean towards the new one, so that the time left does not jump."""
        now = time.monotonic()
        elapsed, self._told = now - self._told, now
        if eta is None or self.eta is None:
            return eta
        return max(0.0, 0.7 * (self.eta - elapsed) + 0.3 * eta)
