# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m limelight.backend``: the command line."""

import os
import sys

if __name__ == "__main__":
    # Read once, when torch loads. Threads that wait for others sleep instead of spinning: where something else wants
    # the cores too, such as a render in Blender, spinning makes an estimate ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    try:
        from .cli import main
    except ModuleNotFoundError as error:
        # A Python that the user chose may lack the engine's packages. Blender shows this line and knows the exit code.
        print(f"The package {error.name} is missing from {sys.executable}.", file=sys.stderr)
        print("Install bridge/requirements-engine.txt there, or use another Python.", file=sys.stderr)
        sys.exit(3)
    main()
