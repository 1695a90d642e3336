# SPDX-License-Identifier: GPL-3.0-or-later
"""Views without probes, for learning depth, field of view and the horizon: cheap, and from every kind of camera.

``python bridge/launch.py synthesis.views --out DIR --first 3000000 --count N [--hdris DIR]``
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..backend.console import TerminalReport
from ..backend.optics.camera import Camera
from . import tracer
from .cameras import random_lens, random_pose
from .outdoors import make_outdoors
from .rooms import make_room
from .samples import FIREFLY, exposure_gain, render_view, save_sample
from .scene import REC709, Scene
from .sky import hdri_files
from .viewpoint import Viewpoint, camera_corners, clearance

#: The share of rooms among the scenes.
INDOORS = 0.6


def make_place(seed: int | list[int], hdris: list[Path]) -> tuple[Scene, np.random.Generator]:
    """The scene of a seed. Under the open sky only panoramas of pure sky serve: what others show has no depth."""
    rng = np.random.default_rng(seed)
    skies = [path for path in hdris if path.stem.endswith("puresky")]
    builder = make_room(rng, hdris) if rng.random() < INDOORS else make_outdoors(rng, skies)
    return builder.build(), rng


def choose_view(rng: np.random.Generator, scene: Scene) -> Viewpoint:
    """A lens and the most telling of some poses: nothing before the lens, and things at many distances."""
    width, height, focal = random_lens(rng)
    camera = Camera(width, height, focal, focal, width / 2, height / 2)
    indoors = scene.room[0, 6] > 0
    low, high = (scene.room[0, :3], scene.room[0, 3:6]) if indoors else (np.full(3, -5.0), np.full(3, 5.0))
    tallest = min(2.4, float(high[2]) - 0.25) if indoors else 4.0
    best, most = None, -np.inf
    for _ in range(6):
        matrix = random_pose(rng, low, high, tallest, middle=0.6 if indoors else 0.0)
        score = _tells(scene, camera, matrix) + rng.normal(0, 0.25)
        if score > most:
            best, most = matrix, score
    assert best is not None
    return Viewpoint(camera, best)


def _tells(scene: Scene, camera: Camera, matrix: np.ndarray) -> float:
    """How much a pose shows: spread of the log distances and things on the ground; no blocked lens, no sky alone."""
    if clearance(scene, matrix[:3, 3]) < 0.15:
        return -10.0
    directions = camera_corners(camera.resized(10, 10))[1:-1, 1:-1].reshape(-1, 3) @ matrix[:3, :3].T
    directions = directions[::2]
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    seen = np.array([tracer.first_hit(scene, matrix[:3, 3], d) for d in directions])
    solid = np.minimum(seen[np.isfinite(seen)], 60.0)
    if len(solid) < 0.25 * len(seen):
        return -5.0
    heights = matrix[2, 3] + seen * directions[:, 2]
    standing = float((np.isfinite(seen) & (heights > 0.03)).mean())
    return float(min(np.log(solid).std(), 0.7) + min(solid.min() / 0.5, 1.0) + 2 * min(standing, 0.4))


def make_view(
    seed: int, *, samples: int = 8, hdris: list[Path], threads: int | None = None, device: str = "cpu"
) -> Any:
    """One view; the same arguments give the same numbers.

    Returns ``radiance`` (H, W, 3) float32, auto-exposed and unclipped; ``depth`` (H, W) planar metres, +inf sky;
    ``camera`` as :meth:`Camera.to_dict` gives it; ``camera_to_world`` (4, 4).
    """
    for attempt in range(20):
        scene, rng = make_place([seed, attempt], hdris)
        view = choose_view(rng, scene)
        pilot, depth = render_view(scene, view, 1, seed + 1, threads, device=device)
        if np.median(depth) > 0.5 and np.isfinite(depth).mean() > 0.2 and (pilot @ REC709 > 1e-5).mean() > 0.4:
            break
    else:
        raise RuntimeError(f"Seed {seed} gave no usable view in 20 tries; use another seed.")
    clamp = FIREFLY / exposure_gain(pilot)
    radiance, depth = render_view(scene, view, samples, seed + 2, threads, clamp, device)
    return {
        "radiance": radiance * np.float32(exposure_gain(radiance)),
        "depth": depth,
        "camera": view.camera.to_dict(),
        "camera_to_world": view.camera_to_world.astype(np.float32),
    }


def write_views(
    folder: Path,
    first_seed: int,
    count: int,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    hdri_folder: Path | None = None,
    **options: Any,
) -> None:
    """Write ``sample_<seed>.npz`` for ``count`` seeds; existing files are kept, so a broken run resumes."""
    folder.mkdir(parents=True, exist_ok=True)
    hdris = hdri_files(hdri_folder)
    for done in range(count):
        path = folder / f"sample_{first_seed + done}.npz"
        if not path.exists():
            save_sample(path, make_view(first_seed + done, hdris=hdris, **options))
        progress((done + 1) / count, f"View {done + 1} of {count}")


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Ray-trace views without probes.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=3_000_000)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--hdris", type=Path)
    given = parser.parse_args()
    with TerminalReport() as report:
        write_views(
            given.out, given.first, given.count, report.progress, given.hdris, samples=given.samples,
            threads=given.threads,
        )  # fmt: skip


if __name__ == "__main__":
    main()
