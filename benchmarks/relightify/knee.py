# SPDX-License-Identifier: GPL-3.0-or-later
"""Quality of completed faces against steps, takes, hint and guidance: where more of them stops paying.

``python bridge/launch.py benchmarks.relightify.knee SET [--limit N] [--weights FILE] [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from ...backend.relightify.maps import DIFFUSE, skin_mask
from ...backend.relightify.prior import EFFORTS, WEIGHTS, Effort, Prior, load_prior
from .cases import Case, read_cases
from .score import score

#: What is tried; what the qualities use is among it.
TRIED = (
    Effort(1), Effort(2), Effort(4), Effort(8), Effort(1, takes=4), Effort(2, takes=4), Effort(4, takes=4),
    Effort(4, takes=8), Effort(8, takes=4),
    Effort(4, guidance=1.0), Effort(4, guidance=10.0), Effort(4, repeats=2),
    *(Effort(steps, hint=False) for steps in (1, 8, 24)),
    *(Effort(24, hint=False, guidance=guidance) for guidance in (1.0, 10.0)), Effort(12, hint=False, repeats=2),
)  # fmt: skip


def measure(prior: Prior, cases: list[Case], effort: Effort, seed: int) -> dict[str, float]:
    """Mean scores, seconds of the processor, and the ``detail`` of the albedo as a part of the true one's."""
    rows = []
    for case in cases:
        before = time.process_time()
        found = prior.complete(case.known, effort, seed=seed)
        row = {"processor s": time.process_time() - before, **score(found, case.maps, case.known.mask)}
        hidden = (skin_mask() * (1 - case.known.mask))[0] > 0
        rows.append(row | {"detail": _detail(found[DIFFUSE], hidden) / max(_detail(case.maps[DIFFUSE], hidden), 1e-6)})
    return {key: mean(row[key] for row in rows) for key in rows[0]}


def _detail(planes: Tensor, where: Tensor) -> float:
    """Deviation of what an average over 9 pixels takes away of planes (C, S, S)."""
    smooth = torch.nn.functional.avg_pool2d(planes[None], 9, 1, 4, count_include_pad=False)[0]
    return float((planes - smooth)[:, where].square().mean().sqrt())


def main() -> None:
    """Print the table; write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=24, help="heads")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    prior, cases = load_prior(options.weights), list(read_cases(options.folder, options.limit, options.seed))
    names, rows = {effort: quality for quality, effort in EFFORTS.items()}, []
    for effort in TRIED:
        row = measure(prior, cases, effort, options.seed)
        rows.append({"effort": asdict(effort), "quality": names.get(effort, ""), **row})
        if len(rows) == 1:
            print("| steps | takes | hint | guidance | repeats | quality | " + " | ".join(row) + " |")
            print("| --- " * (6 + len(row)) + "|")
        cells = [*map(str, asdict(effort).values()), names.get(effort, ""), *(f"{value:.3f}" for value in row.values())]
        print("| " + " | ".join(cells) + " |", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"heads": len(cases), "rows": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
