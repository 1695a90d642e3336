# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's numbers as Markdown."""

from __future__ import annotations

import math
from typing import Any

from ..markdown import grid
from .statistics import Summary

_LIMO = {"rmse": "RMSE", "si_rmse_log": "SI-RMSE log", "si_rmse_ls": "SI-RMSE LS", "ssim": "SSIM ↑",
         "colour_angle": "colour °", "psnr": "PSNR dB ↑"}  # fmt: skip
_THREE = {"rmse": "RMSE", "si_rmse_ls": "SI-RMSE LS", "colour_angle": "colour °", "normalised_rmse": "norm. RMSE"}
_MAP = {
    "peak_direction_deg": "peak direction off by °",
    "energy_ratio": "energy ratio",
    "energy_ev": "energy, stops",
    "energy_error_ev": "energy off by, stops",
}


def as_table(about: dict[str, Any], summary: Summary, grounded: dict[str, Any]) -> str:
    """All sections; ``about`` names the set, the numbers of probes and scenes, quality and seconds a probe."""
    parts = [
        f"# Light estimation on {about['set']}\n",
        f"{about['probes']} probes in {about['scenes']} scenes, {about['quality']} quality,"
        f" {about['seconds_per_probe']:.1f} s a probe. Means over probes; in brackets 95 % by bootstrap over scenes."
        " *grey* knows the true mean; the other baselines see no truth.\n",
        "## Four spheres at EV 0 (LIMO's protocol)\n",
        _by_ball(summary, "limo", _LIMO, ("mirror", "glossy", "matte", "diffuse")),
        "\n## Three spheres, tone-mapped light (DiffusionLight's protocol)\n",
        _by_ball(summary, "three", _THREE, ("diffuse", "matte", "mirror")),
        "\n## The map\n",
        _by_method(summary),
        "\n## Against the best baseline of this run\n",
        "Positive: better than the best baseline of that number, as a share of it (for energy without grey).\n",
        _relative(summary),
        "\n## Light and shade of one scene\n",
        _grounding(grounded),
    ]
    return "\n".join(parts) + "\n"


def _by_ball(summary: Summary, protocol: str, metrics: dict[str, str], balls: tuple[str, ...]) -> str:
    rows = [
        [ball, method, *(_number(summary, method, f"{protocol}.{ball}.{metric}") for metric in metrics)]
        for ball in balls
        for method in summary.means
    ]
    return grid(["ball", "method", *metrics.values()], rows)


def _by_method(summary: Summary) -> str:
    rows = [[method, *(_number(summary, method, f"map.{metric}") for metric in _MAP)] for method in summary.means]
    return grid(["method", *_MAP.values()], rows)


def _relative(summary: Summary) -> str:
    keys = {f"limo.{ball}.{m}": f"{ball} {name}" for ball in ("mirror", "diffuse") for m, name in _LIMO.items()}
    keys |= {f"three.{ball}.{m}": f"three spheres: {ball} {_THREE[m]}" for ball in ("diffuse", "matte", "mirror")
             for m in ("si_rmse_ls", "colour_angle", "normalised_rmse")}  # fmt: skip
    keys |= {f"map.{m}": _MAP[m] for m in ("peak_direction_deg", "energy_error_ev")}
    rows = []
    for key, title in keys.items():
        entries = [entry.get(key) for entry in summary.relative.values()]
        if entries[0] is None:
            continue
        cells = [_percent(entry) for entry in entries if entry]
        rows.append([title.removesuffix(" ↑"), entries[0]["best"], *cells])
    return grid(["number", "best baseline", *summary.relative], rows)


def _grounding(found: dict[str, Any]) -> str:
    if not found["pairs"]:
        return "No scene of this set has two probes half a stop or more apart."
    rows = [
        [method, f"{v['predicted_stops']:+.2f}", f"{100 * v['right_order']:.0f} %", f"{v['error_stops']:.2f}",
         "–" if v["correlation"] is None else f"{v['correlation']:+.2f}"]
        for method, v in found["methods"].items()
    ]  # fmt: skip
    head = ["method", "lit over shaded, stops", "right order", "RMS error, stops", "correlation"]
    return f"{found['pairs']} pairs, truly {found['true_stops']:+.2f} stops apart.\n\n" + grid(head, rows)


def _number(summary: Summary, method: str, key: str) -> str:
    value, bounds = summary.means[method][key], summary.intervals[method][key]
    if not math.isfinite(value):
        return "–"
    digits = 1 if key.endswith(("angle", "deg", "psnr")) else 2 if "_ev" in key else 3
    sign = "+" if key == "map.energy_ev" else ""
    text = f"{value:{sign}.{digits}f}"
    return text if bounds is None else f"{text} [{bounds[0]:{sign}.{digits}f}, {bounds[1]:{sign}.{digits}f}]"


def _percent(entry: dict[str, Any]) -> str:
    if not math.isfinite(entry["gain"]):
        return "–"
    text = f"{100 * entry['gain']:+.0f} %"
    bounds = entry["interval"]
    return text if bounds is None else f"{text} [{100 * bounds[0]:+.0f}, {100 * bounds[1]:+.0f}]"
