# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of the path tracer: camera paths a second in a room of 24 boxes, five bounces.

``python -m limelight.benchmarks.tracer [--device cpu|cuda] [--threads N] [--samples N] [--json FILE]``. Prints one
JSON object, which for a device beside the processor also tells how their pictures agree. ``paths_per_second`` counts
wall-clock time; ``paths_per_cpu_second`` the processor time that the process itself got, times the threads it asked
for: what the same machine does when nothing else runs on it.
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


def view() -> tuple[np.ndarray, np.ndarray]:
    """Origin (3,) and directions of the pixels' corners (S + 1, S + 1, 3) that look across the room."""
    y, x = np.mgrid[0 : SIZE + 1, 0 : SIZE + 1] / SIZE - 0.5
    return np.array([0.0, -2.9, 1.5]), np.stack([1.2 * x, np.ones_like(x), -1.2 * y], -1)


def agreement(device: str, threads: int, samples: int) -> dict[str, float]:
    """A picture of ``device`` against the processor's.

    ``mean_off``: relative difference of the mean radiance; ``noise_off``: root mean square difference of pixels, other
    seeds, in units of what the noise of both explains, so about 1; ``guides_off``: share of pixels whose distance
    differs by 0.1 %; ``alike``: share of pixels whose radiance differs by less than 1 %, same seed.
    """
    scene, where = room(), view()

    def picture(on: str, seed: int) -> tracer.Traced:
        return tracer.trace(scene, *where, samples=samples, seed=seed, threads=threads, device=on)

    host, same, other = picture("cpu", 1), picture(device, 1), picture(device, 2)
    gap = (other.reflected.sum(-1) - host.reflected.sum(-1)) / (host.albedo.sum(-1) + 1e-3)
    light = host.radiance.sum(-1)
    return {
        "mean_off": float(other.radiance.mean() / host.radiance.mean() - 1),
        "noise_off": float(np.sqrt((gap**2).mean() / (host.variance + other.variance).mean())),
        "guides_off": float((np.abs(same.distance / host.distance - 1) > 1e-3).mean()),
        "alike": float((np.abs(same.radiance.sum(-1) - light) < 0.01 * light).mean()),
    }


def measure(device: str = "cpu", threads: int = 2, samples: int = 64, repeats: int = 3) -> dict[str, float | int | str]:
    """Best of ``repeats`` pictures of 192 × 192 pixels after one that compiles."""
    scene = room()
    origin, corners = view()

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
    found = measure(arguments.device, arguments.threads, arguments.samples)
    if arguments.device != "cpu":
        print(json.dumps(found), flush=True)
        found |= agreement(arguments.device, arguments.threads, arguments.samples)
    text = json.dumps(found, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
