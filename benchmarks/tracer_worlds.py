# SPDX-License-Identifier: GPL-3.0-or-later
"""How the light of the ray tracer's worlds is spread, beside that of captured panoramas.

``python -m limelight.benchmarks.tracer_worlds [--hdris DIR] [--first SEED] [--count N]``. Prints one JSON object:
the 10th, 50th and 90th percentile over the panoramas of each number of :func:`spread`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from ..backend.optics import exr
from ..backend.optics import panorama as pano
from ..synthesis.samples import exposure_gain, make_scene, render_panorama
from ..synthesis.scene import REC709
from ..synthesis.sky import hdri_files
from ..synthesis.viewpoint import place_camera

HEIGHT = 32


def spread(panorama: np.ndarray) -> dict[str, float]:
    """Numbers of one panorama (N, 2N, 3), exposed like a photo of all of it: share of the solid angle above white,
    peak over mean, share of the light in the brightest hundredth of the sphere, and log2 of red over blue.
    """
    omega = pano.solid_angles(panorama.shape[0]).numpy() * np.ones(panorama.shape[:2])
    light = np.maximum(panorama @ REC709, 0) * exposure_gain(panorama)
    order = np.argsort(-light, axis=None)
    energy, area = (light * omega).ravel()[order], omega.ravel()[order].cumsum() / omega.sum()
    mean = (panorama * omega[..., None]).sum((0, 1)) + 1e-9
    return {
        "clipped": float((omega * (light > 1)).sum() / omega.sum()),
        "peak_over_mean": float(light.max() * omega.sum() / energy.sum()),
        "brightest_hundredth": float(energy[area <= 0.01].sum() / energy.sum()),
        "log2_red_over_blue": float(np.log2(mean[0] / mean[2])),
    }


def summary(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """Percentiles 10, 50, 90 of each number."""
    return {key: [round(float(v), 3) for v in np.percentile([r[key] for r in rows], (10, 50, 90))] for key in rows[0]}


def traced(seed: int, hdris: list[Path]) -> np.ndarray:
    """The surroundings of the camera of a seed's scene."""
    scene, rng = make_scene(seed, hdris)
    matrix = place_camera(rng, scene, 64).camera_to_world
    return render_panorama(scene, matrix[:3, 3], matrix[:3, :3], HEIGHT, 16, seed)


def captured(path: Path) -> np.ndarray:
    """A panorama of a file at the same size."""
    image = exr.read_image(path)[..., :3].permute(2, 0, 1)[None]
    return torch.nn.functional.adaptive_avg_pool2d(image, (HEIGHT, 2 * HEIGHT))[0].permute(1, 2, 0).numpy()


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Compare the light of traced worlds with captured panoramas.")
    parser.add_argument("--hdris", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    arguments = parser.parse_args()
    hdris = hdri_files(arguments.hdris)
    seeds = range(arguments.first, arguments.first + arguments.count)
    found = {"traced": summary([spread(traced(seed, hdris)) for seed in seeds])}
    if hdris:
        found["captured"] = summary([spread(captured(path)) for path in hdris])
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
