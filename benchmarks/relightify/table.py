# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's numbers as Markdown."""

from __future__ import annotations

import math
from typing import Any

from ...synthesis.skin.person import TONES
from ..limo.statistics import Summary
from ..markdown import grid
from ..verdict import Verdict
from .methods import MEASURED
from .score import DIFFUSE_RMSE, HIDDEN_PSNR

#: Numbers by which skin tones are compared.
BY_TONE = (HIDDEN_PSNR, DIFFUSE_RMSE, "diffuse linear rmse", "specular rmse", "normal angle")
_UNITS = {"psnr": ("dB ↑", 2), "ssim": ("↑", 3), "rmse": ("", 4), "angle": ("°", 2), "distance": ("↓", 3)}


def as_table(
    about: dict[str, Any], maps: Summary, relit: Summary | None, tones: dict[int, Summary], judged: list[Verdict]
) -> str:
    """All sections; ``about`` names set, model, numbers of heads and seconds a head."""
    parts = [
        f"# Faces completed: {about['set']}\n",
        f"{about['heads']} unseen synthetic heads, {about['quality']} quality, {about['seconds_per_head']:.2f} s a head"
        f" (guidance alone {about['seconds_per_head_guided']:.2f} s). Means over heads, in brackets 95 % by bootstrap."
        " A random head's random pose, hair, glasses or the photo's edge hide 30 to 70 % of the skin"
        f" (mean {about['hidden']:.0%}). Texture: PSNR and SSIM of encoded values. RMSE over pixels and channels of the"
        " whole skin: diffuse albedo sRGB-encoded and linear, specular albedo as F0 over 0.08.\n",
        *(f"- {verdict}" for verdict in judged),
        "\n## Maps\n",
        _methods(maps),
        "\n## By skin tone\n",
        _tones(tones),
    ]
    if relit is not None:
        parts += [
            f"\n## Relit under {about['environments']} environments\n",
            f"{about['relit_heads']} heads from in front, drawn with true and with found maps, display values.\n",
            _methods(relit),
        ]
    parts.append("\n" + _identity(about["identity"]))
    return "\n".join(parts) + "\n"


def _identity(usual: dict[str, float] | None) -> str:
    """What the identity's distances mean."""
    if usual is None:
        return "Identity is not measured: 'pip install dlib-bin face_recognition_models' gives it a network to ask."
    return (
        "Identity distance: between the descriptors of the head as found and as it is, by dlib's face-recognition"
        f" network. To compare: one head in two lights {usual['light']:.3f}, two heads in one light"
        f" {usual['others']:.3f}; pictures of one person usually lie nearer than 0.6."
    )


def _methods(summary: Summary) -> str:
    keys = list(next(iter(summary.means.values())))
    rows = [[method, *(_number(summary, method, key) for key in keys)] for method in summary.means]
    return grid(["method", *(_title(key) for key in keys)], rows)


def _tones(tones: dict[int, Summary]) -> str:
    """The prior's numbers for each tone, and in parentheses the best baseline's."""
    rows = []
    for tone, summary in sorted(tones.items()):
        cells = []
        for key in BY_TONE:
            better = max if key.endswith(("psnr", "ssim")) else min
            ours = summary.means[MEASURED[0]][key]
            rival = better(m[key] for name, m in summary.means.items() if name not in MEASURED)
            digits = _UNITS[key.split()[-1]][1]
            cells.append(f"{ours:.{digits}f} ({rival:.{digits}f})")
        rows.append([TONES[tone], *cells])
    return grid(["tone: prior (best baseline of each number)", *(_title(key) for key in BY_TONE)], rows)


def _title(key: str) -> str:
    unit = _UNITS[key.split()[-1]][0]
    return f"{key} {unit}".strip()


def _number(summary: Summary, method: str, key: str) -> str:
    value, bounds = summary.means[method][key], summary.intervals[method][key]
    if not math.isfinite(value):
        return "–"
    digits = _UNITS[key.split()[-1]][1]
    text = f"{value:.{digits}f}"
    return text if bounds is None else f"{text} [{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]"
