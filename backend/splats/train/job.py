# SPDX-License-Identifier: GPL-3.0-or-later
"""A training from files: the same from the command line, the wire and Python."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ...devices import pick_device
from ...errors import BadInput
from ...limo.report import Report
from ...optics import exr
from ...requests import Kinds, read_job
from ..files import formats
from ..inputs import Scene, check_sights, has_z_up
from ..shading.environment import to_panorama
from .distillation import KINDS, Distillation
from .learnt import Learnt, raw
from .loop import Settings
from .parameters import grey
from .stages import FULL, VARIANTS, Schedule
from .start import first_gaussians
from .trainer import Trainer

#: What is used where nothing is asked for, on a processor and on a GPU.
_USUAL = {
    "cpu": {"iterations": 6_000, "size": 256, "gaussians": 20_000},
    "cuda": {"iterations": FULL, "size": 1600, "gaussians": 500_000},
}
#: Texels along an edge of the environment's cube: one for so many pixels of a view, within bounds.
_PIXELS_A_TEXEL, _TEXELS = 4, (16, 128)


@dataclass(frozen=True)
class TrainJob(Distillation):
    """``out`` is the splat file; ``gaussians``: the most. ``start``: a splat file to begin with instead of the first
    stage. ``variant``: the whole method, or one of :data:`.stages.VARIANTS` that lacks a part."""

    gaussians: int | None = None
    start: Path | None = None
    variant: str = "full"

    LEAST: ClassVar[Mapping[str, int]] = {**Distillation.LEAST, "gaussians": 50}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant not in VARIANTS:
            raise BadInput(f"There is no variant '{self.variant}'.", f"Use one of {', '.join(VARIANTS)}.")
        formats.format_for(self.out)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrainJob:
        """Read the parameters of a request; unknown names are errors."""
        kinds: Kinds = {**KINDS, "gaussians": int, "start": Path}
        return read_job(cls, params, kinds, ("scene", "out"), "Name a scene and an out.")


def environment_of(out: Path) -> Path:
    """Where the light goes that was found with the splats ``out``."""
    name = out.name
    ending = next(end for end in formats.format_for(out).suffixes if name.lower().endswith(end))
    return out.with_name(f"{name[: -len(ending)]}_environment.exr")


def run_train(job: TrainJob, report: Report) -> dict[str, Any]:
    """Do a whole training, or what is left of one that was broken off; returns what is printed or sent."""
    device = pick_device(job.device)
    numbers = job.numbers(_USUAL[device.partition(":")[0]])
    header = job.header(numbers)
    saved = job.unfinished(job.out, header)
    scene = job.read(numbers["size"], report)
    check_sights(job.scene, scene.train)
    gaussians = _begin(job, scene, numbers["gaussians"], _texels(scene), device)
    schedule = Schedule(numbers["iterations"], job.start is None, VARIANTS[job.variant])
    settings = Settings(schedule, job.tone, job.seed, device, job.folder, header)
    trainer = Trainer(scene, gaussians, numbers["gaussians"], settings)
    job.make_folder()
    if saved:
        trainer.resume(saved)
    first, began = trainer.step, time.monotonic()
    trainer.run(report)
    return _written(job, scene, trainer, {"resumed_at": first, "seconds": round(time.monotonic() - began, 1)})


def _texels(scene: Scene) -> int:
    lens = scene.train[0].camera.lens
    wanted = max(lens.width, lens.height) // _PIXELS_A_TEXEL
    return min(max(1 << (wanted - 1).bit_length(), _TEXELS[0]), _TEXELS[1])


def _begin(job: TrainJob, scene: Scene, most: int, texels: int, device: str) -> Learnt:
    """Gaussians and light before the first iteration."""
    if job.start is not None:
        loaded = formats.read(job.start)
        if loaded.format.y_up:
            raise BadInput(f"{job.start.name} has its axes turned against its cameras'.", "Give the trained PLY.")
        start = loaded.splats.tensors(device)
    else:
        start = {k: v.to(device) for k, v in first_gaussians(scene, max(50, most // 4), job.seed).items()}
    return Learnt(raw(start), grey(texels, device))


def _written(job: TrainJob, scene: Scene, trainer: Trainer, told: dict[str, Any]) -> dict[str, Any]:
    """Write the splats and their light."""
    splats = replace(trainer.learnt.splats(), z_up=has_z_up(job.scene))
    notes = formats.write(splats, job.out, turn_from=formats.PLAIN)
    environment = environment_of(job.out)
    radiance = trainer.learnt.radiance().detach().cpu()
    exr.write_panorama(environment, to_panorama(radiance, 4 * radiance.shape[1]), frame="world")
    job.finish()
    if not scene.test:
        notes = [*notes, "No views were kept for testing; the PSNR is that of views it learnt from."]
    return {
        "out": str(job.out),
        "environment": str(environment),
        "work": str(job.folder),
        "gaussians": len(splats),
        "views": {"train": len(scene.train), "test": len(scene.test)},
        "psnr": {name: round(value, 3) for name, value in trainer.told.items()},
        **told,
        "notes": notes,
    }
