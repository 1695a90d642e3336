# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight bench limo-video FOLDER --out DIR``: light over time against frames estimated one by one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch

from ...backend.devices import pick_device
from ...backend.errors import BadInput
from ...backend.limo.estimate import EFFORTS
from ...backend.optics.lpips import Lpips
from ..finite import finite
from .score import TRUTH
from .statistics import Row, summarize
from .video_methods import HELD, OVER_TIME, Method, light_of, make_methods
from .video_score import WITHOUT_WEIGHTS, Distances, Shown, motions, score
from .video_set import Sequence, find_sequences, read_sequence
from .video_sheet import Strip, write_strips
from .video_table import as_table, verdicts

#: Sequences on the sheet.
SHOWN = 6


class _Report(Protocol):
    def progress(self, fraction: float, stage: str) -> None: ...


def run_bench(
    folder: Path,
    out: Path,
    *,
    quality: str = "normal",
    limit: int = 0,
    seed: int = 0,
    device: str = "auto",
    lpips: Path | None = None,
    methods: dict[str, Method] | None = None,
    report: _Report,
) -> dict[str, Any]:
    """Score the sequences of a set; writes scores.json, table.md, strips.png into ``out``; returns all but the rows.

    ``limit``: so many sequences of each family, 0 for all. What was found stays in ``out``/lights, so that a broken run
    goes on: use another folder after a change of the engine. ``lpips``: weights for T-LPIPS, see
    :mod:`limelight.backend.optics.lpips`. ``methods`` given take the place of the engine's.
    """
    if quality not in EFFORTS:
        raise BadInput(f"The quality is '{quality}'.", f"Use one of {', '.join(EFFORTS)}.")
    if limit < 0:
        raise BadInput(f"The limit is {limit} sequences.", "Give a positive number, or 0 for all.")
    sequences = list(_some(folder, limit))
    known = methods or make_methods(quality, seed, pick_device(device))
    distances: Distances = {**WITHOUT_WEIGHTS, **({} if lpips is None else {"t_lpips": Lpips(lpips)})}
    rows, strips = [], []
    seconds = dict.fromkeys(known, 0.0)
    for index, sequence in enumerate(sequences):

        def tell(part: float, name: str, done: int = index, of: str = sequence.name) -> None:
            report.progress((done + part) / len(sequences), f"Scoring {of} {name}")

        shown, spent = _show(sequence, known, out / "lights" / f"{quality}_{seed}", tell)
        moves = motions(sequence)
        scores = {name: score(balls, shown[TRUTH], moves, distances) for name, balls in shown.items()}
        rows.append(Row(sequence.name, sequence.scene, scores, {}))
        strips.append(Strip.of(sequence, {name: balls for name, balls in shown.items() if name != HELD}))
        seconds = {name: total + spent[name] / len(sequences) for name, total in seconds.items()}
    about = {
        "set": folder.resolve().name, "sequences": len(sequences), "frames": len(sequences[0].cases),
        "quality": quality, "seed": seed, "seconds_per_frame": seconds,
        "families": _counts([sequence.family for sequence in sequences]),
    }  # fmt: skip
    return _write(out, about, rows, [sequence.family for sequence in sequences], strips)


def _some(folder: Path, limit: int) -> Iterator[Sequence]:
    """The sequences, at most ``limit`` of each family."""
    taken: dict[str, int] = {}
    for path in find_sequences(folder):
        for sequence in read_sequence(path):
            if not limit or taken.get(sequence.family, 0) < limit:
                taken[sequence.family] = taken.get(sequence.family, 0) + 1
                yield sequence


def _show(
    sequence: Sequence, known: dict[str, Method], kept: Path, tell: Callable[[float, str], None]
) -> tuple[dict[str, Shown], dict[str, float]]:
    """The balls of a sequence under the truth and each method's light, and seconds a frame of each method."""
    shown = {TRUTH: Shown.of(torch.stack([case.truth for case in sequence.cases]))}
    seconds = {}
    for turn, (name, method) in enumerate(known.items()):
        tell(turn / len(known), name)
        light, seconds[name] = light_of(name, method, sequence, kept)
        shown[name] = Shown.of(light)
        if name == OVER_TIME:
            shown[HELD] = Shown.of(light[:1].expand(len(light), -1, -1, -1))
    return shown, seconds


def _counts(names: list[str]) -> dict[str, int]:
    return {name: names.count(name) for name in dict.fromkeys(names)}


def _write(
    out: Path, about: dict[str, Any], rows: list[Row], families: list[str], strips: list[Strip]
) -> dict[str, Any]:
    def rank(means: dict[str, float]) -> float:
        return means["mirror.rmse"]

    summary = summarize(rows, [OVER_TIME], about["seed"], rank)
    parts = {
        family: summarize(
            [row for row, of in zip(rows, families, strict=True) if of == family], [OVER_TIME], about["seed"], rank
        )
        for family in about["families"]
    }
    judged = verdicts(summary.means)
    table = as_table(about, summary, parts, judged)
    found = {
        **about,
        "passed": all(verdict.passed for verdict in judged),
        "verdicts": [asdict(verdict) for verdict in judged],
        "means": summary.means,
        "intervals": summary.intervals,
        "by_family": {family: part.means for family, part in parts.items()},
    }
    listed = [{"name": row.name, "scene": row.scene, "scores": row.scores} for row in rows]
    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.json").write_text(json.dumps(finite({**found, "rows": listed}), indent=1), encoding="utf-8")
    (out / "table.md").write_text(table, encoding="utf-8")
    shown = [strips[i * len(strips) // min(SHOWN, len(strips))] for i in range(min(SHOWN, len(strips)))]
    write_strips(out / "strips.png", f"{about['set']}, {about['quality']} quality", shown)
    return finite({**found, "table": table})
