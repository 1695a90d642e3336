# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m limelight.training.limo --data SHARDS --out RUN``: train on shards that exist already."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from .train import Recipe, train

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    train(Recipe(data=arguments.data, out=arguments.out, steps=arguments.steps, device=arguments.device))
