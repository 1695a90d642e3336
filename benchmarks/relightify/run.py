# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight bench relightify SET --out DIR``: complete half-hidden heads, and compare with the truth."""

from __future__ import annotations

import functools
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ...backend.batch.farm import each
from ...backend.devices import pick_device
from ...backend.errors import BadInput
from ...backend.relightify.lighting import Lighting
from ...backend.relightify.maps import TEXTURE, skin_mask
from ...backend.relightify.prior import EFFORTS, WEIGHTS, Prior, load_prior
from ..finite import finite
from ..limo.statistics import Row, Summary, summarize
from . import identity
from .cases import Case, count_heads, mean_maps, read_cases
from .methods import BAKED, FITTED, GUIDED, MEASURED, MIRROR, PRIOR, Method, methods
from .relit import Relit, environments
from .score import HIDDEN_PSNR, score
from .sheet import Shown, write_sheet
from .table import as_table
from .verdict import verdicts

#: Heads that are drawn under other light, on the sheet, and on the sheet of the worst; methods that are drawn.
RELIT, SHOWN, WORST = 12, 16, 8
_DRAWN = (*MEASURED, MIRROR, FITTED, BAKED)


class _Report(Protocol):
    def progress(self, fraction: float, stage: str) -> None: ...


@dataclass(frozen=True)
class _Measured:
    """What is found of one head: scores of its maps, of it under other light if it was drawn so, and its pictures;
    ``truth``: who it is to a face-recognition network in its true pictures, by environment."""

    row: Row
    relit: Row | None
    truth: dict[str, Any]
    shown: Shown
    tone: int
    hidden: float
    seconds: dict[str, float]


def run_bench(
    folder: Path,
    out: Path,
    *,
    model: str = "embedded",
    quality: str = "normal",
    limit: int = 0,
    hdris: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    prior: Prior | None = None,
    ray: str | None = None,
    report: _Report,
) -> dict[str, Any]:
    """Score the heads of a folder ('synthesize faces'); writes scores.json, table.md, heads.png and worst_cases.png.

    ``limit``: at most so many heads, 0 for all. ``hdris``: a folder of panoramas to relight by, made by rule otherwise.
    ``model`` is "embedded" or a file of a prior's weights; a ``prior`` given takes its place. ``ray``: the address of a
    cluster that does the work. Returns all but the rows.
    """
    if quality not in EFFORTS:
        raise BadInput(f"The quality is '{quality}'.", f"Use one of {', '.join(EFFORTS)}.")
    if limit < 0:
        raise BadInput(f"The limit is {limit} heads.", "Give a positive number, or 0 for all.")
    count = min(limit or count_heads(folder), count_heads(folder))
    every = max(1, count // RELIT)

    def tell(done: int) -> None:
        report.progress(done / count, f"{done} of {count} heads completed")

    cases = ((case, n % every == 0 and n // every < RELIT) for n, case in enumerate(read_cases(folder, count, seed)))
    weights = WEIGHTS if model == "embedded" else Path(model).resolve()
    how = _How(folder.resolve(), hdris, weights, quality, seed, device)
    found = each(functools.partial(_measure, how=how, prior=prior), cases, tell, ray=ray, device=device)
    drawn = sum(head.relit is not None for head in found)
    seconds = {name: sum(head.seconds[name] for head in found) / count for name in MEASURED}
    about = {
        "set": folder.resolve().name, "heads": count, "quality": quality, "seed": seed,
        "effort": asdict(EFFORTS[quality]),
        "hidden": sum(head.hidden for head in found) / count, "environments": len(how.lights()), "relit_heads": drawn,
        "seconds_per_head": seconds[PRIOR], "seconds_per_head_guided": seconds[GUIDED],
    }  # fmt: skip
    return _write(out, about, found, seed)


class _How(NamedTuple):
    """What a process loads once to measure heads."""

    folder: Path
    hdris: Path | None
    weights: Path
    quality: str
    seed: int
    device: str

    def known(self, prior: Prior | None) -> dict[str, Method]:
        """The methods by name."""
        return methods(prior or load_prior(self.weights, pick_device(self.device)), self.quality, self.seed)

    def mean(self) -> Any:
        """Sums of the set's maps, for the mean of all but one."""
        return _mean_maps(self.folder)

    def lights(self) -> dict[str, Lighting]:
        """The environments to relight by."""
        return _environments(self.hdris)


_mean_maps, _environments = functools.cache(mean_maps), functools.cache(environments)


def _measure(given: tuple[Case, bool], how: _How, prior: Prior | None) -> _Measured:
    """Complete a head by each method, draw it under other light if asked to, and score all that."""
    case, drawn = given
    results, scores, seconds = {}, {}, dict.fromkeys(MEASURED, 0.0)
    for name, method in how.known(prior).items():
        start = time.monotonic()
        results[name] = method(case, *how.mean())
        if name in seconds:
            seconds[name] = time.monotonic() - start
        scores[name] = score(results[name], case.maps, case.known.mask)
        if name == BAKED:
            # It is given the texture: there is nothing to complete.
            scores[name] |= {key: math.nan for key in scores[name] if "texture" in key}
    under = Relit(case.points, how.lights(), case.maps) if drawn else None
    return _Measured(
        Row(case.name, case.name, scores, {}),
        None if under is None else Row(case.name, case.name, {m: under.scores(results[m]) for m in _DRAWN}, {}),
        {} if under is None else under.known,
        Shown.of(case, results[PRIOR], results[MIRROR][TEXTURE], scores),
        case.tone,
        1 - float(case.known.mask.sum() / skin_mask().sum()),
        seconds,
    )


def _write(out: Path, about: dict[str, Any], found: list[_Measured], seed: int) -> dict[str, Any]:
    def summary(rows: list[Row]) -> Summary:
        return summarize(rows, list(MEASURED), seed, lambda m: -m.get(HIDDEN_PSNR, m.get("relit psnr", 0.0)))

    drawn = [head.relit for head in found if head.relit is not None]
    about["identity"] = identity.usual([head.truth for head in found if head.truth])
    maps, relit = summary([head.row for head in found]), summary(drawn) if drawn else None
    tones = {
        tone: summary([head.row for head in found if head.tone == tone]) for tone in sorted({h.tone for h in found})
    }
    judged = verdicts(maps.means)
    table = as_table(about, maps, relit, tones, judged)
    told = {
        **about,
        "passed": all(verdict.passed for verdict in judged),
        "verdicts": [asdict(verdict) for verdict in judged],
        "maps": maps.listed,
        "relit": relit.listed if relit else None,
        "tones": {tone: entry.means for tone, entry in tones.items()},
    }
    rows = [{"name": head.row.name, "tone": head.tone, "scores": head.row.scores} for head in found]
    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.json").write_text(json.dumps(finite({**told, "rows": rows}), indent=1), encoding="utf-8")
    (out / "table.md").write_text(table, encoding="utf-8")
    title = f"{about['set']}: {about['heads']} heads, {about['quality']} quality"
    shown = [head.shown for head in found]
    write_sheet(out / "heads.png", title, shown[:: max(1, len(shown) // SHOWN)][:SHOWN])
    worst = sorted(shown, key=lambda one: -one.error)[:WORST]
    write_sheet(out / "worst_cases.png", f"The {len(worst)} worst, {title}", worst)
    return finite({**told, "table": table})
