# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that artists give, in settings of a file and on the command line."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath

import bpy


def of_setting(text: str) -> Path:
    """A path that is kept in the file: // starts at the .blend, as all do that are no whole ones, and ~ is home."""
    if text.startswith("//") and os.name != "nt":
        # Files that were saved by Windows.
        text = text.replace("\\", "/")
    path = _at_home(text)
    return path if path.is_absolute() else Path(bpy.path.abspath("//")) / path


def of_argument(text: str) -> Path:
    """A whole path from one on the command line: // starts at the .blend, others where the process works."""
    return _at_home(text).resolve()


def _at_home(text: str) -> Path:
    # What begins with ~ and is nobody's home is a name like any other; pathlib would raise.
    return Path(os.path.expanduser(bpy.path.abspath(text)))


def is_foreign(text: str) -> bool:
    """Whether a path is one of Windows, and this computer none."""
    return os.name != "nt" and bool(PureWindowsPath(text).drive) and not text.startswith("//")
