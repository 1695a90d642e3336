# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m limelight.backend``: the command line."""

import os

if __name__ == "__main__":
    # Read once, when torch loads. Threads that wait for others sleep instead of spinning: where something else wants
    # the cores too, such as a render in Blender, spinning makes an estimate ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from .cli import main

    main()
