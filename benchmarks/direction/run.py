# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight bench direction SET --out DIR``: angular errors of every method against the key light of the truth."""

from __future__ import annotations

import functools
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...backend.batch.farm import each
from ...backend.devices import pick_device
from ...backend.direction import bins
from ...backend.direction.key_light import DOMINANT, find_key_light
from ...backend.errors import BadInput
from ...backend.limo.estimate import EFFORTS
from ..finite import finite
from ..limo.probe_set import Case, read_set
from .methods import Method, methods
from .sheet import Shown, write_sheet

#: An answer this close is as good as right (methods.md §6.4).
NEAR_DEG = 22.5
_RESAMPLES, WORST = 2000, 10
_HEADER = (
    "| method | mean [95 %] | median | < 22.5° | mean, dominant [95 %] | median, dominant | < 22.5°, dominant |"
    " expected | ratio, stops off |"
)


class _Report(Protocol):
    def progress(self, fraction: float, stage: str) -> None: ...


@dataclass(frozen=True)
class Row:
    """One probe: the truth's key-to-fill ratio, and by method the error, the expected error (degrees) and the ratio."""

    name: str
    scene: str
    key_to_fill: float
    error: dict[str, float]
    expected: dict[str, float]
    ratio: dict[str, float]


def run_bench(
    folder: Path,
    out: Path,
    *,
    quality: str = "draft",
    limit: int = 0,
    seed: int = 0,
    device: str = "auto",
    textbook: Path | None = None,
    hdri: bool = True,
    ray: str | None = None,
    report: _Report,
) -> dict[str, Any]:
    """Score every probe of a set; writes scores.json, table.md and worst_cases.png into ``out``.

    ``ray``: the address of a cluster that does the work.
    """
    if quality not in EFFORTS:
        raise BadInput(f"The quality is '{quality}'.", f"Use one of {', '.join(EFFORTS)}.")
    if limit < 0:
        raise BadInput(f"The limit is {limit} probes.", "Give a positive number, or 0 for all.")
    cases = list(read_set(folder))[: limit or None]
    start = time.monotonic()

    def tell(done: int) -> None:
        report.progress(done / len(cases), f"{done} of {len(cases)} probes scored")

    work = functools.partial(_score_case, how=(quality, device, seed, textbook, hdri))
    scored = each(work, cases, tell, ray=ray, device=device)
    rows, shown = [row for row, _ in scored], [picture for _, picture in scored]
    about = {
        "set": folder.resolve().name,
        "probes": len(rows),
        "dominant": sum(row.key_to_fill >= DOMINANT for row in rows),
        "scenes": len({row.scene for row in rows}),
        "hdri_quality": quality,
        "seed": seed,
        "seconds_per_probe": (time.monotonic() - start) / len(rows),
    }
    summary = {name: summarize(rows, name, seed) for name in rows[0].error}
    table = as_table(about, summary)
    out.mkdir(parents=True, exist_ok=True)
    found = finite({**about, "summary": summary})
    (out / "scores.json").write_text(
        json.dumps({**found, "rows": [finite(asdict(row)) for row in rows]}, indent=1), encoding="utf-8"
    )
    (out / "table.md").write_text(table, encoding="utf-8")
    worst = sorted(shown, key=lambda s: -s.error_deg)[:WORST]
    write_sheet(out / "worst_cases.png", f"The {len(worst)} worst of {about['probes']} in {about['set']}", worst)
    return {**found, "table": table}


@functools.cache
def _known(quality: str, device: str, seed: int, textbook: Path | None, hdri: bool) -> dict[str, Method]:
    """The methods by name; a process loads them once."""
    return methods(quality, pick_device(device), seed, textbook, hdri)


def _score_case(case: Case, how: tuple[str, str, int, Path | None, bool]) -> tuple[Row, Shown]:
    """One probe's scores and picture."""
    u, v = case.seen_at
    key = find_key_light(case.truth)
    answers = {name: method(case, (u, v)) for name, method in _known(*how).items()}
    error = {name: float(bins.angle_deg(a.direction, key.direction)) for name, a in answers.items()}
    row = Row(
        case.name, case.scene, key.key_to_fill, error,
        {name: a.expected_deg for name, a in answers.items()}, {name: a.key_to_fill for name, a in answers.items()},
    )  # fmt: skip
    first = next(iter(answers))
    return row, Shown.of(case, (u, v), key.direction, answers[first].direction, error[first], key.key_to_fill)


def summarize(rows: list[Row], method: str, seed: int) -> dict[str, Any]:
    """Errors of one method over all probes and over those that one light dominates, and how honest its spread is."""
    found: dict[str, Any] = {}
    for side, chosen in (("all", rows), ("dominant", [r for r in rows if r.key_to_fill >= DOMINANT])):
        if not chosen:
            continue
        error = np.array([row.error[method] for row in chosen])
        found[side] = {
            "mean": float(error.mean()),
            "interval": _interval(chosen, error, seed),
            "median": float(np.median(error)),
            "near": float((error < NEAR_DEG).mean()),
        }
    expected = np.array([row.expected[method] for row in rows])
    if np.isfinite(expected).all():
        found["calibration"] = _calibration(expected, np.array([row.error[method] for row in rows]))
    stops = [abs(math.log2(r.ratio[method] / r.key_to_fill)) for r in rows if r.ratio[method] > 0 and r.key_to_fill > 0]
    found["ratio_stops"] = float(np.mean(stops)) if stops else math.nan
    return found


def _calibration(expected: np.ndarray, error: np.ndarray) -> dict[str, Any]:
    """Mean expected against mean observed error, of all and in thirds by the expectation; their rank correlation."""
    order = np.argsort(expected, kind="stable")
    thirds = [{"expected": float(expected[part].mean()), "observed": float(error[part].mean())}
              for part in np.array_split(order, 3) if len(part)]  # fmt: skip
    ranks = [np.argsort(np.argsort(x, kind="stable")).astype(float) for x in (expected, error)]
    varied = len(set(expected.tolist())) > 1
    return {
        "expected": float(expected.mean()),
        "observed": float(error.mean()),
        "thirds": thirds,
        "rank_correlation": float(np.corrcoef(np.stack(ranks))[0, 1]) if varied else math.nan,
    }


def _interval(rows: list[Row], error: np.ndarray, seed: int) -> tuple[float, float] | None:
    """95 % of the mean by resampling whole scenes; nothing with one scene."""
    scenes = sorted({row.scene for row in rows})
    if len(scenes) < 2:
        return None
    member = np.array([[row.scene == scene for row in rows] for scene in scenes], float)
    draws = np.random.default_rng(seed).multinomial(len(scenes), [1 / len(scenes)] * len(scenes), _RESAMPLES)
    means = (draws @ (member @ error)) / (draws @ member.sum(1))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def as_table(about: dict[str, Any], summary: dict[str, dict[str, Any]]) -> str:
    """The summary as a Markdown table, with a line of calibration under it."""
    lines = [
        f"# {about['set']}: {about['probes']} probes in {about['scenes']} scenes, {about['dominant']} of them with one"
        " dominant light",
        "",
        _HEADER,
        "|" + " --- |" * 9,
    ]
    for name, found in summary.items():
        cells = []
        for side in ("all", "dominant"):
            s = found.get(side)
            between = "" if not s or s["interval"] is None else f" [{s['interval'][0]:.1f}, {s['interval'][1]:.1f}]"
            cells += [f"{s['mean']:.1f}°{between}", f"{s['median']:.1f}°", f"{s['near']:.0%}"] if s else ["–"] * 3
        expected = f"{found['calibration']['expected']:.1f}°" if "calibration" in found else "–"
        stops = "–" if math.isnan(found["ratio_stops"]) else f"{found['ratio_stops']:.1f}"
        lines.append("| " + " | ".join([name, *cells, expected, stops]) + " |")
    for name, found in summary.items():
        if "calibration" in found:
            pairs = ", ".join(f"{t['expected']:.0f}° → {t['observed']:.0f}°" for t in found["calibration"]["thirds"])
            lines += ["", f"{name}: expected → observed error in thirds by the expectation: {pairs}."]
    return "\n".join(lines) + "\n"
