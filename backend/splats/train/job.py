# SPDX-License-Identifier: GPL-3.0-or-later
"""A training from files: the same from the command line, the wire and Python."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...devices import pick_device
from ...errors import BadInput
from ...limo.report import PartReport, Report
from ...optics import exr
from ...requests import read_job
from ..files import formats
from ..inputs import Scene, read_scene
from ..shading.environment import to_panorama
from ..shading.physical import TONES
from . import checkpoint
from .learnt import Learnt, raw
from .stages import FULL, VARIANTS, Schedule
from .start import first_gaussians
from .trainer import Settings, Trainer

#: What is used where nothing is asked for, on a processor and on a GPU: iterations, pixels along a side, most
#: Gaussians.
_USUAL = {"cpu": (6_000, 256, 20_000), "cuda": (FULL, 1600, 500_000)}
#: Texels along an edge of the environment's cube: one for so many pixels of a view, within bounds.
_PIXELS_A_TEXEL, _TEXELS = 4, (16, 128)
_FEWEST_ITERATIONS = 40

_FILES = {"scene": Path, "out": Path, "start": Path}
_KINDS = _FILES | {"iterations": int, "size": int, "gaussians": int, "seed": int, "overwrite": bool}


@dataclass(frozen=True)
class TrainJob:
    """``scene``: see :func:`..inputs.read_scene`. ``out``: the splat file; checkpoint, log and pictures go to a folder
    beside it. ``start``: a splat file to begin with instead of the first stage. None asks for what suits the device.
    ``variant``: the whole method, or one of :data:`.stages.VARIANTS` that lacks a part.
    """

    scene: Path
    out: Path
    iterations: int | None = None
    size: int | None = None
    gaussians: int | None = None
    start: Path | None = None
    tone: str = "aces"
    variant: str = "full"
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.tone not in TONES:
            raise BadInput(f"The tone curve is '{self.tone}'.", f"Use one of {', '.join(TONES)}.")
        if self.variant not in VARIANTS:
            raise BadInput(f"There is no variant '{self.variant}'.", f"Use one of {', '.join(VARIANTS)}.")
        least = {"iterations": _FEWEST_ITERATIONS, "size": 16, "gaussians": 50, "seed": 0}
        for name, number in least.items():
            value = getattr(self, name)
            if value is not None and not number <= value < 2**40:
                raise BadInput(f"The {name} is {value}.", f"Give at least {number}.")
        formats.format_for(self.out)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrainJob:
        """Read the parameters of a request; unknown names are errors."""
        return read_job(cls, params, _KINDS, ("scene", "out"), "Name a scene and an out.")


def work_folder(out: Path) -> Path:
    """Where the checkpoint, the log and the pictures of a training are: beside its result."""
    return out.with_name(f"{out.name}.training")


def run_train(job: TrainJob, report: Report) -> dict[str, Any]:
    """Do a whole training, or what is left of one that was broken off; returns what is printed or sent."""
    device = pick_device(job.device)
    folder, saved = work_folder(job.out), work_folder(job.out) / "checkpoint.safetensors"
    if job.out.exists() and not job.overwrite:
        raise BadInput(f"The file {job.out} is there already.", "Name another, or add --overwrite.")
    usual = _USUAL[device.partition(":")[0]]
    asked = (job.iterations, job.size, job.gaussians)
    iterations, size, most = (own or given for own, given in zip(asked, usual, strict=True))
    header = {"scene": str(job.scene), "iterations": iterations, "size": size, "most": most, "tone": job.tone,
              "seed": job.seed, "start": str(job.start) if job.start else None, "variant": job.variant}  # fmt: skip
    going_on = saved.exists() and not job.overwrite
    if going_on:
        _same(checkpoint.header(saved), header, saved)
    reading = PartReport(report, 0.0, 0.02, "Reading")
    scene = read_scene(job.scene, size, lambda fraction: reading.progress(fraction, "the pictures"))
    gaussians = _begin(job, scene, most, _texels(scene), device)
    if job.overwrite and folder.exists():
        shutil.rmtree(folder)
    _made(folder)
    schedule = Schedule(iterations, job.start is None, VARIANTS[job.variant])
    trainer = Trainer(
        scene,
        gaussians,
        Settings(schedule, most, job.tone, job.seed, device, folder, header),
    )
    first = 0
    if going_on:
        trainer.resume(saved)
        first = trainer.step
    began = time.monotonic()
    trainer.run(report)
    return _written(job, scene, trainer, {"resumed_at": first, "seconds": round(time.monotonic() - began, 1)})


def _texels(scene: Scene) -> int:
    lens = scene.train[0].camera.lens
    wanted = max(lens.width, lens.height) // _PIXELS_A_TEXEL
    return min(max(1 << (wanted - 1).bit_length(), _TEXELS[0]), _TEXELS[1])


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be made ({error.strerror}).", "Choose another place.") from error


def _begin(job: TrainJob, scene: Scene, most: int, texels: int, device: str) -> Learnt:
    """Gaussians and light before the first iteration."""
    if job.start is not None:
        loaded = formats.read(job.start)
        if loaded.format.y_up:
            raise BadInput(f"{job.start.name} has its axes turned against its cameras'.", "Give the trained PLY.")
        start = loaded.splats.tensors(device)
    else:
        start = {k: v.to(device) for k, v in first_gaussians(scene, max(50, most // 4), job.seed).items()}
    return Learnt(raw(start), torch.full((6, texels, texels, 3), 0.5, device=device).log())


def _same(saved: Mapping[str, Any], asked: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with other settings than a checkpoint's."""
    for name, value in asked.items():
        if saved.get(name) != value:
            raise BadInput(
                f"The checkpoint in {path.parent.name} was made with {name} {saved.get(name)}, not {value}.",
                "Give the same settings to go on, or --overwrite to start again.",
            )


def _written(job: TrainJob, scene: Scene, trainer: Trainer, told: dict[str, Any]) -> dict[str, Any]:
    """Write the splats and their light."""
    splats = trainer.learnt.splats()
    notes = formats.write(splats, job.out)
    environment = job.out.with_name(f"{job.out.name.split('.')[0]}_environment.exr")
    radiance = trainer.learnt.radiance().detach().cpu()
    exr.write_panorama(environment, to_panorama(radiance, 4 * radiance.shape[1]), frame="world")
    if not scene.test:
        notes = [*notes, "No views were kept for testing; the PSNR is that of views it learnt from."]
    return {
        "out": str(job.out),
        "environment": str(environment),
        "work": str(work_folder(job.out)),
        "gaussians": len(splats),
        "views": {"train": len(scene.train), "test": len(scene.test)},
        "psnr": {name: round(value, 3) for name, value in trainer.told.items()},
        **told,
        "notes": notes,
    }
