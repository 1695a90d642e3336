# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m limelight.training.limo --data SHARDS --out RUN``: train on shards that exist already."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from .train import Recipe, train

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="weights to begin from")
    for name in ("steps", "batch", "learning_rate", "warmup", "save_every", "seed"):
        default = getattr(Recipe, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--shares", type=json.loads, default={}, help='such as {"views": 0.5}')
    parser.add_argument("--seconds", type=float, help="in place of steps: as many as fit")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    train(Recipe(**vars(parser.parse_args())))
