# SPDX-License-Identifier: GPL-3.0-or-later
"""Quality against the painter's steps and takes: where more of them stops paying.

``python bridge/launch.py benchmarks.limo.knee PROBE_SET [--limit N] [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import mean

import torch

from ...backend.limo.embedded.paint import EmbeddedPainter
from ...backend.limo.estimate import EFFORTS, estimate
from ...backend.optics import metrics
from ...backend.optics import panorama as pano
from .probe_set import HEIGHT, Case, read_set
from .score import TRUTH
from .spheres import LIMO, limo_balls

#: Steps and takes that are tried; what the qualities use is among them.
TRIED = ((1, 1), (2, 1), (4, 1), (8, 1), (1, 2), (1, 8), (2, 8), (3, 8), (2, 14), (4, 16), (8, 16))


def measure(cases: list[Case], steps: int, takes: int, seed: int) -> dict[str, float]:
    """Mean RMSE of the mirror and the diffuse ball, and the processor's seconds a probe, fit and all."""
    painter = EmbeddedPainter(takes=takes)
    mirror, diffuse = [], []
    before = time.process_time()
    spent = 0.0
    for case in cases:
        (answer,) = estimate(case.view, [case.probe], painter=painter, steps=steps, height=HEIGHT, seed=seed)
        spent += time.process_time() - before
        balls = limo_balls({"estimate": pano.resize(answer.environment, HEIGHT), TRUTH: case.truth})
        errors = {
            ball: metrics.scores(balls["estimate"][ball], balls[TRUTH][ball], LIMO.mask)["rmse"]
            for ball in ("mirror", "diffuse")
        }
        mirror.append(errors["mirror"])
        diffuse.append(errors["diffuse"])
        before = time.process_time()
    return {"mirror_rmse": mean(mirror), "diffuse_rmse": mean(diffuse), "processor_s": spent / len(cases)}


def main() -> None:
    """Print the table; write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=24, help="probes, spread evenly over the set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cases = list(read_set(options.folder))
    count = min(options.limit, len(cases))
    cases = [cases[i * len(cases) // count] for i in range(count)]
    names = {(effort.steps, effort.takes): quality for quality, effort in EFFORTS.items()}
    rows = []
    print("| steps | takes | quality | mirror RMSE | diffuse RMSE | processor s a probe |")
    print("| --- | --- | --- | --- | --- | --- |")
    for steps, takes in TRIED:
        row = measure(cases, steps, takes, options.seed)
        rows.append({"steps": steps, "takes": takes, **row})
        print(
            f"| {steps} | {takes} | {names.get((steps, takes), '')} | {row['mirror_rmse']:.3f}"
            f" | {row['diffuse_rmse']:.3f} | {row['processor_s']:.2f} |",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({"probes": count, "rows": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
