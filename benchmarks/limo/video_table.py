# SPDX-License-Identifier: GPL-3.0-or-later
"""The floors of light over time, and the sequences' numbers as Markdown."""

from __future__ import annotations

import math
from typing import Any

from ..markdown import grid
from ..verdict import Verdict
from .statistics import Summary
from .video_methods import ONE_NOISE, OVER_TIME, PER_FRAME
from .video_score import BALLS

#: At most this share of the warped error, and of the RMSE, of frames estimated one by one.
WARPED, RMSE = 0.5, 1.1
_NAMES = {
    "rmse": "RMSE", "si_rmse_log": "SI-RMSE log", "ssim": "SSIM ↑", "colour_angle": "colour °",
    "warped_error": "warped error", "gradient_error": "gradient error", "t_lpips_diff": "T-LPIPS-Diff",
    "t_dssim_diff": "T-DSSIM-Diff",
}  # fmt: skip


def verdicts(means: dict[str, dict[str, float]]) -> list[Verdict]:
    """The floors by method and key; against frames estimated one by one, each with noise of its own."""
    found = []
    for ball in BALLS:
        for key, most, said in (("warped_error", WARPED, "warped error"), ("rmse", RMSE, "RMSE")):
            ours, theirs, tied = (means[m][f"{ball}.{key}"] for m in (OVER_TIME, PER_FRAME, ONE_NOISE))
            share = ours / theirs
            told = f"{share:.2f} ({ours:.4f} of {theirs:.4f}; {ours / tied:.2f} of that with one noise)"
            found.append(Verdict(f"{ball} {said} at most {most} of {PER_FRAME}", told, share <= most))
    return found


def as_table(about: dict[str, Any], summary: Summary, families: dict[str, Summary], judged: list[Verdict]) -> str:
    """All sections: floors, then all sequences, then by what moves."""
    parts = [
        f"# Light over time on {about['set']}\n",
        f"{about['sequences']} sequences of {about['frames']} frames, {about['quality']} quality, seed {about['seed']}."
        " Means over sequences; in brackets 95 % by bootstrap over scenes. Balls at EV 0. Warped error: each frame"
        " against the one before, moved along the generator's true motion; *truth* is what the true light has, which"
        " changes too. Swing: from a sequence's dimmest frame to its brightest, by mean radiance. T-DSSIM is LIMO's"
        " T-LPIPS with 1 − SSIM in the place of LPIPS.\n",
        *(f"- {verdict}" for verdict in judged),
        "\n## All\n",
        _section(summary),
    ]
    for family, part in families.items():
        parts += [f"\n## What moves: {family} ({about['families'][family]})\n", _section(part)]
    seconds = ", ".join(f"{name} {spent:.1f}" for name, spent in about["seconds_per_frame"].items())
    return "\n".join([*parts, f"\nSeconds a frame: {seconds}."]) + "\n"


def _section(summary: Summary) -> str:
    known = next(iter(summary.means.values()))
    rows = []
    for ball in BALLS:
        for method, means in summary.means.items():
            cells = [_number(summary, method, f"{ball}.{key}") for key in _NAMES if f"{ball}.{key}" in known]
            rows.append([ball, method, *cells, f"{means['flicker']:.2%}", f"{means['swing']:.2f}"])
    heads = [name for key, name in _NAMES.items() if f"mirror.{key}" in known]
    return grid(["ball", "light", *heads, "level's change", "swing, stops"], rows)


def _number(summary: Summary, method: str, key: str) -> str:
    value, interval = summary.means[method][key], summary.intervals[method][key]
    if not math.isfinite(value):
        return "–"
    digits = 1 if key.endswith("colour_angle") else 3 if key.endswith(("rmse", "log", "ssim")) else 4
    told = f"{value:.{digits}f}"
    return told if interval is None else f"{told} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
