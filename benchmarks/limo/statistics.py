# SPDX-License-Identifier: GPL-3.0-or-later
"""Means of scores over probes with their bootstrap intervals over scenes, numbers relative to baselines, grounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .score import CENTRED, HIGHER, TRUTH, limo_rmse

RESAMPLES = 2000
#: A shaded and a lit probe of one scene receive light that differs by at least this many stops.
LEAST_STOPS = 0.5


@dataclass(frozen=True, eq=False)
class Row:
    """One probe: its scene, scores by method and key, mean luminance of each map (``truth`` included)."""

    name: str
    scene: str
    scores: dict[str, dict[str, float]]
    energies: dict[str, float]


@dataclass(frozen=True, eq=False)
class Summary:
    """By method and key: ``means`` and ``intervals`` (95 %); by estimate and key: ``relative`` to the best baseline."""

    means: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, tuple[float, float] | None]]
    relative: dict[str, dict[str, dict[str, Any]]]
    best_baseline: str

    @property
    def listed(self) -> dict[str, Any]:
        """What a benchmark's JSON holds of it."""
        return {"means": self.means, "intervals": self.intervals, "relative": self.relative}


def summarize(
    rows: list[Row], estimates: list[str], seed: int = 0, rank: Callable[[dict[str, float]], float] = limo_rmse
) -> Summary:
    """Means over probes; intervals by resampling whole scenes, since the probes of one are not independent.

    NaN (a score that does not exist for a probe) is left out. With one scene there are no intervals. The best baseline
    is the one whose means have the least ``rank``.
    """
    methods, keys = list(rows[0].scores), list(next(iter(rows[0].scores.values())))
    values = np.array([[[row.scores[m][k] for k in keys] for m in methods] for row in rows])
    scenes = sorted({row.scene for row in rows})
    member = np.array([[row.scene == scene for row in rows] for scene in scenes], float)
    known = np.isfinite(values)
    total = np.tensordot(member, np.where(known, values, 0), 1)
    count = np.tensordot(member, known.astype(float), 1)
    draws = np.random.default_rng(seed).multinomial(len(scenes), [1 / len(scenes)] * len(scenes), RESAMPLES)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total.sum(0) / count.sum(0)
        resampled = np.tensordot(draws, total, 1) / np.tensordot(draws, count, 1)
    enough = len(scenes) > 1
    means = {m: {k: float(mean[i, j]) for j, k in enumerate(keys)} for i, m in enumerate(methods)}
    bounds = {m: {k: _interval(resampled[:, i, j], enough) for j, k in enumerate(keys)} for i, m in enumerate(methods)}
    baselines = [m for m in methods if m not in estimates]
    relative: dict[str, dict[str, dict[str, Any]]] = {m: {} for m in estimates}
    for j, key in enumerate(keys):
        # Grey is given the true energy: nothing can be better at it.
        fair = [m for m in baselines if m != "grey" or not key.startswith("map.energy")]
        rivals = [m for m in fair if math.isfinite(means[m][key])]
        if key in CENTRED or not rivals:
            continue
        best = (max if key.endswith(HIGHER) else min)(rivals, key=lambda m: means[m][key])
        rival = methods.index(best)
        for m in estimates:
            own = methods.index(m)
            gains = gain(resampled[:, own, j], resampled[:, rival, j], key)
            relative[m][key] = {
                "best": best,
                "gain": float(gain(mean[own, j], mean[rival, j], key)),
                "interval": _interval(gains, enough),
            }
    return Summary(means, bounds, relative, min(baselines, key=lambda m: rank(means[m])))


def gain(own: Any, best: Any, key: str) -> Any:
    """How much better than ``best``, as a share of it: positive is better, whichever way the metric counts."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.divide(own, best)
    return ratio - 1 if key.endswith(HIGHER) else 1 - ratio


def _interval(samples: np.ndarray, enough: bool) -> tuple[float, float] | None:
    """The middle 95 % of finite samples."""
    finite = samples[np.isfinite(samples)]
    if not enough or not finite.size:
        return None
    low, high = np.percentile(finite, (2.5, 97.5))
    return float(low), float(high)


def grounding(rows: list[Row]) -> dict[str, Any]:
    """Whether light and shade of one scene are told apart: log2 of lit over shaded irradiance, predicted and true.

    The pair of a scene is its darkest and brightest probe by the truth, if :data:`LEAST_STOPS` apart; irradiance is
    the mean over a ball's surface. ``correlation`` (Pearson, over scenes) needs three pairs and unequal predictions.
    The grey baseline is left out: it knows both truths.
    """
    pairs = []
    for scene in dict.fromkeys(row.scene for row in rows):
        probes = sorted((row for row in rows if row.scene == scene), key=lambda row: row.energies[TRUTH])
        if _stops(probes[0], probes[-1], TRUTH) >= LEAST_STOPS:
            pairs.append((probes[0], probes[-1]))
    found: dict[str, Any] = {"pairs": len(pairs), "methods": {}}
    if not pairs:
        return found
    true = np.array([_stops(*pair, TRUTH) for pair in pairs])
    found["true_stops"] = float(true.mean())
    for method in rows[0].scores:
        if method == "grey":
            continue
        told = np.array([_stops(*pair, method) for pair in pairs])
        differ = len(pairs) > 2 and min(told.std(), true.std()) > 1e-6
        found["methods"][method] = {
            "predicted_stops": float(told.mean()),
            "right_order": float((told > 1e-6).mean()),
            "error_stops": float(np.sqrt(((told - true) ** 2).mean())),
            "correlation": float(np.corrcoef(told, true)[0, 1]) if differ else None,
        }
    return found


def _stops(shaded: Row, lit: Row, method: str) -> float:
    return math.log2(max(lit.energies[method], 1e-9) / max(shaded.energies[method], 1e-9))
