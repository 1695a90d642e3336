# SPDX-License-Identifier: GPL-3.0-or-later
"""How long Blender takes to enable an add-on from a folder, beside one that does nothing.

``bridge/launch.py synthesis.blender.enabling FOLDER NAME EMPTY EMPTY_AGAIN``, modules in FOLDER, in a Python that has bpy.
"""

from __future__ import annotations

import json
import os
import sys
import time

import bpy  # noqa: F401  (brings Blender up and its script folders onto the path)


def enable(name: str) -> float:
    """Seconds until the add-on is enabled; raises ``RuntimeError`` if it cannot be."""
    import addon_utils

    start = time.perf_counter()
    module = addon_utils.enable(name, default_set=True)
    seconds = time.perf_counter() - start
    if module is None:
        raise RuntimeError(f"{name} could not be enabled")
    return seconds


def main(folder: str, name: str, empty: str, again: str) -> None:
    """Print a JSON object: seconds for the add-on and for the second empty one; the first pays for Blender's own."""
    sys.path.insert(0, folder)
    enable(empty)
    print(json.dumps({"empty": enable(again), "addon": enable(name)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:5])
    # The module of Blender 4.2 may crash on exit after an add-on with update callbacks was registered.
    os._exit(0)
