# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module of this package from a folder of any name: ``python bridge/launch.py backend light …``.

Blender names the extension folder, a developer's clone has any name, yet the code is one package called
``limelight``. This binds that name to the folder above, then runs the module as ``python -m limelight.MODULE`` would.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def bind_package(root: Path = ROOT) -> None:
    """Make ``import limelight`` mean the package in ``root``, whatever that folder is called."""
    if "limelight" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        "limelight", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["limelight"] = package
    spec.loader.exec_module(package)


def end_with_parent() -> None:
    """End this process with the one that started it: a pool's process would wait for work of one that was killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # A terminal's Ctrl-C reaches both, and the one that started this tells of it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def watch() -> None:
        parent.join()
        # Nothing is half-written: what such a process makes it gives to its parent.
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Bind the package, then run the module named by the first argument with the rest as its arguments."""
    # The folder of this file came first on sys.path; its modules must not shadow others.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    bind_package()
    module, sys.argv = sys.argv[1], sys.argv[1:]
    runpy.run_module(f"limelight.{module}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        # Before a program could say so in its own way.
        print("Cancelled.", file=sys.stderr)
        sys.exit(130)
elif __name__ == "__mp_main__":
    # A process that multiprocessing started afresh runs this file by its path, before it unpickles anything of ours.
    bind_package()
    end_with_parent()
