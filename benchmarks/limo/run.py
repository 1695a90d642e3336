# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight bench limo FOLDER --out DIR``: relight spheres by the estimate, by the truth and by the baselines."""

from __future__ import annotations

import functools
import json
import math
import time
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ...backend.batch.farm import each
from ...backend.depth.estimate import estimate as estimate_depth
from ...backend.devices import pick_device
from ...backend.errors import BadInput
from ...backend.limo.estimate import EFFORTS, estimate, make_painter
from ...backend.limo.painter import SpherePainter
from ...backend.limo.view import Probe, View
from ...backend.optics import panorama as pano
from ...backend.optics.photo import Photo
from ..finite import finite
from .baselines import grey, partial, training_mean, wrapped
from .probe_set import HEIGHT, Case, read_set
from .score import TRUTH, energies, limo_rmse, score
from .sheet import Picture, write_sheet
from .statistics import Row, Summary, grounding, summarize
from .table import as_table

#: Which depth the engine and the partial baseline get: the set's, or the engine's own guess from the picture.
DEPTHS = {"both": ("given", "guessed"), "given": ("given",), "guessed": ("guessed",)}
#: Cases on the contact sheet, spread evenly over the set; and on the sheet of the worst.
SHOWN, WORST = 12, 10


class _Report(Protocol):
    def progress(self, fraction: float, stage: str) -> None: ...


def run_bench(
    folder: Path,
    out: Path,
    *,
    quality: str = "normal",
    limit: int = 0,
    depth: str = "both",
    seed: int = 0,
    device: str = "auto",
    ray: str | None = None,
    report: _Report,
) -> dict[str, Any]:
    """Score every probe of a set; writes scores.json, table.md and two sheets into ``out``; returns all but the rows.

    ``ray``: the address of a cluster that estimates. ``depth`` is a key of :data:`DEPTHS`. The sheets:
    contact_sheet.png, and worst_cases.png by the RMSE of the balls.
    """
    for name, value, known in (("quality", quality, EFFORTS), ("depth", depth, DEPTHS)):
        if value not in known:
            raise BadInput(f"The {name} is '{value}'.", f"Use one of {', '.join(known)}.")
    if limit < 0:
        raise BadInput(f"The limit is {limit} probes.", "Give a positive number, or 0 for all.")
    # Everything is read before anything is computed: a broken scene is told at once.
    cases = list(read_set(folder))[: limit or None]
    start = time.monotonic()

    def tell(done: int) -> None:
        report.progress(done / len(cases), f"{done} of {len(cases)} probes scored")

    work = functools.partial(_score_case, depths=DEPTHS[depth], quality=quality, seed=seed, device=device)
    scored = each(work, cases, tell, ray=ray, device=device)
    rows, pictures = [row for row, _ in scored], [picture for _, picture in scored]
    estimates = [estimate_name(which) for which in DEPTHS[depth]]
    summary = summarize(rows, estimates, seed)
    about = {
        "set": folder.resolve().name,
        "probes": len(cases),
        "scenes": len({case.scene for case in cases}),
        "quality": quality,
        "seed": seed,
        "seconds_per_probe": (time.monotonic() - start) / len(cases),
    }
    return _write(out, about, summary, rows, pictures, estimates)


def _score_case(case: Case, depths: tuple[str, ...], quality: str, seed: int, device: str) -> tuple[Row, Picture]:
    """One probe's scores and picture; models stay loaded for the next."""
    lights = make_lights(case, depths, make_painter("embedded", quality, pick_device(device)), quality, seed)
    scores, shown = score(lights)
    return Row(case.name, case.scene, scores, energies(lights)), Picture.of(case, lights, shown, scores)


def estimate_name(depth: str) -> str:
    """How the engine's answer by that depth is called in tables."""
    return f"estimate, {depth} depth"


def make_lights(
    case: Case, depths: tuple[str, ...], painter: SpherePainter, quality: str, seed: int
) -> dict[str, Tensor]:
    """Estimates, baselines and truth by name, (128, 256, 3) each, camera frame."""
    inputs = {which: (case.view, case.probe) if which == "given" else without_depth(case) for which in depths}
    lights = {}
    for which, (view, probe) in inputs.items():
        (answer,) = estimate(view, [probe], painter=painter, quality=quality, height=HEIGHT, seed=seed)
        lights[estimate_name(which)] = pano.resize(answer.environment, HEIGHT)
    lights["grey"] = grey(case.truth)
    lights["wrapped"] = wrapped(case.view.radiance, HEIGHT)
    for which, (view, probe) in inputs.items():
        lights[f"partial, {which} depth"] = partial(view, probe, HEIGHT)
    return {**lights, "training mean": training_mean(HEIGHT), TRUTH: case.truth}


def without_depth(case: Case) -> tuple[View, Probe]:
    """View and probe as of a photo alone: the engine's guess of depth, and the probe where an artist who sees that
    guess would put it.

    That is its pixel, its size in the picture and how far it hangs in front of what is behind it, as a share of that
    one's distance; in front of the sky, the guess's surface there. Its metres would tell what the depth map does.
    """
    camera = case.view.camera
    found = estimate_depth(Photo(case.view.radiance), camera.fov_x_deg)
    view = View(case.view.radiance, found.depth, camera, None, list(found.warnings))
    distance = -float(case.probe.position[2])
    size = case.probe.radius / distance
    u, v = case.seen_at
    behind = case.view.depth_at(u, v)
    way = min(distance / behind, 1.0) if math.isfinite(behind) else 1 / (1 + size)
    placed = way * -float(Probe.from_pixel(view, u, v, radius=1e-6).position[2])
    return view, Probe(case.probe.name, case.probe.position * (placed / distance), size * placed)


def _write(
    out: Path, about: dict[str, Any], summary: Summary, rows: list[Row], pictures: list[Picture], estimates: list[str]
) -> dict[str, Any]:
    grounded = grounding(rows)
    table = as_table(about, summary, grounded)
    found = {
        **about,
        "best_baseline": summary.best_baseline,
        **summary.listed,
        "grounding": grounded,
    }
    listed = [vars(row) for row in rows]
    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.json").write_text(json.dumps(finite({**found, "rows": listed}), indent=1), encoding="utf-8")
    (out / "table.md").write_text(table, encoding="utf-8")
    columns = [*estimates, TRUTH, summary.best_baseline]
    spread = [pictures[i * len(pictures) // min(SHOWN, len(pictures))] for i in range(min(SHOWN, len(pictures)))]
    worst = sorted(pictures, key=lambda picture: -limo_rmse(picture.scores[estimates[0]]))[:WORST]
    title = f"{about['set']}: {about['probes']} probes, {about['quality']} quality"
    write_sheet(out / "contact_sheet.png", title, spread, columns)
    write_sheet(out / "worst_cases.png", f"The {len(worst)} worst, {title}", worst, columns)
    return finite({**found, "table": table})
