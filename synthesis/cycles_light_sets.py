# SPDX-License-Identifier: GPL-3.0-or-later
"""Light sets by Cycles: Blender's rooms, once per light source, in the form of :mod:`.light_sets`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..backend.errors import BadInput
from ..backend.luminet.rig import RIG
from ..backend.optics import exr
from ..backend.optics.camera import Camera
from .light_sets import RADII, SLOTS, clamp_of, exposed
from .samples import write_seeds
from .sphere_sample import render


def make_light_set(
    seed: int,
    *,
    blender: Path,
    size: int = 128,
    samples: int = 32,
    threads: int | None = None,
    assets: str | None = None,
) -> dict[str, Any]:
    """One view of a room of Blender's; what it returns, see :func:`.light_sets.make_light_set`.

    ``blender``: a Python that has bpy. ``assets``: a folder of models to set down, or "libraries".
    """
    job = {
        "seed": seed, "blender": os.path.abspath(blender), "size": size, "samples": samples, "threads": threads or 0,
        "assets": assets, "rig": list(RIG.values()), "clamp": clamp_of(0), "own_clamp": clamp_of(len(RIG)),
        "radius": float(np.random.default_rng(seed).uniform(*RADII)),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="limelight-lights-") as folder:
        raw = Path(folder)
        render(job, raw, "light_stage")
        pictures = [exr.read_image(raw / f"light_{number}.exr")[..., :3].numpy() for number in range(len(SLOTS))]
        found = json.loads((raw / "raw.json").read_text(encoding="utf-8"))
        matrix = np.array(found["camera_to_world"], np.float32)
        albedo, normal = read_surfaces(raw / "surfaces.exr")
        depth = np.load(raw / "depth.npy")
    return {
        "lights": exposed(np.stack(pictures)),
        "albedo": albedo.clip(0, 1),
        "normal": normal @ matrix[:3, :3],
        "depth": depth,
        "camera": Camera(size, size, found["focal"], found["focal"], size / 2, size / 2).to_dict(),
        "camera_to_world": matrix,
        "middle": np.array(found["middle"], np.float32),
    }


def read_surfaces(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Albedo and world normal (H, W, 3) of Cycles' passes."""
    layers = exr.read_layers(path)

    def layer(name: str, axes: str) -> np.ndarray:
        channels = next(found for key, found in layers.items() if key.endswith(f".{name}"))
        return np.stack([channels[axis] for axis in axes], -1)

    return layer("Denoising Albedo", "RGB"), layer("Normal", "XYZ")


def write_light_sets(
    folder: Path,
    first_seed: int,
    count: int,
    workers: int = 1,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    *,
    blender: Path,
    **options: Any,
) -> None:
    """Write ``sample_<seed>.npz`` for ``count`` seeds; existing files are kept, so a broken run resumes.

    ``workers`` above 1 runs so many Blenders at once, each on one thread. ``options`` go to :func:`make_light_set`.
    """
    if not blender.is_file():
        raise BadInput(f"There is no {blender}.", "Name a Python that has bpy: 'python run.py envs' makes one.")
    seeds = range(first_seed, first_seed + count)
    write_seeds(folder, seeds, make_light_set, workers, progress, blender=blender, **options)
