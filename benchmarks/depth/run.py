# SPDX-License-Identifier: GPL-3.0-or-later
"""Score depth models on a folder of views whose depth is known, beside baselines, in one run."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...backend.batch.farm import each
from ...backend.depth.estimate import DEFAULT_FOV_DEG, find_model
from ...backend.depth.perspective import GUESS
from ...backend.devices import pick_device
from ...backend.errors import BadInput
from ...backend.optics.camera import Camera
from ...training.depth.examples import Shot, find_shots
from .score import FARTHEST, Scores, score, summary
from .sheet import Row, write_sheet

#: The baselines' names, and what follows a name where the true field of view was given.
CONSTANT, GROUND, GUESSED, TOLD = "constant depth", "ground plane", "guess", ", given FoV"
WORST = 10
_COLUMNS = {
    "absrel": "AbsRel", "absrel_median": "median", "delta": "δ<1.25", "scale_stops": "scale off, stops",
    "fov_mean": "FoV mean °", "fov_median": "FoV median °", "fov_within_spread": "within spread", "sky_iou": "sky IoU",
}  # fmt: skip


def run_bench(folder: Path, out: Path, *, models: tuple[str, ...] = ("embedded",), limit: int = 0,
              device: str = "cpu", ray: str | None = None, report: Any = None) -> dict[str, Any]:  # fmt: skip
    """Write ``table.md``, ``scores.json`` and pictures of the best, middle and worst into ``out``; returns the table.

    ``folder``: traced samples (``sample_<seed>.npz``) or scenes in the probe-set format. ``ray``: the address of a
    cluster that does the work.
    """
    shots = dict(find_shots(folder))
    if not shots:
        raise BadInput(f"{folder} holds no views.", "Give sample_<seed>.npz files, or image, depth.exr, meta.json.")
    if limit:
        shots = dict(list(shots.items())[:limit])
    middle = float(np.median([shot.camera.fov_x_deg for shot in shots.values()]))

    def tell(done: int) -> None:
        if report is not None:
            report.progress(done / len(shots), f"{done} of {len(shots)} pictures")

    work = functools.partial(_score_shot, models=models, device=device, middle=middle)
    scored = each(work, shots.items(), tell, ray=ray, device=device)
    rows = [row for row, _ in scored]
    scores = {method: [found[method] for _, found in scored] for method in scored[0][1]}
    out.mkdir(parents=True, exist_ok=True)
    table = {method: summary(rows_of) for method, rows_of in scores.items()}
    text = table_text(table)
    (out / "table.md").write_text(text, encoding="utf-8")
    stored = {"summary": table, "pictures": {n: {m: asdict(scores[m][i]) for m in scores} for i, n in enumerate(shots)}}
    (out / "scores.json").write_text(json.dumps(stored, indent=1), encoding="utf-8")
    rows.sort(key=lambda row: -row.scores[models[0]].absrel)
    write_sheet(out / "worst.png", f"The worst of {len(rows)} by {models[0]}", rows[:WORST])
    write_sheet(out / "sheet.png", f"From worst to best of {len(rows)}", rows[:: max(1, len(rows) // 12)])
    return {"table": text, "scores": table, "out": str(out)}


def _score_shot(
    named: tuple[str, Shot], models: tuple[str, ...], device: str, middle: float
) -> tuple[Row, dict[str, Scores]]:
    """A picture's row of the sheet and its scores by method."""
    name, shot = named
    photo = Shot(shot.radiance.clamp(0, 1), *shot[1:])
    found = {method: answer(photo) for method, answer in methods(models, pick_device(device)).items()}
    # The best single number for the whole set: no picture is needed for it.
    found[CONSTANT] = found[CONSTANT][0], middle, 0.0
    scores = {m: score(depth, shot.depth, shot.camera, fov, spread) for m, (depth, fov, spread) in found.items()}
    shown = {m: found[m][0] for m in (GUESSED, *models)}
    return Row(name, photo.radiance, shot.depth, shown, {m: scores[m] for m in shown}), scores


Answerer = Callable[[Shot], tuple[torch.Tensor, float, float]]


@functools.cache
def methods(models: tuple[str, ...], device: str) -> dict[str, Answerer]:
    """Depth, field of view and its spread by every baseline and model, without and with the true field of view."""

    def ask(name: str, told: bool) -> Answerer:
        model = find_model(name, device)

        def answer(shot: Shot) -> tuple[torch.Tensor, float, float]:
            found = model.estimate(shot.radiance, shot.camera.fov_x_deg if told else None)
            return found.depth, found.fov_x_deg, found.fov_spread

        return answer

    def constant(shot: Shot) -> tuple[torch.Tensor, float, float]:
        return torch.full_like(shot.depth, GUESS.wall), DEFAULT_FOV_DEG, 0.0

    def ground(shot: Shot) -> tuple[torch.Tensor, float, float]:
        height, width = shot.depth.shape
        below = -Camera.from_fov(width, height, DEFAULT_FOV_DEG).unit_depth_points()[..., 1]
        return (1.5 / below.clamp(min=1e-4)).clamp(max=FARTHEST / 4), DEFAULT_FOV_DEG, 0.0

    found: dict[str, Answerer] = {CONSTANT: constant, GROUND: ground}
    for name in (GUESSED, *models):
        found |= {name: ask(name, False), name + TOLD: ask(name, True)}
    return found


def table_text(table: dict[str, dict[str, Any]]) -> str:
    """The summary as a Markdown table."""
    lines = ["| depth | " + " | ".join(_COLUMNS.values()) + " |", "| --- " * (len(_COLUMNS) + 1) + "|"]
    for method, row in table.items():
        numbers = ["–" if row[key] is None else f"{row[key]:.3f}" for key in _COLUMNS]
        lines.append(f"| {method} | {' | '.join(numbers)} |")
    pictures = next(iter(table.values()))["pictures"]
    return "\n".join([*lines, "", f"{pictures} pictures; depth aligned by the medians' ratio."]) + "\n"
