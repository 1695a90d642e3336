# SPDX-License-Identifier: GPL-3.0-or-later
"""A relighting job from files: the same from the command line, the wire and Python."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...bridge.messages import preview_of
from ..devices import pick_device
from ..errors import BadInput
from ..limo.job import QUALITIES
from ..limo.output import staged
from ..limo.report import Report
from ..models import find_backbone
from ..optics.photo import LINEAR, Photo, picture_size, read_photo
from ..requests import one_of, read_job
from .estimate import LARGE_STEPS, SAME, distance, estimate, light_code
from .load import EMBEDDED, load_relighter
from .output import BITS, write_picture, write_preview, write_ratio
from .ratio import carried, exposure_gain, shown
from .reference import KINDS, reference_code
from .relighter import Relighter

#: Beyond this the light would be made up.
STRONGEST = 1.5

_FILES = {"source": Path, "reference": Path, "out": Path, "ratio": Path}
#: What of a job does not change its results, or is another for each.
FREE = {"source", "out", "ratio", "device", "overwrite"}
_KINDS = _FILES | {"seed": int, "take": int, "strength": float, "overwrite": bool}


@dataclass(frozen=True)
class RelightJob:
    """A source picture, or a folder of them, and the reference whose light it is to get.

    ``out`` is the picture to write, or a folder to name it in: one that is there or, in a request, ends in a slash; of
    a folder of sources always a folder, as is ``ratio`` then. ``strength`` 0 changes nothing, 1 brings the reference's
    light, up to :data:`STRONGEST` exaggerates it.
    ``take`` n is the n-th candidate, 0 the best by its light code. Results of a folder that are there already are kept
    unless ``overwrite``.
    """

    source: Path
    reference: Path
    out: Path
    reference_kind: str = "auto"
    ratio: Path | None = None
    strength: float = 1.0
    model: str = EMBEDDED
    quality: str = "normal"
    seed: int = 0
    take: int = 0
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        one_of("quality", self.quality, QUALITIES)
        one_of("reference's kind", self.reference_kind, KINDS)
        if not (math.isfinite(self.strength) and 0 <= self.strength <= STRONGEST):
            raise BadInput(f"The strength is {self.strength:g}.", f"Use a number from 0 to {STRONGEST:g}.")
        for name, number in (("seed", self.seed), ("take", self.take)):
            if not 0 <= number < 2**62:
                raise BadInput(f"The {name} is {number}.", "Use 0, 1, 2, …")
        if self.model != EMBEDDED:
            find_backbone(self.model)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> RelightJob:
        """Read the parameters of a ``relight`` request; unknown names are errors."""
        remedy = "Name a source, a reference and an out."
        job = read_job(cls, params, _KINDS, ("source", "reference", "out"), remedy)
        # A slash at the end means a folder, which need not be there yet; a path forgets it.
        return _inside(job) if str(params["out"]).endswith(("/", os.sep)) and not job.source.is_dir() else job


def run_relight(job: RelightJob, report: Report) -> dict[str, Any]:
    """Do a whole job, a picture or a folder of them; returns what is printed or sent."""
    if job.source.is_dir():
        from .batch import run_batch

        return run_batch(job, report)
    job = placed(job)
    check_paths(job)
    report.progress(0.0, "Reading the reference")
    picture_size(job.source)
    relighter = load_relighter(job.model, pick_device(job.device))
    target, notes = reference_code(job.reference, job.reference_kind, relighter)
    return relight_picture(job, relighter, target, notes, report)


def placed(job: RelightJob) -> RelightJob:
    """The job with a file as ``out``: inside a folder it has the source's name, and the format its light needs.

    A name without an ending is a folder, too, which need not be there yet.
    """
    if not job.out.is_dir() and (job.out.suffix or job.out.exists()):
        return job
    return _inside(job)


def _inside(job: RelightJob) -> RelightJob:
    return dataclasses.replace(job, out=job.out / result_name(job.source))


def result_name(source: Path) -> str:
    """What a source's result is called in a folder: .exr where light is linear, else .png."""
    return source.stem + (".exr" if source.suffix.lower() in LINEAR else ".png")


def check_paths(job: RelightJob) -> None:
    """Refuse outputs that cannot be written, and those that would replace an input."""
    if job.out.suffix.lower() not in BITS:
        raise BadInput(f"{job.out.name} has no format that can be written.", f"Use one of {', '.join(BITS)}.")
    if job.ratio is not None and job.ratio.suffix.lower() != ".exr":
        raise BadInput(f"The light ratio {job.ratio.name} is not an EXR file.", "Give it the extension .exr.")
    taken = {path.resolve(): path for path in (job.source, job.reference)}
    for path in (job.out, job.ratio, preview_of(job.out)):
        if path is None:
            continue
        if path.is_dir():
            raise BadInput(f"{path} is a folder.", "Name a file to write.")
        if path.resolve() in taken:
            raise BadInput(f"{path} would replace {taken[path.resolve()].name}.", "Choose another name.")
        taken[path.resolve()] = path
    for whole, path in taken.items():
        for folder in whole.parents:
            if folder in taken:
                raise BadInput(f"{path} would lie in {taken[folder]}, which is a file.", "Choose another name.")


def relight_picture(
    job: RelightJob, relighter: Relighter, target: Tensor, notes: Sequence[str], report: Report
) -> dict[str, Any]:
    """Relight the one picture towards the code ``target`` (16,) and write the files; ``notes`` are the reference's."""
    report.progress(0.03, "Reading the picture")
    report.check()
    photo = read_photo(job.source, None)
    linear = job.source.suffix.lower() in LINEAR
    gain = exposure_gain(photo.radiance) if linear else 1.0
    report.check()

    def progress(fraction: float) -> None:
        report.check()
        report.progress(0.1 + 0.6 * fraction, "Relighting")

    progress(0.0)
    size = (relighter.size, relighter.size)
    found = estimate(
        shown(photo.radiance, size, gain),
        target,
        relighter,
        strength=job.strength,
        quality=job.quality,
        steps=None if job.model == EMBEDDED else LARGE_STEPS[job.quality],
        seed=job.seed,
        take=job.take,
        progress=progress,
    )
    progress(1.0)
    light = _apply(found.ratio, photo, gain, job.ratio is not None, report)
    height, width = photo.radiance.shape[:2]
    reached = light_code(shown(photo.radiance, size, gain), relighter) if bool(found.ratio.any()) else found.source
    before = distance(found.source, target)
    warnings = [*photo.warnings, *notes]
    if before < SAME:
        warnings.append("The reference shows the light that the source has: nothing changes.")
    warnings += _write(job, photo, light, gain, linear, report)
    report.progress(1.0, "Done")
    return {
        "version": 1,
        "source": str(job.source),
        "reference": str(job.reference),
        "relit": str(job.out),
        "ratio": None if job.ratio is None else str(job.ratio),
        "preview": str(preview_of(job.out)),
        "width": width,
        "height": height,
        "source_code": found.source.tolist(),
        "target_code": target.tolist(),
        "reached_code": reached.tolist(),
        "code_distance": distance(target, reached),
        "before": before,
        "strength": job.strength,
        "model": job.model,
        "quality": job.quality,
        "seed": job.seed,
        "take": job.take,
        "warnings": warnings,
    }


def _apply(ratio: Tensor, photo: Photo, gain: float, keep: bool, report: Report) -> Tensor | None:
    """Multiply the photo's radiance, in place, by the light ratio at its size (H, W, 3), which is returned to keep."""
    light = torch.ones_like(photo.radiance) if keep else None
    if not bool(ratio.any()):
        return light
    height = photo.radiance.shape[0]
    for rows, part in carried(ratio, photo.radiance, gain):
        report.check()
        report.progress(0.72 + 0.13 * rows.start / height, "Carrying the light to the full size")
        factor = part.exp()
        photo.radiance[rows] *= factor
        if light is not None:
            light[rows] = factor
    return light


def _write(job: RelightJob, photo: Photo, light: Tensor | None, gain: float, linear: bool, report: Report) -> list[str]:
    """Write all files or none; returns warnings."""
    with ExitStack() as stack:
        work = stack.enter_context(staged(job.out.parent))
        preview = work / preview_of(job.out).name
        write_preview(preview, photo.radiance, gain, {"source": str(job.source.resolve()), **settings_of(job)})
        report.preview(preview)
        report.progress(0.88, "Writing the picture")
        if job.ratio is not None and light is not None:
            write_ratio(stack.enter_context(staged(job.ratio.parent)) / job.ratio.name, light)
            report.check()
        notes = write_picture(work / job.out.name, photo.radiance, photo.alpha, associated=linear)
        report.check()
    return notes


def settings_of(job: RelightJob) -> dict[str, Any]:
    """What decides the results besides the source, as JSON gives it back."""
    values = {key: value for key, value in vars(job).items() if key not in FREE}
    return {**values, "reference": str(job.reference.resolve()), "out": str(job.out.resolve())}
