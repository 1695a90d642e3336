# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that the engine does on request. Libraries load with the first job that needs them."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

from .errors import BadInput
from .serve import Kind, WireReport

#: The modules that keep models in memory.
_MODELS = ("limo.embedded.paint", "limo.backbone.load", "limo.diffusionlight.model", "direction.embedded",
           "direction.backbone", "depth.embedded", "luminet.embedded", "luminet.diffusion.load",
           "relightify.prior")  # fmt: skip
_LOADING = "Loading the engine's libraries"


#: Jobs that a class reads from a request, by name: that class, and what does the job.
_JOBS = {
    "light": ("limo.job.LightJob", "limo.estimate.run_light"),
    "direction": ("direction.job.DirectionJob", "direction.job.run_direction"),
    "relight": ("luminet.job.RelightJob", "luminet.job.run_relight"),
    "face": ("relightify.job.FaceJob", "relightify.job.run_face"),
    "splat_train": ("splats.train.job.TrainJob", "splats.train.job.run_train"),
    "splat_mesh": ("splats.mesh.MeshJob", "splats.mesh.run_mesh"),
    "splat_texture": ("splats.textured.job.TextureJob", "splats.textured.job.run_texture"),
}


def kinds(device: str, seed: int = 0) -> dict[str, Kind]:
    """Every job by name; ``device`` and ``seed`` are the defaults for jobs that name none."""

    def fit(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        from .limo.mirror_ball import fit_files, parse_shot

        mirror, diffuse = ([parse_shot(s) for s in params.get(k, [])] for k in ("mirror", "diffuse"))
        return fit_files(mirror, diffuse, Path(_needed(params, "out")), height=int(params.get("height", 256)),
                         report=report)  # fmt: skip

    def depth(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, _LOADING)
        from .depth.estimate import DEFAULT_MODEL, estimate_depth_file
        from .devices import pick_device

        where, model = str(params.get("device", device)), str(params.get("model") or DEFAULT_MODEL)
        image, out = Path(_needed(params, "image")), Path(_needed(params, "out"))
        return estimate_depth_file(image, out, params.get("fov_deg"), model, pick_device(where))

    def landmarks(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, _LOADING)
        from .relightify.find import run_landmarks

        return run_landmarks(Path(_needed(params, "image")), report)

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

    defaults = {"device": device, "seed": seed}
    known = {kind.__name__: kind for kind in (fit, depth, landmarks, splats, doctor, models)}
    return {**{name: _job_kind(*names, defaults) for name, names in _JOBS.items()}, **known}


def _job_kind(job_name: str, run_name: str, defaults: dict[str, Any]) -> Kind:
    """The kind whose parameters a class reads; it is given those of the ``defaults`` that it knows."""

    def kind(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, _LOADING)
        job, run = _found(job_name), _found(run_name)
        own = {field.name: defaults[field.name] for field in dataclasses.fields(job) if field.name in defaults}
        answer: dict[str, Any] = run(job.from_params({**own, **params}), report)
        return answer

    return kind


def _found(name: str) -> Any:
    """A class or function of this package by its dotted name."""
    module, _, member = name.rpartition(".")
    return getattr(importlib.import_module(f"{__package__}.{module}"), member)


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
