# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m limelight.training.direction --data SHARDS --out RUN``: train on shards that exist already."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...backend.direction.embedded import load_network
from .calibrate import calibrate
from .recipe import network_of
from .train import Recipe, train

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--form", default="embedded")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", type=Path, help="weights to begin from")
    arguments = parser.parse_args()
    make, header = network_of(arguments.form, None)
    recipe = Recipe(
        arguments.data, arguments.out, arguments.steps, arguments.batch, device=arguments.device, start=arguments.start
    )
    weights = train(make, recipe, header)
    if arguments.form == "embedded":
        calibrate(load_network.__wrapped__(weights).network, weights, arguments.data)
