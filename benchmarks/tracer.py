# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of the path tracer: camera paths a second in a room of 24 boxes, five bounces.

``python -m limelight.benchmarks.tracer [--device cpu|cuda] [--threads N] [--samples N] [--json FILE]``. Prints one
JSON object. ``paths_per_second`` counts wall-clock time; ``paths_per_cpu_second`` the processor time that the process
itself got, times the threads it asked for: what the same machine does when nothing else runs on it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np

from ..synthesis import tracer
from ..synthesis.scene import Scene, SceneBuilder

SIZE, BOXES = 192, 24


def room(seed: int = 0) -> Scene:
    """A closed room with 24 boxes in eight pieces of furniture and one ceiling panel."""
    rng = np.random.default_rng(seed)
    builder = SceneBuilder()
    wall = builder.material((0.7, 0.7, 0.7))
    wood = builder.material((0.6, 0.4, 0.2), (0.3, 0.2, 0.1), texture="planks", specular=0.04, roughness=0.3)
    builder.set_room((-3, -3, 0), (3, 3, 2.6), [wall] * 6)
    for _ in range(BOXES // 3):
        boards = [((-0.3, -0.3, 0.3 * k), (0.3, 0.3, 0.3 * k + 0.05), wood) for k in range(3)]
        builder.group(boards, (*rng.uniform(-2.5, 2.5, 2), 0), rng.uniform(0, math.pi))
    builder.rect((0, 0, 2.55), (0.5, 0, 0), (0, -0.5, 0), (10, 9, 8))
    return builder.build()


def measure(device: str = "cpu", threads: int = 2, samples: int = 64, repeats: int = 3) -> dict[str, float | int | str]:
    """Best of ``repeats`` pictures of 192 × 192 pixels after one that compiles."""
    scene = room()
    y, x = np.mgrid[0 : SIZE + 1, 0 : SIZE + 1] / SIZE - 0.5
    corners = np.stack([1.2 * x, np.ones_like(x), -1.2 * y], -1)
    origin = np.array([0.0, -2.9, 1.5])

    def once(count: int, seed: int) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        tracer.trace(scene, origin, corners, samples=count, seed=seed, threads=threads, device=device)
        return time.perf_counter() - wall, time.process_time() - cpu

    first, _ = once(1, 0)
    times = [once(samples, seed) for seed in range(1, repeats + 1)]
    paths = SIZE * SIZE * samples
    result: dict[str, float | int | str] = {
        "device": device, "threads": threads, "boxes": BOXES, "bounces": 5, "paths": paths,
        "first_call_seconds": first, "paths_per_second": paths / min(wall for wall, _ in times),
    }  # fmt: skip
    if device == "cpu":
        result["paths_per_cpu_second"] = paths / min(cpu for _, cpu in times) * threads
    return result


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Measure the path tracer.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments.device, arguments.threads, arguments.samples), indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
