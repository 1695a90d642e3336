# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight bench luminet SET --out DIR``: give unseen rooms other light, and compare with the truth."""

from __future__ import annotations

import functools
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from ...backend.batch.farm import each
from ...backend.devices import pick_device
from ...backend.errors import BadInput
from ...backend.luminet.embedded import load_relighter as load_weights
from ...backend.luminet.estimate import LARGE_STEPS, STEPS
from ...backend.luminet.load import EMBEDDED, load_relighter
from ...backend.luminet.relighter import Relighter
from ..finite import finite
from ..limo.statistics import Row, summarize
from .codes import measure_codes
from .methods import LUMINET, MEASURED, methods
from .pairs import KINDS, Pair, draw_pairs, read_sets
from .score import LEADING, Scores, score
from .sheet import Shown, write_sheet
from .table import as_table
from .verdict import verdicts

#: Pairs of each kind; transfers on the sheet, half of each kind, and on the sheet of the worst.
PAIRS, SHOWN, WORST = 120, 24, 10


class _Report(Protocol):
    def progress(self, fraction: float, stage: str) -> None: ...


def run_bench(
    folder: Path,
    out: Path,
    *,
    model: str = EMBEDDED,
    quality: str = "normal",
    limit: int = 0,
    seed: int = 0,
    device: str = "auto",
    relighter: Relighter | None = None,
    ray: str | None = None,
    report: _Report,
) -> dict[str, Any]:
    """Score pairs of a folder of light sets; writes scores.json, table.md, transfers.png and worst_cases.png.

    ``limit``: so many pairs of each kind, 0 for :data:`PAIRS`. ``model`` is "embedded", a file of its weights or a
    folder of the large form; a ``relighter`` given takes its place. ``ray``: the address of a cluster that relights.
    Returns all but the rows.
    """
    if quality not in STEPS:
        raise BadInput(f"The quality is '{quality}'.", f"Use one of {', '.join(STEPS)}.")
    if limit < 0:
        raise BadInput(f"The limit is {limit} pairs.", "Give a positive number, or 0 for all.")
    sets = read_sets(folder)
    count = limit or PAIRS

    def tell(done: int) -> None:
        report.progress(0.9 * done / (len(KINDS) * count), f"{done} of {len(KINDS) * count} pairs relit")

    work = functools.partial(_transfer, relighter=relighter, model=model, quality=quality, seed=seed, device=device)
    pairs = (pair for kind in KINDS for pair in draw_pairs(sets, kind, count, seed))
    done = each(work, pairs, tell, ray=ray, device=device)
    rows: dict[str, list[Row]] = {kind: [row for own, row, _, _ in done if own == kind] for kind in KINDS}
    shown: dict[str, list[Shown]] = {kind: [picture for own, _, picture, _ in done if own == kind] for kind in KINDS}
    spent = sum(seconds for *_, seconds in done)
    report.progress(0.9, "Comparing light codes")
    by_light, by_scene = measure_codes(relighter or load(model, pick_device(device)), sets, seed)
    about = {
        "set": folder.resolve().name,
        "model": Path(model).name,
        "pairs": len(KINDS) * count,
        "scenes": len(sets),
        "quality": quality,
        "seed": seed,
        "seconds_per_transfer": spent / (len(KINDS) * count),
    }
    return _write(out, about, rows, by_light, by_scene, shown, seed)


def _transfer(
    pair: Pair, relighter: Relighter | None, model: str, quality: str, seed: int, device: str
) -> tuple[str, Row, Shown, float]:
    """A pair's kind, its scores and pictures, and the seconds that the relighter took."""
    steps = None if small(model) else LARGE_STEPS[quality]
    known = methods(relighter or load(model, pick_device(device)), quality, steps, seed)
    scores: dict[str, Scores] = {}
    for name, method in known.items():
        start = time.monotonic()
        result = method(pair.source, pair.reference)
        if name == LUMINET:
            spent, picture = time.monotonic() - start, result
        scores[name] = score(result, pair.truth, pair.albedo, pair.solid)
    return pair.kind, Row(pair.name, pair.scene, scores, {}), Shown.of(pair, picture, scores), spent


def small(model: str) -> bool:
    """Whether a name is the embedded form's, or a file of weights for it."""
    return model == EMBEDDED or model.endswith(".safetensors")


@functools.cache
def load(model: str, device: str) -> Relighter:
    """The relighter that a job of this model would use, or the embedded form with a file of other weights."""
    if small(model) and model != EMBEDDED:
        return load_weights(Path(model), device)
    return load_relighter(model, device)


def _write(
    out: Path,
    about: dict[str, Any],
    rows: dict[str, list[Row]],
    by_light: list[Row],
    by_scene: list[Row],
    shown: dict[str, list[Shown]],
    seed: int,
) -> dict[str, Any]:
    transfers = {kind: summarize(found, list(MEASURED), seed, lambda m: m[LEADING]) for kind, found in rows.items()}
    retrieval = summarize(by_light, [], seed, lambda m: -m["top1"])
    intrinsics = summarize(by_scene, [], seed, lambda m: 0.0) if by_scene else None
    judged = verdicts(transfers, retrieval, intrinsics)
    table = as_table(about, transfers, retrieval, intrinsics, judged)
    found = {
        **about,
        "passed": all(verdict.passed for verdict in judged),
        "verdicts": [asdict(verdict) for verdict in judged],
        "transfers": {kind: summary.listed for kind, summary in transfers.items()},
        "retrieval": retrieval.listed,
        "intrinsics": intrinsics.listed if intrinsics else None,
    }
    listed = {
        kind: [{"name": r.name, "scene": r.scene, "scores": r.scores} for r in entry] for kind, entry in rows.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.json").write_text(json.dumps(finite({**found, "rows": listed}), indent=1), encoding="utf-8")
    (out / "table.md").write_text(table, encoding="utf-8")
    title = f"{about['set']}: {about['pairs']} transfers, {about['model']}, {about['quality']} quality"
    spread = [s for entry in shown.values() for s in _spread(entry, SHOWN // len(KINDS))]
    write_sheet(out / "transfers.png", title, spread)
    worst = sorted((s for entry in shown.values() for s in entry), key=lambda s: -s.error)[:WORST]
    write_sheet(out / "worst_cases.png", f"The {len(worst)} worst, {title}", worst)
    return finite({**found, "table": table})


def _spread(shown: list[Shown], most: int) -> list[Shown]:
    """At most so many, evenly taken."""
    count = min(most, len(shown))
    return [shown[i * len(shown) // count] for i in range(count)]
