# SPDX-License-Identifier: GPL-3.0-or-later
"""Hidden folders to work in until a result is whole: gone at every end, and after a kill by who works there next."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..bridge.holding import hold

#: The file in it that stays locked while its process lives.
LOCK = ".lock"
#: A folder without that file may be one that another process makes at this moment, if it is younger than this.
_NEW_SECONDS = 60.0


@contextmanager
def workplace(folder: Path, prefix: str) -> Iterator[Path]:
    """A new folder in ``folder`` whose name begins with ``prefix``; those of that prefix that nobody uses go first.

    Raises ``OSError`` if it cannot be made.
    """
    sweep(folder, prefix)
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    held = None
    try:
        held = hold(work / LOCK)
        yield work
    finally:
        if held is not None:
            held.close()
        shutil.rmtree(work, ignore_errors=True)


def sweep(folder: Path, prefix: str) -> None:
    """Remove the workplaces of a prefix that no living process works in; one that cannot be removed is left."""
    for work in folder.glob(f"{prefix}*/"):
        with suppress(OSError):
            if (work / LOCK).is_file():
                held = hold(work / LOCK)
                if held is None:
                    continue
                held.close()
            elif time.time() - work.stat().st_mtime < _NEW_SECONDS:
                continue
            shutil.rmtree(work)
