# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that the engine does on request. Libraries load with the first job that needs them."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bridge.messages import LONGEST_LINE
from .errors import BadInput
from .requests import read_job
from .serve import Kind, WireReport

#: The modules that keep models in memory.
_MODELS = ("limo.embedded.paint", "limo.backbone.load", "limo.diffusionlight.model", "direction.embedded",
           "direction.backbone", "depth.embedded", "luminet.embedded", "luminet.diffusion.load",
           "relightify.prior")  # fmt: skip
_LOADING = "Loading the engine's libraries"
_FILE = "Name the file."
#: Lists in answers that no line holds where the pictures are many, and what is said instead of them.
_LONG = {
    "frames": "What was found in each frame is in result.json.",
    "relit": "The answer does not list the pictures that were relit: they are too many.",
    "failed": "The answer does not list the pictures that failed: they are too many. The lines above tell of each.",
}

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


@dataclass(frozen=True)
class _Fit:
    """A ``fit`` job: pictures of balls as FILE@EV become the map ``out``, ``height`` rows high."""

    out: str
    mirror: Sequence[str] = ()
    diffuse: Sequence[str] = ()
    height: int = 256
    device: str = ""
    seed: str = ""


@dataclass(frozen=True)
class _Depth:
    """A ``depth`` job: the picture ``image`` gets the depth map ``out``."""

    image: str
    out: str
    fov_deg: float | None = None
    model: str = ""
    device: str = ""
    seed: str = ""


def kinds(device: str, seed: int = 0) -> dict[str, Kind]:
    """Every job by name; ``device`` and ``seed`` are the defaults for jobs that name none."""

    def fit(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        from .limo.mirror_ball import fit_files, parse_shot

        job = read_job(_Fit, params, {"mirror": _texts, "diffuse": _texts, "height": int}, ("out",), _FILE)
        mirror, diffuse = ([parse_shot(text) for text in texts] for texts in (job.mirror, job.diffuse))
        return fit_files(mirror, diffuse, Path(job.out), height=job.height, report=report)

    def depth(params: dict[str, Any], report: WireReport) -> dict[str, Any]:
        report.progress(0.0, _LOADING)
        from .depth.estimate import DEFAULT_MODEL, estimate_depth_file
        from .devices import pick_device

        job = read_job(_Depth, {"device": device, **params}, {"fov_deg": float}, ("image", "out"), _FILE)
        model, on = job.model or DEFAULT_MODEL, pick_device(job.device)
        return estimate_depth_file(Path(job.image), Path(job.out), job.fov_deg, model, on, report.check)

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
        for name, told in _LONG.items():
            if answer.get(name) and len(json.dumps(answer)) > LONGEST_LINE // 2:
                report.log(told)
                answer = {**answer, name: []}
        return answer

    return kind


def _found(name: str) -> Any:
    """A class or function of this package by its dotted name."""
    module, _, member = name.rpartition(".")
    return getattr(importlib.import_module(f"{__package__}.{module}"), member)


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError(f"{value!r} is no list of texts")
    return value


def _needed(params: dict[str, Any], name: str) -> str:
    if not params.get(name):
        raise BadInput(f"The request lacks '{name}'.", _FILE)
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
