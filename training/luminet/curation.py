# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the pictures, or pairs of them, that look like well lit photographs to a CLIP model (methods.md §3.4).

``python bridge/launch.py training.luminet.curation --pictures DIR --clip FOLDER --out kept.json``
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...backend.console import run
from ...backend.devices import pick_device
from ...backend.errors import BadInput
from ...backend.limo.frames import PICTURES
from ...backend.limo.output import write_json
from ...backend.optics.exposure import expose
from ...backend.optics.photo import read_photo
from .clip import Clip, Scorer

#: What the paper's filter asks for.
KEYWORDS = ("photo-realistic", "good lighting", "illumination")
#: Cosines differ between CLIP models by more than between pictures, so that by default a share is dropped.
LOWEST_SHARE = 0.2
_BATCH = 16
_LOWEST = "lowest share"

#: Names of pictures, relative to their folder, that are kept or dropped together: one, or those of a pair.
Item = tuple[str, ...]


@dataclass(frozen=True)
class Thresholds:
    """What is dropped: an item below ``least`` cosine with a keyword; then, of all items, the ``lowest_share`` by their
    mean over the keywords."""

    least: Mapping[str, float] = field(default_factory=dict)
    lowest_share: float = 0.0

    def check(self, keywords: Sequence[str]) -> None:
        """Raise :class:`BadInput` for what is out of range or names no keyword."""
        if not 0 <= self.lowest_share < 1:
            raise BadInput(f"The lowest share is {self.lowest_share:g}.", "Give a share from 0 to below 1, e.g. 0.2.")
        for keyword, value in self.least.items():
            if keyword not in keywords:
                raise BadInput(f"'{keyword}' is not a keyword.", f"Give a threshold for {', '.join(keywords)}.")
            if not -1 <= value <= 1:
                raise BadInput(f"The threshold of '{keyword}' is {value:g}.", "Give a cosine from -1 to 1.")


def find_items(folder: Path, pairs: Path | None = None) -> list[Item]:
    """Every picture in a folder and those below it, or the pairs in a JSON file: a list of lists of names in there."""
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}.", "Check the path.")
    if pairs is None:
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES and not p.name.startswith("."))
        items: list[Item] = [(p.relative_to(folder).as_posix(),) for p in files]
    else:
        try:
            told = json.loads(pairs.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"{pairs} is not a list of pairs ({error}).", 'Write [["a.png", "b.png"], ...].') from error
        # A name in the place of a list would be taken for its letters.
        lists = isinstance(told, list) and all(isinstance(names, list) and names for names in told)
        if not lists or not all(isinstance(name, str) for names in told for name in names):
            raise BadInput(f"{pairs} is not a list of pairs of names.", 'Write [["a.png", "b.png"], ...].')
        items = [tuple(names) for names in told]
    if not items:
        raise BadInput(f"There are no pictures to score in {pairs or folder}.", "Name a folder of pictures.")
    return items


def score_pictures(
    folder: Path,
    names: Sequence[str],
    keywords: Sequence[str],
    scorer: Scorer,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Cosines (K,) with the keywords of each picture that can be read, and of the others the reason why not."""
    scores: dict[str, Tensor] = {}
    failed: dict[str, str] = {}
    for first in range(0, len(names), _BATCH):
        pictures = {}
        for name in names[first : first + _BATCH]:
            try:
                shown = expose(read_photo(folder / name).radiance, 0.0)
                pictures[name] = (shown * 255).round().to(torch.uint8).numpy()
            except BadInput as error:
                failed[name] = error.text
        if pictures:
            found = scorer.scores(list(pictures.values()), keywords)
            scores.update(zip(pictures, found, strict=True))
        done = min(first + _BATCH, len(names))
        progress(done / len(names), f"Picture {done} of {len(names)}")
    return scores, failed


def judge(scores: Tensor, keywords: Sequence[str], thresholds: Thresholds) -> list[list[str]]:
    """Of each row of ``scores`` (N, K) why it is dropped: keywords whose cosine is low, "lowest share", or nothing."""
    why = [[k for j, k in enumerate(keywords) if row[j] < thresholds.least.get(k, -math.inf)] for row in scores]
    lowest = scores.mean(1).argsort(stable=True)[: math.floor(thresholds.lowest_share * len(scores))]
    for row in lowest.tolist():
        why[row].append(_LOWEST)
    return why


def curate(
    folder: Path,
    out: Path,
    scorer: Scorer,
    *,
    thresholds: Thresholds,
    keywords: Sequence[str] = KEYWORDS,
    pairs: Path | None = None,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
) -> dict[str, Any]:
    """Score, drop, and write to ``out`` (JSON) the thresholds, the counts and what was kept and dropped; returns it.

    A pair has the lower score of its pictures for each keyword: one implausible picture spoils it.
    """
    thresholds.check(keywords)
    items = find_items(folder, pairs)
    names = sorted({name for item in items for name in item})
    scores, failed = score_pictures(folder, names, keywords, scorer, progress)
    whole = [item for item in items if all(name in scores for name in item)]
    table = torch.stack([torch.stack([scores[n] for n in item]).amin(0) for item in whole]) if whole else None
    verdicts = judge(table, keywords, thresholds) if table is not None else []
    entries = [
        {"pictures": list(item), "scores": _rounded(keywords, row), **({"why": why} if why else {})}
        for item, row, why in zip(whole, table if table is not None else [], verdicts, strict=True)
    ]
    kept = [entry for entry in entries if "why" not in entry]
    reasons = Counter(reason for why in verdicts for reason in why)
    summary = {
        "version": 1,
        "folder": str(folder),
        "clip": scorer.name,
        "keywords": list(keywords),
        "thresholds": asdict(thresholds),
        "counts": {
            "seen": len(items), "kept": len(kept), "dropped": len(entries) - len(kept),
            "unreadable": len(items) - len(whole), "dropped_by": {k: reasons[k] for k in (*keywords, _LOWEST)},
        },
        "scores": _distribution(keywords, table),
        "kept": kept,
        "dropped": [entry for entry in entries if "why" in entry],
        "failed": failed,
    }  # fmt: skip
    write_json(out, summary)
    return summary


def _rounded(keywords: Sequence[str], row: Tensor) -> dict[str, float]:
    return {keyword: round(float(value), 4) for keyword, value in zip(keywords, row, strict=True)}


def _distribution(keywords: Sequence[str], table: Tensor | None) -> dict[str, dict[str, float]]:
    """What the scores span, by which a threshold is chosen."""
    if table is None:
        return {}
    levels = {"lowest": 0.0, "tenth": 0.1, "median": 0.5, "highest": 1.0}
    return {name: _rounded(keywords, torch.quantile(table, level, dim=0)) for name, level in levels.items()}


def _least(texts: Sequence[str], keywords: Sequence[str]) -> dict[str, float]:
    """Thresholds from the command line: a number for all keywords, or KEYWORD=number."""
    found: dict[str, float] = {}
    for text in texts:
        keyword, _, value = text.rpartition("=")
        try:
            found.update({k: float(value) for k in ([keyword] if keyword else keywords)})
        except ValueError as error:
            raise BadInput(f"'{text}' is not a threshold.", "Give a number or KEYWORD=number.") from error
    return found


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Keep the pictures that look like well lit photographs to CLIP.")
    parser.add_argument("--pictures", type=Path, required=True, help="a folder; those below it count too")
    parser.add_argument("--clip", type=Path, required=True, help="a CLIP model's folder in transformers' layout")
    parser.add_argument("--out", type=Path, required=True, help="the JSON that lists what was kept")
    parser.add_argument("--pairs", type=Path, help="a JSON list of lists of names in the folder")
    parser.add_argument("--keyword", action="append", help=f"in place of {', '.join(KEYWORDS)}")
    parser.add_argument("--least", action="append", default=[], help="a cosine for all keywords, or KEYWORD=cosine")
    parser.add_argument("--lowest-share", type=float, help=f"drop this share; {LOWEST_SHARE:g} without --least")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    keywords = given.keyword or KEYWORDS
    share = given.lowest_share if given.lowest_share is not None else 0.0 if given.least else LOWEST_SHARE
    run(
        lambda report: curate(
            given.pictures, given.out, Clip(given.clip, pick_device(given.device)), keywords=keywords,
            thresholds=Thresholds(_least(given.least, keywords), share), pairs=given.pairs, progress=report.progress,
        ),
        False,
        lambda summary: print(
            "{kept} of {seen} kept, {dropped} dropped, {unreadable} unreadable".format(**summary["counts"])
        ),
        given.device,
    )  # fmt: skip


if __name__ == "__main__":
    main()
