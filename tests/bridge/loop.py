# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's real message loop with jobs of its own; tests copy it to ``ROOT/bridge/launch.py`` of a folder.

``ROOT/package`` names the package's folder. It needs no library beyond Python's own.
"""

import importlib.util
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path((ROOT / "package").read_text(encoding="utf-8"))
_spec = importlib.util.spec_from_file_location("launch", PACKAGE / "bridge" / "launch.py")
_launch = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_launch)
_launch.bind_package()

from limelight.backend import serve  # noqa: E402
from limelight.backend.errors import BadInput  # noqa: E402


def echo(params, report):
    """Give the parameters back."""
    return params


def write(params, report):
    """Write a file in ten steps, as a real job does: beside its place, moved at the end."""
    out = Path(params["out"])
    partial = out.with_suffix(".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            for step in range(10):
                report.check()
                file.write("light\n")
                report.progress(step / 10, "Writing")
                time.sleep(params.get("pause", 0.02))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return {"out": str(out)}


def pollute(params, report):
    """Print in every way that a library may."""
    print("from Python")
    os.write(1, b"from C\n")
    os.system("echo from a child")
    return {}


def die(params, report):
    """End without a word on the wire."""
    print("layer 7 fell over", file=sys.stderr, flush=True)
    os._exit(9)


def refuse(params, report):
    """End with the error that is asked for."""
    kinds = {"bad": BadInput("Too dark.", "Add light."), "memory": MemoryError(), "disk": OSError(28, "No space left"),
             "exit": SystemExit(3), "bug": KeyError("x")}  # fmt: skip
    raise kinds[params["how"]]


def stubborn(params, report):
    """Never look whether it is cancelled."""
    report.progress(0.5, "Sleeping")
    time.sleep(60)
    return {}


def not_finite(params, report):
    """A result that JSON cannot hold."""
    return {"value": float("nan")}


if __name__ == "__main__":
    jobs = (echo, write, pollute, die, refuse, stubborn, not_finite)
    serve.serve(kinds={job.__name__: job for job in jobs})
