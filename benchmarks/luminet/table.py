# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's numbers as Markdown."""

from __future__ import annotations

from typing import Any

from ..limo.statistics import Summary
from ..markdown import grid
from ..verdict import Verdict
from .codes import CODE
from .methods import MEASURED

_NUMBERS = {
    "raw.unit.rmse": "RMSE [0, 1]",
    "raw.unit.ssim": "SSIM [0, 1] ↑",
    "raw.signed.rmse": "RMSE [−1, 1]",
    "raw.signed.ssim": "SSIM [−1, 1] ↑",
    "corrected.unit.rmse": "RMSE [0, 1], corrected",
    "corrected.unit.ssim": "SSIM [0, 1], corrected ↑",
    "corrected.signed.rmse": "RMSE [−1, 1], corrected",
    "corrected.signed.ssim": "SSIM [−1, 1], corrected ↑",
    "colour_angle": "colour °",
    "albedo_error": "albedo error",
}


def as_table(
    about: dict[str, Any],
    transfers: dict[str, Summary],
    retrieval: Summary,
    intrinsics: Summary | None,
    judged: list[Verdict],
) -> str:
    """All sections; ``about`` names the set, the model, the numbers of pairs and scenes, and the seconds a transfer."""
    parts = [
        f"# Transfers of light on {about['set']}\n",
        f"{about['pairs']} pairs of {about['scenes']} scenes, {about['model']}, {about['quality']} quality,"
        f" {about['seconds_per_transfer']:.2f} s a transfer. Means over pairs; in brackets 95 % by bootstrap over"
        " scenes (the source's). Pictures of display values, RMSE over pixels and channels; *corrected*: without the"
        " error's mean of each channel; *carried*: along the source's edges, as for a large picture. In same-scene"
        " pairs the reference is the truth itself.\n",
        *(f"- {verdict}" for verdict in judged),
    ]
    for kind, summary in transfers.items():
        rows = [[method, *(_number(summary, method, key) for key in _NUMBERS)] for method in summary.means]
        parts += [f"\n## {kind.capitalize()}\n", grid(["method", *_NUMBERS.values()], rows)]
        parts += ["\nAgainst the best baseline of each number, positive is better:\n", _relative(summary)]
    parts += [
        "\n## What the codes hold\n",
        f"Right light nearest among 10 in another scene: by light code {_share(retrieval, CODE)};"
        + "".join(f" by {m} {_share(retrieval, m)};" for m in retrieval.means if m != CODE)
        + " by chance 10 %.",
    ]
    if intrinsics is not None:
        told = (_number(intrinsics, "intrinsics", key) for key in ("across lightings", "across scenes"))
        parts.append("Cosine of intrinsics: {} across lightings of a scene, {} across scenes.".format(*told))
    return "\n".join(parts) + "\n"


def _relative(summary: Summary) -> str:
    rows = []
    for key, title in _NUMBERS.items():
        entries = [summary.relative[method][key] for method in MEASURED]
        rows.append([title.removesuffix(" ↑"), entries[0]["best"], *(_percent(entry) for entry in entries)])
    return grid(["number", "best baseline", *MEASURED], rows)


def _percent(entry: dict[str, Any]) -> str:
    bounds = entry["interval"]
    between = "" if bounds is None else f" [{100 * bounds[0]:+.0f}, {100 * bounds[1]:+.0f}]"
    return f"{100 * entry['gain']:+.0f} %{between}"


def _number(summary: Summary, method: str, key: str) -> str:
    value, bounds = summary.means[method][key], summary.intervals[method][key]
    digits = 1 if key.endswith("angle") else 3
    text = f"{value:.{digits}f}"
    return text if bounds is None else f"{text} [{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]"


def _share(summary: Summary, method: str) -> str:
    value, bounds = summary.means[method]["top1"], summary.intervals[method]["top1"]
    between = "" if bounds is None else f" [{100 * bounds[0]:.0f}, {100 * bounds[1]:.0f}]"
    return f"{100 * value:.1f} %{between}"
