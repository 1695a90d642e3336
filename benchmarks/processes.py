# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes cost that this one started: memory and processor time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psutil


class ProcessWatch:
    """While entered: the largest sum of resident memory of all children and theirs, in bytes, as ``peak``."""

    def __init__(self, interval: float = 0.05) -> None:
        self.peak = 0
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def cpu(self) -> float:
        """Seconds of processor time of those that run now, all cores together."""
        return sum(sum(process.cpu_times()[:2]) for process in _children())

    def _watch(self) -> None:
        while not self._over.wait(self._interval):
            total = 0
            for process in _children():
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
            self.peak = max(self.peak, total)


def _children() -> Iterator[psutil.Process]:
    yield from psutil.Process().children(recursive=True)
