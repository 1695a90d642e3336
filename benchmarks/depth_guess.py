# SPDX-License-Identifier: GPL-3.0-or-later
"""How good the depth guess is where the truth is known, and which constants serve it best.

``python bridge/launch.py benchmarks.depth_guess FOLDER [--fit] [--json FILE]``, FOLDER with ``sample_<seed>.npz`` as
``limelight synthesize rooms`` writes them. Scores are of the seeds that ten divides; ``--fit`` searches the constants
on the others. AbsRel is mean |guess − truth| / truth, δ the share with a ratio below 1.25, both over the pixels that
are not sky, averaged over pictures; aligned: after the guess was scaled to the truth's median. No depth counts as
farther than 100 m. The log error, which the search makes small, counts the sky as that far.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..backend.depth.perspective import GUESS, Perspective, guess_depth
from ..backend.errors import BadInput
from ..backend.optics.camera import Camera
from ..synthesis.samples import read_sample

FAR = 100.0
#: What the search tries for each constant, one after the other.
GRIDS: dict[str, Sequence[float]] = {
    "floor": [round(0.1 * i, 2) for i in range(5, 21)],
    "ceiling": [*(round(0.2 * i, 2) for i in range(3, 16)), 4.0, 6.0, math.inf],
    "wall": [*(0.25 * i for i in range(8, 33)), 10.0, 15.0, 25.0],
    "sky_luminance": [round(0.05 * i, 2) for i in range(2, 19)],
    "sky_blue": [0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1],
    "sky_share": [0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16],
    "sky_lowest": [-0.3, -0.25, -0.2, -0.15, -0.1, -0.05, 0.0, 0.05],
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A photo (H, W, 3) as the engine would read it, clipped at display white, its camera and its true depth (H, W)."""

    radiance: Tensor
    camera: Camera
    depth: Tensor


def read(path: Path, side: int) -> Picture:
    """A sample, reduced to every n-th pixel so that the longer side has at most about ``side``."""
    stored = read_sample(path, "radiance", "depth", "camera")
    radiance, depth = (torch.from_numpy(stored[key].astype(np.float32)) for key in ("radiance", "depth"))
    width, height, *lens = stored["camera"].tolist()
    camera = Camera(int(width), int(height), *lens)
    step = max(1, round(max(depth.shape) / side))
    kept = torch.arange(step // 2, depth.shape[0], step)[:, None], torch.arange(step // 2, depth.shape[1], step)
    return Picture(radiance.clamp(0, 1)[kept], camera.resized(kept[1].shape[0], kept[0].shape[0]), depth[kept])


def split(folder: Path) -> tuple[list[Path], list[Path]]:
    """The samples to fit to and those held out."""
    found = {int(path.stem.split("_")[1]): path for path in folder.glob("sample_*.npz")}
    held = [found[seed] for seed in sorted(found) if seed % 10 == 0]
    rest = [found[seed] for seed in sorted(found) if seed % 10]
    if not held or not rest:
        raise BadInput(f"{folder} holds {len(found)} samples.", "Make some by 'limelight synthesize rooms'.")
    return rest, held


def log_error(found: Tensor, truth: Tensor) -> float:
    """Mean |log ratio| of two depths (H, W): half as far and twice as far cost the same."""
    return float((found.clamp(max=FAR) / truth.clamp(max=FAR)).log().abs().mean())


def loss(pictures: list[Picture], guess: Perspective) -> float:
    """Mean log error over the pictures."""
    errors = []
    for picture in pictures:
        found, _ = guess_depth(picture.radiance, picture.camera, guess)
        errors.append(log_error(found, picture.depth))
    return float(np.mean(errors))


def search(pictures: list[Picture], start: Perspective, report: Callable[[str], None]) -> Perspective:
    """The best of each grid in turn, until a round changes nothing."""
    best, least = start, loss(pictures, start)
    while True:
        before = best
        for name, grid in GRIDS.items():
            for value in grid:
                tried = dataclasses.replace(best, **{name: value})
                cost = loss(pictures, tried)
                if cost < least - 1e-6:
                    best, least = tried, cost
            report(f"{name} {getattr(best, name):g}: loss {least:.4f}")
        if best == before:
            return best


def score(found: Tensor, picture: Picture) -> dict[str, float]:
    """Errors of one guessed depth (H, W); of the sky, the intersection over union (1 where neither has any)."""
    sky = torch.isinf(picture.depth)
    said = torch.isinf(found)
    union = int((sky | said).sum())
    scores = {"log_error": log_error(found, picture.depth)}
    scores["sky_iou"] = int((sky & said).sum()) / union if union else 1.0
    truth, guess = picture.depth[~sky].clamp(max=FAR), found[~sky].clamp(max=FAR)
    for name, scale in (("metric", torch.tensor(1.0)), ("aligned", truth.median() / guess.median())):
        ratio = guess * scale / truth
        scores[f"{name}_absrel"] = float((ratio - 1).abs().mean())
        scores[f"{name}_delta"] = float((torch.maximum(ratio, 1 / ratio) < 1.25).float().mean())
    return scores


def evaluate(pictures: list[Picture], guess: Callable[[Picture], Tensor]) -> dict[str, float]:
    """Mean scores over the pictures that show anything but sky."""
    rows = [score(guess(picture), picture) for picture in pictures if bool(torch.isfinite(picture.depth).any())]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def measure(folder: Path, fit: bool, report: Callable[[str], None] = print) -> dict[str, object]:
    """Scores on the held-out samples of the constants in use, of a constant depth and, with ``fit``, of the best."""
    rest, held = split(folder)
    small = [read(path, 64) for path in rest]
    median = float(torch.cat([p.depth[torch.isfinite(p.depth)].median()[None] for p in small
                              if bool(torch.isfinite(p.depth).any())]).median())  # fmt: skip
    pictures = [read(path, 128) for path in held]
    guesses = {"in use": GUESS, "in use, no sky": dataclasses.replace(GUESS, sky_share=1.0)}
    if fit:
        guesses["fitted"] = search(small, GUESS, report)
    scores = {f"constant {median:.2f} m": evaluate(pictures, lambda picture: torch.full_like(picture.depth, median))}
    for name, guess in guesses.items():
        scores[name] = evaluate(pictures, lambda p, g=guess: guess_depth(p.radiance, p.camera, g)[0])  # type: ignore[misc]
    constants = {name: dataclasses.asdict(guess) for name, guess in guesses.items()}
    return {"fitted_to": len(rest), "held_out": len(held), "constants": constants, "scores": scores}


def main() -> None:
    """Print the table; write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fit", action="store_true", help="search the constants first")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options.folder, options.fit)
    for name, constants in result["constants"].items():  # type: ignore[attr-defined]
        print(f"{name}: {constants}")
    print(f"{result['held_out']} pictures held out of {result['fitted_to']} for the fit")
    columns = ("metric_absrel", "metric_delta", "aligned_absrel", "aligned_delta", "sky_iou", "log_error")
    print(f"{'depth':16s} AbsRel  δ<1.25  aligned AbsRel  δ<1.25  sky IoU  log error")
    for name, row in result["scores"].items():  # type: ignore[attr-defined]
        numbers = [f"{row[key]:{width}.3f}" for key, width in zip(columns, (6, 6, 14, 6, 7, 9), strict=True)]
        print(f"{name:16s} {'  '.join(numbers)}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
