# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight bench relightify SET --out DIR``: complete half-hidden heads, and compare with the truth."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ...backend.devices import pick_device
from ...backend.errors import BadInput
from ...backend.relightify.maps import TEXTURE, skin_mask
from ...backend.relightify.prior import EFFORTS, WEIGHTS, Prior, load_prior
from ..limo.statistics import Row, Summary, summarize
from .cases import Case, count_heads, mean_maps, read_cases
from .methods import BAKED, FITTED, GUIDED, MEASURED, MIRROR, PRIOR, Method, methods
from .relit import Relit, environments
from .score import HIDDEN_PSNR, Scores, picture_error, score
from .sheet import Shown, write_sheet
from .table import as_table
from .verdict import verdicts

#: Heads that are drawn under other light, on the sheet, and on the sheet of the worst; methods that are drawn.
RELIT, SHOWN, WORST = 12, 16, 8
_DRAWN = (*MEASURED, MIRROR, FITTED, BAKED)


class _Report(Protocol):
    def progress(self, fraction: float, stage: str) -> None: ...


@dataclass
class _Measured:
    """What is collected head by head."""

    rows: list[Row] = field(default_factory=list)
    relit: list[Row] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    tones: list[int] = field(default_factory=list)
    hidden: list[float] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MEASURED, 0.0))


def run_bench(
    folder: Path,
    out: Path,
    *,
    weights: Path = WEIGHTS,
    quality: str = "normal",
    limit: int = 0,
    hdris: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    prior: Prior | None = None,
    report: _Report,
) -> dict[str, Any]:
    """Score the heads of a folder ('synthesize faces'); writes scores.json, table.md, heads.png and worst_cases.png.

    ``limit``: at most so many heads, 0 for all. ``hdris``: a folder of panoramas to relight by, made by rule otherwise.
    A ``prior`` given takes the place of that in ``weights``. Returns all but the rows.
    """
    if quality not in EFFORTS:
        raise BadInput(f"The quality is '{quality}'.", f"Use one of {', '.join(EFFORTS)}.")
    if limit < 0:
        raise BadInput(f"The limit is {limit} heads.", "Give a positive number, or 0 for all.")
    count = min(limit or count_heads(folder), count_heads(folder))
    known = methods(prior or load_prior(weights, pick_device(device)), quality, seed)
    mean, lights, found = mean_maps(folder), environments(hdris), _Measured()
    every = max(1, count // RELIT)
    for number, case in enumerate(read_cases(folder, count, seed)):
        report.progress(number / count, f"Completing head {number + 1} of {count}")
        results = _complete(case, known, mean, found)
        if number % every == 0 and len(found.relit) < RELIT:
            report.progress(number / count, f"Relighting head {number + 1} of {count}")
            found.relit.append(_relit(case, results, Relit(case.points, lights, case.maps)))
    about = {
        "set": folder.resolve().name, "heads": count, "quality": quality, "seed": seed,
        "effort": asdict(EFFORTS[quality]),
        "hidden": sum(found.hidden) / count, "environments": len(lights), "relit_heads": len(found.relit),
        "seconds_per_head": found.seconds[PRIOR] / count, "seconds_per_head_guided": found.seconds[GUIDED] / count,
    }  # fmt: skip
    return _write(out, about, found, seed)


def _complete(case: Case, known: dict[str, Method], mean: Any, found: _Measured) -> dict[str, Any]:
    """Each method's maps of a head; what they score goes to ``found``."""
    results, scores = {}, {}
    for name, method in known.items():
        start = time.monotonic()
        results[name] = method(case, *mean)
        if name in found.seconds:
            found.seconds[name] += time.monotonic() - start
        scores[name] = score(results[name], case.maps, case.known.mask)
        if name == BAKED:
            # It is given the texture: there is nothing to complete.
            scores[name] |= {key: math.nan for key in scores[name] if "texture" in key}
    found.rows.append(Row(case.name, case.name, scores, {}))
    found.tones.append(case.tone)
    found.hidden.append(1 - float(case.known.mask.sum() / skin_mask().sum()))
    found.shown.append(Shown.of(case, results[PRIOR], results[MIRROR][TEXTURE], scores))
    return results


def _relit(case: Case, results: dict[str, Any], relit: Relit) -> Row:
    """Means over the environments by method."""
    scores: dict[str, Scores] = {}
    for name in _DRAWN:
        errors = [picture_error(p, relit.truth[n], relit.alpha) for n, p in relit.pictures(results[name]).items()]
        scores[name] = {key: sum(e[key] for e in errors) / len(errors) for key in errors[0]}
    return Row(case.name, case.name, scores, {})


def _write(out: Path, about: dict[str, Any], found: _Measured, seed: int) -> dict[str, Any]:
    def summary(rows: list[Row]) -> Summary:
        return summarize(rows, list(MEASURED), seed, lambda m: -m.get(HIDDEN_PSNR, m.get("relit psnr", 0.0)))

    maps, relit = summary(found.rows), summary(found.relit) if found.relit else None
    tones = {
        tone: summary([row for row, own in zip(found.rows, found.tones, strict=True) if own == tone])
        for tone in sorted(set(found.tones))
    }
    judged = verdicts(maps.means)
    table = as_table(about, maps, relit, tones, judged)
    told = {
        **about,
        "passed": all(verdict.passed for verdict in judged),
        "verdicts": [asdict(verdict) for verdict in judged],
        "maps": _listed(maps),
        "relit": _listed(relit) if relit else None,
        "tones": {tone: entry.means for tone, entry in tones.items()},
    }
    rows = [
        {"name": row.name, "tone": tone, "scores": row.scores}
        for row, tone in zip(found.rows, found.tones, strict=True)
    ]
    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.json").write_text(json.dumps(_finite({**told, "rows": rows}), indent=1), encoding="utf-8")
    (out / "table.md").write_text(table, encoding="utf-8")
    title = f"{about['set']}: {about['heads']} heads, {about['quality']} quality"
    step = max(1, len(found.shown) // SHOWN)
    write_sheet(out / "heads.png", title, found.shown[::step][:SHOWN])
    worst = sorted(found.shown, key=lambda one: -one.error)[:WORST]
    write_sheet(out / "worst_cases.png", f"The {len(worst)} worst, {title}", worst)
    return _finite({**told, "table": table})


def _listed(summary: Summary) -> dict[str, Any]:
    return {"means": summary.means, "intervals": summary.intervals, "relative": summary.relative}


def _finite(value: Any) -> Any:
    """The same for JSON, which knows no NaN: null instead."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
