# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole recipe in one call: make the data, train, calibrate, export. Every stage resumes where it stopped."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

from torch import nn

from ...backend.devices import pick_device
from ...backend.direction.backbone import HEAD, FrozenBackbone, load_backbone, read_backbone
from ...backend.direction.embedded import load_network
from ...backend.direction.network import DirectionNet
from ...backend.errors import BadInput
from .calibrate import calibrate
from .prepare import prepare_crops, prepare_scenes, prepare_views
from .train import Recipe, train

#: Shards of views cut from panoramas where no number of scenes says how many; 2048 scenes go with as many.
CROP_SHARDS = 64


def reproduce(
    out: Path,
    *,
    hdris: Path | None = None,
    scenes: int = 2048,
    crop_shards: int | None = None,
    views: Path | None = None,
    steps: int = Recipe.steps,
    batch: int = Recipe.batch,
    workers: int = 2,
    form: str = "embedded",
    backbone: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Path:
    """Train into ``out`` and return the weights. The same arguments give the same data.

    ``hdris``: a folder of CC0 panoramas (EXR), of which ``crop_shards`` are cut, by default one for every 32 scenes,
    and without scenes :data:`CROP_SHARDS`. ``scenes``: ray-traced scenes of four probes each, in ``out/scenes``.
    ``views``: what ``limelight synthesize views`` made.
    ``form``: embedded, or one of the textbook's (:mod:`.textbook`); ``backbone``: the folder of a frozen network, on
    which only a pooled head is trained.
    """
    if scenes == 0 and hdris is None:
        raise BadInput("There is nothing to train on.", "Give --scenes above 0, or --hdris.")
    if scenes == 1 and hdris is None:
        raise BadInput("One scene leaves nothing to train on.", "Use at least 2 scenes, or give --hdris.")
    data, samples = out / "data", out / "scenes"
    if scenes:
        from ...synthesis.samples import write_samples
        from ..limo.recipe import FIRST_SCENE, SAMPLES

        report(f"Ray tracing {scenes} scenes into {samples}")
        write_samples(samples, FIRST_SCENE, scenes, workers, hdri_folder=hdris, **SAMPLES)
        prepare_scenes(samples, data)
    if views is not None:
        prepare_views(views, data)
    if hdris is not None:
        report(f"Cutting views from the panoramas of {hdris}")
        prepare_crops(hdris, data, (math.ceil(scenes / 32) or CROP_SHARDS) if crop_shards is None else crop_shards)
    make, header = network_of(form, backbone)
    recipe = Recipe(data=data, out=out, steps=steps, batch=batch, seed=seed, device=pick_device(device))
    weights = train(make, recipe, header, report)
    if backbone is not None:
        weights = _place_backbone(backbone, weights, out)
        calibrate(load_backbone.__wrapped__(out).network, weights, data, report)
    elif form == "embedded":
        calibrate(load_network.__wrapped__(weights).network, weights, data, report)
    return weights


def _place_backbone(backbone: Path, weights: Path, out: Path) -> Path:
    """Leave in ``out`` what :func:`load_backbone` reads: the backbone as it is, and the trained head beside it."""
    (out / "backbone").mkdir(exist_ok=True)
    for file in (*backbone.glob("*.json"), *backbone.glob("*.safetensors")):
        shutil.copy(file, out / "backbone" / file.name)
    return Path(shutil.copy(weights, out / HEAD))


def network_of(form: str, backbone: Path | None) -> tuple[Callable[[], nn.Module], dict[str, str]]:
    """What makes the network that is trained, and what its weights' header says of it."""
    if backbone is not None:
        return lambda: FrozenBackbone(read_backbone(backbone)), {
            "form": "backbone",
            "backbone": backbone.resolve().name,
        }
    if form == "embedded":
        return DirectionNet, {"form": form, "config": json.dumps(DirectionNet().config.to_dict())}
    from .textbook import FORMS

    if form not in FORMS:
        raise BadInput(f"There is no form '{form}'.", f"Known: embedded, {', '.join(FORMS)}.")
    return FORMS[form], {"form": form}
