# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's numbers as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..verdict import Verdict
from .score import KEYS, Scores

_UNITS = {"psnr": ("dB ↑", 2), "ssim": ("↑", 3), "rmse": ("", 3), "angle": ("°", 1)}


def as_table(about: Mapping[str, Any], scores: Mapping[str, Mapping[str, Scores]], judged: Sequence[Verdict]) -> str:
    """Floors, the means over objects, and every object; ``scores`` by object and method."""
    # Objects of older sets have no mesh.
    methods = [method for method in next(iter(scores.values())) if all(method in found for found in scores.values())]
    means = {method: {key: _mean([scores[name][method][key] for name in scores]) for key in KEYS} for method in methods}
    parts = [
        f"# Splats with material: {about['set']}\n",
        f"{len(scores)} objects of {about['views']} views of {about['size']} pixels; {about['tests']} other views and"
        f" {about['lights']} other lights measured. {about['iterations']} iterations, at most {about['gaussians']}"
        f" Gaussians, textures of {about['texels']} texels a side; {about['seconds']:.0f} s. Pictures over white."
        " Scaled: one factor a channel for all pictures of an object and method: brightness of light and of material"
        " cannot be told apart. Object: its pixels alone, without the white that all agree on. Light: standard"
        " deviation of the logarithm's error over all directions, and how far the brightest direction is off.\n",
        *(f"- {verdict}" for verdict in judged),
        "\n## All objects\n",
        grid("method", means),
    ]
    for name, found in scores.items():
        parts += [f"\n## {name}\n", grid("method", found)]
    return "\n".join(parts) + "\n"


def _mean(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def grid(first: str, rows: Mapping[str, Scores]) -> str:
    """A table with a row for each entry."""
    head = [first, *(f"{key} {_UNITS[key.split()[-1]][0]}".strip() for key in KEYS)]
    lines = [[name, *(_number(key, found[key]) for key in KEYS)] for name, found in rows.items()]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *lines])


def _number(key: str, value: float) -> str:
    return f"{value:.{_UNITS[key.split()[-1]][1]}f}" if math.isfinite(value) else "–"
