# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight bench limo FOLDER --out DIR``: relight spheres by the estimate, by the truth and by the baselines."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...backend.depth.estimate import estimate_depth
from ...backend.devices import pick_device
from ...backend.limo.estimate import estimate, make_painter
from ...backend.limo.view import View
from ...backend.optics import metrics, shading
from ...backend.optics.exposure import expose
from ...backend.optics.sphere import SphereView
from .baselines import HEIGHT, baselines
from .probe_set import Case, read_set

_VIEW = SphereView(torch.tensor([0.0, 0.0, -8.0]), 0.5, 64)
_SHOWN = ("rmse", "si_rmse_log", "si_rmse_ls", "ssim", "colour_angle")


class _Report(Protocol):
    def progress(self, fraction: float, stage: str) -> None: ...


def relight(panorama: Tensor) -> dict[str, Tensor]:
    """Display pictures at EV 0 of the protocol's four balls under a camera-frame map."""
    balls = {
        "mirror": shading.mirror_sphere(panorama, _VIEW),
        "glossy": shading.glossy_sphere(panorama, _VIEW, 0.25),
        "matte": shading.glossy_sphere(panorama, _VIEW, 0.5),
        "diffuse": shading.diffuse_sphere(panorama, _VIEW),
    }
    return {name: expose(ball, 0) for name, ball in balls.items()}


def run_bench(
    folder: Path,
    out: Path,
    *,
    quality: str = "normal",
    limit: int = 0,
    given_depth: bool = True,
    seed: int = 0,
    device: str = "auto",
    report: _Report,
) -> dict[str, Any]:
    """Score every probe of a set; writes scores.json, table.md and contact_sheet.png into ``out``; returns the means.

    ``given_depth`` uses the set's depth, otherwise the engine's own estimate from the picture.
    """
    cases = list(read_set(folder))[: limit or None]
    painter = make_painter("embedded", quality, pick_device(device))
    rows: list[dict[str, Any]] = []
    pictures = []
    start = time.monotonic()
    for index, case in enumerate(cases):
        report.progress(index / len(cases), f"Scoring {case.name}")
        view = case.view if given_depth else without_depth(case)
        (answer,) = estimate(view, [case.probe], painter=painter, quality=quality, height=HEIGHT, seed=seed)
        lights = {"estimate": answer.environment, **baselines(case)}
        target = relight(case.truth)
        shown = {name: relight(light) for name, light in lights.items()}
        scores = {
            name: {ball: metrics.scores(balls[ball], target[ball], _VIEW.mask) for ball in target}
            | {"energy_ratio": metrics.energy_ratio(lights[name], case.truth),
               "peak_direction_error_deg": metrics.peak_direction_error(lights[name], case.truth)}
            for name, balls in shown.items()
        }  # fmt: skip
        rows.append({"name": case.name, "scores": scores})
        pictures.append(_strip(case, target, shown))
    means = average(rows)
    table = as_table(means)
    out.mkdir(parents=True, exist_ok=True)
    seconds = (time.monotonic() - start) / max(1, len(cases))
    summary = {"set": folder.name, "probes": len(cases), "quality": quality, "given_depth": given_depth,
               "seconds_per_probe": seconds, "means": means}  # fmt: skip
    (out / "scores.json").write_text(json.dumps({**summary, "rows": rows}, indent=1), encoding="utf-8")
    (out / "table.md").write_text(table, encoding="utf-8")
    worst = sorted(range(len(rows)), key=lambda i: -rows[i]["scores"]["estimate"]["mirror"]["rmse"])[:4]
    chosen = sorted({*range(0, len(rows), max(1, len(rows) // 8)), *worst})
    Image.fromarray(np.concatenate([pictures[i] for i in chosen])).save(out / "contact_sheet.png")
    return {**summary, "table": table}


def without_depth(case: Case) -> View:
    """The case's view with the depth that the engine would estimate."""
    depth, notes = estimate_depth(case.view.radiance, case.view.camera)
    return View(case.view.radiance, depth, case.view.camera, None, list(notes))


def average(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean of every score over the probes, by method and ball."""
    means: dict[str, Any] = {}
    for method in rows[0]["scores"]:
        entries = [row["scores"][method] for row in rows]
        means[method] = {
            key: {m: float(np.mean([e[key][m] for e in entries])) for m in value}
            if isinstance(value, dict)
            else float(np.mean([e[key] for e in entries]))
            for key, value in entries[0].items()
        }
    return means


def as_table(means: dict[str, Any]) -> str:
    """Markdown: a row a method and ball."""
    lines = ["| method | ball | " + " | ".join(_SHOWN) + " |", "| --- " * (2 + len(_SHOWN)) + "|"]
    for method, balls in means.items():
        for ball in ("mirror", "glossy", "matte", "diffuse"):
            numbers = " | ".join(f"{balls[ball][name]:.3f}" for name in _SHOWN)
            lines.append(f"| {method} | {ball} | {numbers} |")
    return "\n".join(lines)


def _strip(case: Case, target: dict[str, Tensor], shown: dict[str, dict[str, Tensor]]) -> np.ndarray:
    """Photo, true balls, estimated balls, baselines' balls in one row."""
    photo = case.view.resized(96, 64).radiance
    tiles = [expose(photo, 0), *(target[ball] for ball in ("mirror", "diffuse"))]
    for balls in shown.values():
        tiles += [balls["mirror"], balls["diffuse"]]
    return (torch.cat(tiles, 1).clamp(0, 1).numpy() * 255 + 0.5).astype(np.uint8)
