# SPDX-License-Identifier: GPL-3.0-or-later
"""What each part of the splats' training is worth: ``launch.py benchmarks.splats.ablation SET --out DIR``.

Every variant is trained on the same objects with the same budget and scored as in ``bench splats``. A sheet for each
object shows the progress map after every stage. Called again, a broken run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ...backend.limo.output import write_json
from ...backend.limo.report import SilentReport
from ...backend.splats.train import sheet
from ...backend.splats.train.distillation import work_folder
from ...backend.splats.train.stages import STAGES, VARIANTS
from ..finite import finite
from . import models
from .cases import Case, read_cases
from .models import FULL, Effort
from .run import EFFORTS
from .score import ALBEDO_SCALED, METALLIC, NORMAL, NOVEL, ROUGHNESS, SCALED, SCALED_OBJECT, SKY, Scores, score

#: What is told of a variant, with digits.
_TOLD = {NOVEL: 2, SCALED: 2, SCALED_OBJECT: 2, NORMAL: 1, ALBEDO_SCALED: 2, ROUGHNESS: 3, METALLIC: 3, SKY: 2}
_SIDE, _GAP, _NAME, _LINE = 112, 4, 130, 18
_PAPER, _INK = (28, 28, 30), (236, 234, 228)
#: Those that are trained; plain splats have no material.
TRIED = tuple(name for name in VARIANTS if name != "plain")


def run_ablation(
    cases: list[Case], out: Path, effort: Effort, tried: tuple[str, ...], seed: int = 0
) -> dict[str, dict[str, Scores]]:
    """Scores by object and variant; writes scores.json, table.md and a sheet an object after each training."""
    found: dict[str, dict[str, Scores]] = {}
    for case in cases:
        for variant in tried:
            work = out / case.name / variant.replace(" ", "_")
            case.claim(work, effort=asdict(effort), seed=seed)
            saved = work / "scores.json"
            if not saved.is_file():
                file = models.trained(case.folder, work / "splats.ply", variant, effort, seed, "auto", SilentReport())
                scores, _ = score(case, models.load(file), FULL)
                write_json(saved, finite(scores))
            told = json.loads(saved.read_text(encoding="utf-8"))
            found.setdefault(case.name, {})[variant] = told
            (out / "table.md").write_text(as_table(found, effort), encoding="utf-8")
            progress_sheet(out / f"{case.name}_progress.png", out / case.name, list(found[case.name]))
    return found


def as_table(found: dict[str, dict[str, Scores]], effort: Effort) -> str:
    """Markdown: a table for each object."""
    lines = [f"# Parts of the training, {effort.iterations} iterations, at most {effort.gaussians} Gaussians"]
    for name, variants in found.items():
        lines += ["", f"## {name}", "", "| variant | " + " | ".join(_TOLD) + " |", "| --- " * (len(_TOLD) + 1) + "|"]
        for variant, scores in variants.items():
            cells = ["–" if scores[key] is None else f"{scores[key]:.{digits}f}" for key, digits in _TOLD.items()]
            lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def progress_sheet(path: Path, folder: Path, variants: list[str]) -> None:
    """A row a variant: the progress map of the first view after each stage that it has, and its last picture."""
    names = [*(f"after {stage.name}" for stage in STAGES), "picture", "physical", "truth"]
    wide, high = _NAME + len(names) * (_SIDE + _GAP), _LINE + len(variants) * (_SIDE + _GAP)
    picture = Image.new("RGB", (wide, high), _PAPER)
    pen = ImageDraw.Draw(picture)
    for x, name in enumerate(names):
        pen.text((_NAME + x * (_SIDE + _GAP), 3), name, _INK, ImageFont.load_default(11))
    for y, variant in enumerate(variants):
        top = _LINE + y * (_SIDE + _GAP)
        pen.text((_GAP, top + _SIDE // 2), variant, _INK, ImageFont.load_default(12))
        work = work_folder(folder / variant.replace(" ", "_") / "splats.ply")
        files = [work / f"stage_{number + 1}_{stage.name}.png" for number, stage in enumerate(STAGES)]
        tiles = [(file, "progress") for file in files] + [
            (files[-1], name) for name in ("picture", "physical", "truth")
        ]
        for x, (file, name) in enumerate(tiles):
            if file.is_file():
                tile = sheet.column(file, name)
                tile = tile.crop((0, 0, tile.width, tile.width)).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
                picture.paste(tile, (_NAME + x * (_SIDE + _GAP), top))
    picture.save(path)


def main() -> None:
    """Read the arguments, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quality", choices=EFFORTS, default="draft")
    parser.add_argument("--object", default="", help="one object alone")
    parser.add_argument("--variants", default=",".join(TRIED), help="separated by commas")
    asked = parser.parse_args()
    cases = [case for case in read_cases(asked.folder, 0) if asked.object in ("", case.name)]
    found = run_ablation(cases, asked.out, EFFORTS[asked.quality], tuple(asked.variants.split(",")))
    sys.stdout.write(as_table(found, EFFORTS[asked.quality]))


if __name__ == "__main__":
    main()
