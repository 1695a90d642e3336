# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight bench splats``: learnt splats with material against Cycles' truth and against baselines."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...backend.errors import BadInput
from ...backend.limo.output import write_json
from ...backend.limo.report import PartReport, Report
from ..finite import finite
from . import models, textured
from .cases import MESH, Case, read_cases
from .models import BASE, CONSTANT, FULL, PHOTOGRAPHED, PLAIN, SHOWN, TEXTURED, UNDISTILLED, Effort, Learnt
from .score import Scores, score
from .sheet import write_sheet
from .table import as_table
from .verdict import verdicts

#: "draft" is for two cores and pictures of about 100 pixels; "high" wants a GPU.
EFFORTS = {
    "draft": Effort(400, 4_000, 128), "normal": Effort(6_000, 20_000, 512), "high": Effort(75_000, 500_000, 1024),
}  # fmt: skip
#: Iterations for the constant material and its light, as a part of the training's.
_CONSTANT = 0.15


def run_bench(
    folder: Path,
    out: Path,
    *,
    quality: str = "normal",
    limit: int = 0,
    seed: int = 0,
    device: str = "auto",
    report: Report,
) -> dict[str, Any]:
    """Train and score the objects of a set; writes scores.json, table.md and a sheet an object. Returns all of it.

    What is trained stays in ``out``; called again, a broken run goes on where it stopped.
    """
    if quality not in EFFORTS:
        raise BadInput(f"The quality is '{quality}'.", f"Use one of {', '.join(EFFORTS)}.")
    if limit < 0:
        raise BadInput(f"The limit is {limit} objects.", "Give a positive number, or 0 for all.")
    cases, effort, began = read_cases(folder, limit), EFFORTS[quality], time.monotonic()
    scores: dict[str, dict[str, Scores]] = {}
    for number, case in enumerate(cases):
        part = PartReport(report, number / len(cases), 1 / len(cases), case.name)
        scores[case.name] = measured(case, out / quality / case.name, effort, seed, device, part)
        _write(out, folder, cases, scores, effort, time.monotonic() - began)
    return _write(out, folder, cases, scores, effort, time.monotonic() - began)


def measured(case: Case, work: Path, effort: Effort, seed: int, device: str, report: Report) -> dict[str, Scores]:
    """Scores of all methods on an object; those that are there already are read."""
    saved = work / "scores.json"
    known = {"effort": asdict(effort), "seed": seed}
    case.claim(work, **known)
    if saved.is_file():
        told = json.loads(saved.read_text(encoding="utf-8"))
        if {key: told[key] for key in known} == known:
            return {m: {k: math.nan if v is None else v for k, v in s.items()} for m, s in told["scores"].items()}
    found = learnt(case, work, effort, seed, device, report)
    scores, scales = {}, {}
    for number, (name, model) in enumerate(found.items()):
        report.progress(0.9 + 0.1 * number / len(found), f"measuring {name}")
        scores[name], scales[name] = score(case, model, name, report.check)
    write_sheet(work.parent.parent / f"{case.name}.png", case, found, scores, scales)
    write_json(saved, finite({**known, "scores": scores}))
    return scores


def learnt(case: Case, work: Path, effort: Effort, seed: int, device: str, report: Report) -> dict[str, Learnt]:
    """All methods, trained on an object or taken from what is there; those on its mesh if the set has it."""
    files: dict[str, Path] = {}
    for variant, first, share in (("plain", 0.0, 0.15), ("full", 0.15, 0.3), ("undistilled", 0.45, 0.3)):
        part = PartReport(report, first, share, variant)
        files[variant] = models.trained(case.folder, work / f"{variant}.ply", variant, effort, seed, device, part)
    plain = models.plain(files["plain"])
    report.progress(0.75, "constant material")
    constant = models.constant_material(plain, case.scene, round(_CONSTANT * effort.iterations), seed)
    found: dict[str, Learnt] = {
        FULL: models.load(files["full"]),
        SHOWN: models.plain(files["full"]),
        UNDISTILLED: models.load(files["undistilled"]),
        CONSTANT: constant,
        BASE: models.base_colour(plain),
        PLAIN: plain,
    }
    if (case.folder / MESH).is_file():
        part = PartReport(report, 0.8, 0.1, TEXTURED)
        found[TEXTURED] = mesh = textured.trained(case, work / "textured", effort, seed, device, part)
        found[PHOTOGRAPHED] = textured.photographed(mesh)
    return found


def _write(
    out: Path, folder: Path, cases: list[Case], scores: Mapping[str, Mapping[str, Scores]], effort: Effort,
    seconds: float,
) -> dict[str, Any]:  # fmt: skip
    scene = cases[0].scene
    about = {
        "set": folder.resolve().name, **asdict(effort), "views": len(scene.train), "tests": len(scene.test),
        "size": scene.train[0].camera.lens.width, "lights": len(cases[0].lights), "seconds": seconds,
    }  # fmt: skip
    judged = verdicts(scores)
    told = {**about, "passed": all(verdict.passed for verdict in judged), "verdicts": [asdict(v) for v in judged]}
    table = as_table(about, scores, judged)
    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.json").write_text(json.dumps(finite({**told, "scores": scores}), indent=1), encoding="utf-8")
    (out / "table.md").write_text(table, encoding="utf-8")
    return finite({**told, "scores": scores, "table": table})  # type: ignore[no-any-return]
