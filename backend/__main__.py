# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m limelight.backend``: the command line."""

import os
import signal
import sys

from .errors import Cancelled, fail


def _end(*_: object) -> None:
    """SIGTERM, as a farm or a shutdown sends it, clears up as Ctrl-C does; the exit code tells which it was."""
    Cancelled.exit_code = 143
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Read once, when torch loads. Threads that wait for others sleep instead of spinning: where something else wants
    # the cores too, such as a render in Blender, spinning makes an estimate ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    signal.signal(signal.SIGTERM, _end)
    try:
        try:
            from .cli import main
        except ModuleNotFoundError as error:
            # A Python that the user chose may lack the engine's packages. Blender shows this line and knows the exit
            # code.
            print(f"The package {error.name} is missing from {sys.executable}.", file=sys.stderr)
            print("Install bridge/requirements-engine.txt there, or use another Python.", file=sys.stderr)
            sys.exit(3)
        main()
    except KeyboardInterrupt:
        fail(Cancelled(), "--json" in sys.argv)
