# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m limelight.training.luminet --out RUN --minutes 8``: data and training at once, over when the time is."""

from __future__ import annotations

import argparse
from pathlib import Path

from .recipe import reproduce_within

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--scenes-in", type=Path, help="Folder of the traced rooms, OUT/scenes if not given")
    parser.add_argument("--hdris", type=Path, help="Folder of panoramas (EXR) behind windows")
    parser.add_argument("--scenes", type=int, default=6000, help="Rooms at most")
    parser.add_argument("--workers", type=int, default=6, help="Processes that trace, a core each")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    reproduce_within(given.pop("out"), given.pop("minutes"), **given)
