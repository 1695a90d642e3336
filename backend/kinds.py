# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that the engine does on request. Libraries load with the first job that needs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .errors import BadInput
from .serve import Kind, WireReport

#: The modules that keep models in memory.
_MODELS = ("limo.embedded.paint", "limo.backbone.load", "limo.diffusionlight.model", "direction.embedded",
           "direction.backbone", "depth.embedded", "luminet.embedded", "luminet.diffusion.load",
           "relightify.prior")  # fmt: skip


def kinds(device: str, seed: int = 0) -> dict[str, Kind]:
    """Every job by name; ``device`` and ``seed`` are the defaults for jobs that name none."""

    def light(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .limo.estimate import run_light
        from .limo.job import LightJob

        job = LightJob.from_params({"device": device, "seed": seed, **params})
        return run_light(job, report)

    def fit(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        from .limo.mirror_ball import fit_files, parse_shot

        mirror, diffuse = ([parse_shot(s) for s in params.get(k, [])] for k in ("mirror", "diffuse"))
        return fit_files(mirror, diffuse, Path(_needed(params, "out")), height=int(params.get("height", 256)),
                         report=report)  # fmt: skip

    def depth(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .depth.estimate import DEFAULT_MODEL, estimate_depth_file
        from .devices import pick_device

        where, model = str(params.get("device", device)), str(params.get("model") or DEFAULT_MODEL)
        image, out = Path(_needed(params, "image")), Path(_needed(params, "out"))
        return estimate_depth_file(image, out, params.get("fov_deg"), model, pick_device(where))

    def direction(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .direction.job import DirectionJob, run_direction

        return run_direction(DirectionJob.from_params({"device": device, "seed": seed, **params}), report)

    def relight(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .luminet.job import RelightJob, run_relight

        return run_relight(RelightJob.from_params({"device": device, "seed": seed, **params}), report)

    def landmarks(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .relightify.find import run_landmarks

        return run_landmarks(Path(_needed(params, "image")), report)

    def face(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .relightify.job import FaceJob, run_face

        return run_face(FaceJob.from_params({"device": device, "seed": seed, **params}), report)

    def splat_train(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .splats.train.job import TrainJob, run_train

        return run_train(TrainJob.from_params({"device": device, "seed": seed, **params}), report)

    def splat_mesh(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .splats.mesh import MeshJob, run_mesh

        return run_mesh(MeshJob.from_params({"device": device, **params}), report)

    def splat_texture(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .splats.textured.job import TextureJob, run_texture

        return run_texture(TextureJob.from_params({"device": device, "seed": seed, **params}), report)

    def splats(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Reading splats")
        from .splats.describe import made_plain

        return made_plain(Path(_needed(params, "file")), Path(_needed(params, "out")))

    def doctor(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, "Checking the engine")
        from .doctor import examine

        return examine(str(params.get("device", device)))

    def models(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        from .models import backbones, listing

        return {"models": listing() + backbones()}

    known = (
        light,
        fit,
        depth,
        direction,
        relight,
        landmarks,
        face,
        splats,
        splat_train,
        splat_mesh,
        splat_texture,
        doctor,
        models,
    )
    return {kind.__name__: kind for kind in known}


def _needed(params: dict[str, Any], name: str) -> str:
    if not params.get(name):
        raise BadInput(f"The request lacks '{name}'.", "Name the file.")
    return str(params[name])


def unload() -> None:
    """Free the models that are loaded."""
    for name in _MODELS:
        module = sys.modules.get(f"{__package__}.{name}")
        if module is not None:
            module.unload()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
