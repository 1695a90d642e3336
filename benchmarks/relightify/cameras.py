# SPDX-License-Identifier: GPL-3.0-or-later
"""Completed faces against how strong a camera makes colours, over all heads and by skin tone.

``python bridge/launch.py benchmarks.relightify.cameras SET [--limit N] [--weights FILE...] [--json FILE]``

A picture does not tell whether skin is colourful or its camera is, so nothing can be right for all of them. The
baseline is the mean albedo of all other heads, which looks at no photo.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from ...backend.optics.exposure import saturate, srgb_eotf, srgb_oetf
from ...backend.relightify.maps import DIFFUSE, TEXTURE
from ...backend.relightify.prior import EFFORTS, WEIGHTS, load_prior
from ...backend.relightify.records import PartialTexture
from ...synthesis.skin.person import TONES
from .cases import Case, mean_maps, read_cases
from .score import DIFFUSE_RMSE, HIDDEN_PSNR, score

#: How many times as far from grey colours are.
STRENGTHS = (0.75, 0.87, 1.0, 1.15, 1.32, 1.52)


def photographed(case: Case, strength: float) -> Case:
    """The head by a camera that makes its colours ``strength`` times as strong; the albedo stays."""
    maps = case.maps.clone()
    linear = saturate(srgb_eotf(maps[TEXTURE]).movedim(0, -1), strength).movedim(-1, 0)
    maps[TEXTURE] = srgb_oetf(linear.clamp(0, 1))
    return replace(case, maps=maps, known=PartialTexture(maps[TEXTURE] * case.known.mask, case.known.mask))


def measure(weights: Path, cases: list[Case], quality: str, seed: int) -> list[dict[str, float]]:
    """A row for every strength and head: errors, its tone."""
    prior, rows = load_prior(weights), []
    for strength in STRENGTHS:
        for given in cases:
            case = photographed(given, strength)
            scores = score(prior.complete(case.known, EFFORTS[quality], seed=seed), case.maps, case.known.mask)
            found = {key: scores[key] for key in (HIDDEN_PSNR, DIFFUSE_RMSE)}
            rows.append({"strength": strength, "tone": case.tone, **found})
    return rows


def as_table(rows: list[dict[str, float]], baseline: float) -> str:
    """Markdown: a line a strength, the albedo's error over all and by tone."""
    tones = sorted({int(row["tone"]) for row in rows})
    lines = ["| colours | hidden, dB | diffuse | " + " | ".join(TONES[tone] for tone in tones) + " |"]
    lines.append("| --- " * (3 + len(tones)) + "|")
    for strength in (*STRENGTHS, None):
        chosen = [row for row in rows if strength in (None, row["strength"])]
        cells = [f"{mean(row[DIFFUSE_RMSE] for row in chosen if row['tone'] == tone):.4f}" for tone in tones]
        name = "all" if strength is None else f"× {strength:g}"
        whole = f"{mean(row[HIDDEN_PSNR] for row in chosen):.2f} | {mean(row[DIFFUSE_RMSE] for row in chosen):.4f}"
        lines.append(f"| {name} | {whole} | " + " | ".join(cells) + " |")
    lines.append(f"| mean of other heads | – | {baseline:.4f} | " + "– | " * len(tones))
    return "\n".join(line.rstrip() for line in lines)


def of_the_others(folder: Path, cases: list[Case]) -> float:
    """The error of the mean albedo of all heads but the one that is asked for."""
    total, count = mean_maps(folder)

    def error(case: Case) -> float:
        guessed: Tensor = case.maps.clone()
        guessed[DIFFUSE] = ((total - case.maps) / (count - 1))[DIFFUSE]
        return score(guessed, case.maps, case.known.mask)[DIFFUSE_RMSE]

    return mean(error(case) for case in cases)


def main() -> None:
    """Print a table for each file of weights; write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=0, help="heads; 0 for all")
    parser.add_argument("--weights", type=Path, nargs="+", default=[WEIGHTS])
    parser.add_argument("--quality", choices=list(EFFORTS), default="normal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cases = list(read_cases(options.folder, options.limit, options.seed))
    baseline, told = of_the_others(options.folder, cases), {}
    for weights in options.weights:
        told[weights.name] = measure(weights, cases, options.quality, options.seed)
        print(f"{weights.name}, {len(cases)} heads, {options.quality} quality\n")
        print(as_table(told[weights.name], baseline) + "\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"mean of others": baseline, "rows": told}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
