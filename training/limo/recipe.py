# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole recipe in one call: make the data, train, export. Every stage resumes where it stopped."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

from ...backend.devices import pick_device
from ...backend.errors import BadInput
from ...backend.optics import exr
from .examples import SHARD, mean_environment
from .prepare import PROBES, SAMPLES, prepare_crops, prepare_rooms, prepare_views
from .train import Recipe, train

#: Ray-traced training scenes start here; evaluation scenes have seeds from ten million.
FIRST_SCENE = 0
#: Shards of views cut from panoramas where no number of scenes says how many; 2048 scenes go with as many.
CROP_SHARDS = 48


def reproduce(
    out: Path,
    *,
    hdris: Path | None = None,
    scenes: int = 2048,
    crop_shards: int | None = None,
    views: Path | None = None,
    steps: int = Recipe.steps,
    workers: int | None = None,
    start: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Path:
    """Train the embedded painter into ``out`` and return its weights.

    ``hdris``: a folder of CC0 panoramas (EXR): more than half of the data when given, and distant light in some scenes;
    ``crop_shards`` of views are cut from them, by default half as many again as the scenes fill, and without scenes
    :data:`CROP_SHARDS`. ``scenes``: ray-traced scenes of four probes each. ``views``: what ``limelight synthesize
    views`` made, the most realistic third of every batch when given. ``start``: weights to begin from. ``seed`` is the
    training's, the data are the same for all. ``workers`` make the data, by default one a processor core. The same
    arguments give the same data; on one device also the same weights.
    """
    if scenes * PROBES < SHARD and (scenes or hdris is None or crop_shards == 0):
        remedy = f"Use at least {SHARD // PROBES} scenes, or 0 and --hdris, to learn from panoramas alone."
        raise BadInput(f"{scenes} scenes do not fill one shard of {SHARD} probes.", remedy)
    if crop_shards is None:
        crop_shards = math.ceil(1.5 * scenes * PROBES / SHARD) if scenes else CROP_SHARDS
    data, samples, workers = out / "data", out / "scenes", workers or os.cpu_count() or 1
    if scenes:
        from ...synthesis.samples import write_samples

        report(f"Ray tracing {scenes} scenes into {samples}")
        write_samples(samples, FIRST_SCENE, scenes, workers, hdri_folder=hdris, **SAMPLES)
        prepare_rooms(samples, data, workers)
    if hdris is not None:
        report(f"Cutting {crop_shards * SHARD} views from the panoramas of {hdris}")
        prepare_crops(hdris, data, 1, crop_shards, workers)
    if views is not None and not prepare_views(views, data, workers):
        raise BadInput(f"{views} holds too few scenes for a shard.", "Synthesize at least 30 views.")
    exr.write_panorama(out / "mean_environment.exr", mean_environment(data), frame="camera", half=True)
    return train(Recipe(data=data, out=out, steps=steps, start=start, seed=seed, device=pick_device(device)), report)
