# SPDX-License-Identifier: GPL-3.0-or-later
"""``python bridge/launch.py training.depth --data SHARDS --out RUN``: train on shards that exist already."""

from __future__ import annotations

import argparse
from pathlib import Path

from .train import Recipe, train

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    train(Recipe(data=given.data, out=given.out, steps=given.steps, device=given.device))
