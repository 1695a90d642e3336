# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic probe sets for evaluation: photos with depth and the true environments at points in them.

``python -m limelight.synthesis.probe_sets --out DIR --count N [--hdris DIR]``

One folder a scene: ``image.exr`` (linear, unclipped, display white 1), ``depth.exr`` (planar metres), ``meta.json``
and ``env_<id>.exr`` (256 × 128, camera frame, exposed like the image). Seeds start at ten million, which training
never draws.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from ..backend.errors import BadInput
from ..backend.optics import exr
from ..backend.optics.camera import Camera
from .samples import EVALUATION_SEEDS, make_sample

#: Sizes and path counts: several times those of training samples, so that the truth is clean.
SETTINGS: dict[str, Any] = {"view_size": 384, "probe_height": 128, "probes": 3, "spp_view": 96, "spp_probe": 160}


def write_probe_set(folder: Path, seeds: Iterable[int], **options: Any) -> list[Path]:
    """Write one scene a seed and return their folders; scenes that are there already are kept.

    ``options`` override :data:`SETTINGS` of :func:`make_sample`. Raises :class:`BadInput` for a training seed.
    """
    scenes = []
    for seed in seeds:
        if seed < EVALUATION_SEEDS:
            raise BadInput(
                f"Seed {seed} may have been used for training; evaluation needs {EVALUATION_SEEDS} or more.",
                f"Add {EVALUATION_SEEDS} to the seed.",
            )
        scene = folder / f"scene_{seed}"
        if not (scene / "meta.json").exists():
            _write_scene(scene, make_sample(seed, **{**SETTINGS, **options}), seed)
        scenes.append(scene)
    return scenes


def _write_scene(scene: Path, sample: dict[str, Any], seed: int) -> None:
    """The files of one scene; ``meta.json`` comes last and so marks a complete one."""
    camera = Camera.from_dict(sample["camera"])
    exr.write_image(scene / "image.exr", torch.from_numpy(sample["radiance"]), half=True)
    exr.write_depth(scene / "depth.exr", torch.from_numpy(sample["depth"]))
    positions = torch.from_numpy(sample["probe_positions"])
    uv, _ = camera.project(positions)
    probes = []
    for i, position in enumerate(positions):
        place = position.tolist()
        environment = torch.from_numpy(sample["probe_panoramas"][i])
        exr.write_panorama(scene / f"env_{i}.exr", environment, frame="camera", probe_position=place)
        probes.append(
            {"id": i, "position_camera": place, "radius": float(sample["probe_radii"][i]), "uv": uv[i].tolist()}
        )
    meta = {
        "fov_x_deg": camera.fov_x_deg,
        "camera": camera.to_dict(),
        "camera_to_world": sample["camera_to_world"].tolist(),
        "exposure": float(sample["gain"]),
        "seed": seed,
        "probes": probes,
    }
    partial = scene / "meta.json.partial"
    partial.write_text(json.dumps(meta, indent=1), encoding="utf-8")
    partial.replace(scene / "meta.json")


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Ray-trace a probe set for evaluation.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=EVALUATION_SEEDS)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--hdris", type=Path)
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.count)
    for scene in write_probe_set(arguments.out, seeds, hdri_folder=arguments.hdris):
        print(scene)


if __name__ == "__main__":
    main()
