# SPDX-License-Identifier: GPL-3.0-or-later
"""A training by the clock: how many steps fit into a time, told again and again from their speed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

#: Saves in the whole time, the last at its end.
SAVES = 6
#: Steps between two looks at the clock, and looks over which the speed is measured.
_EVERY, _LOOKS = 20, 8


class Pace:
    """Made when the time begins, at ``step``; ``clock`` tells seconds."""

    def __init__(self, seconds: float, step: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._seconds, self._start = clock, seconds, clock()
        self._saved = 0
        self._looks: deque[tuple[int, float]] = deque([(step, self._start)], maxlen=_LOOKS)

    def steps(self, step: int, planned: int) -> int:
        """How many steps there are to be, after ``step`` of them; at first what was ``planned``."""
        now = self._clock()
        left = self._start + self._seconds - now
        if left <= 0:
            return step
        if step - self._looks[-1][0] >= _EVERY:
            self._looks.append((step, now))
            (before, then), (since, at) = self._looks[0], self._looks[-1]
            planned = step + round(left * (since - before) / (at - then))
        # Not over before the time is.
        return max(planned, step + 1)

    def save_due(self) -> bool:
        """Whether another part of the time has passed."""
        share = int((self._clock() - self._start) / self._seconds * SAVES)
        due = share > self._saved
        self._saved = max(self._saved, share)
        return due
