# SPDX-License-Identifier: GPL-3.0-or-later
"""How a process with Blender as a module ends."""

from __future__ import annotations

import os
import stat
import sys
import threading


def leave() -> None:
    """End the process now that everything is written: the module of Blender 4.2 may crash as it unloads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def leave_with_owner() -> None:
    """From now on end as soon as the process is gone that holds the other end of stdin, if that is a pipe.

    However that one ended, no Blender goes on for hours that nobody waits for.
    """
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)
