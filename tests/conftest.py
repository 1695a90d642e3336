# SPDX-License-Identifier: GPL-3.0-or-later
"""Make ``import limelight`` work from a clone of any name, in every environment."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_launch = importlib.util.spec_from_file_location(
    "limelight_launch", Path(__file__).resolve().parent.parent / "bridge" / "launch.py"
)
assert _launch is not None and _launch.loader is not None
_module = importlib.util.module_from_spec(_launch)
_launch.loader.exec_module(_module)
_module.bind_package()
