# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests that run inside the bpy module."""

import os
import sys

import bpy

_status = 0


def pytest_sessionfinish(session, exitstatus):
    """Remember how the tests ended."""
    global _status
    _status = int(exitstatus)


def pytest_unconfigure(config):
    """Leave without Python's shutdown where that crashes.

    The bpy 4.2 module dies in the destructor of its space types after any property with an update callback was
    registered (three lines reproduce it; 5.0 and 5.2 are fine), which would turn passed tests into a failed run.
    """
    if bpy.app.version < (4, 3):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)
