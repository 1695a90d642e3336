# SPDX-License-Identifier: GPL-3.0-or-later
"""A face job from files: the same from the command line, the wire and Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..depth.estimate import exif_fov
from ..devices import pick_device
from ..errors import BadInput, MissingPart
from ..limo.job import QUALITIES
from ..limo.output import staged, write_json
from ..limo.report import Report
from ..requests import read_job
from ..weights import stamp
from .estimate import estimate
from .find import portrait_photo
from .head import load as load_head
from .ict import load as load_kit
from .landmarks import Face, check, choose, find_faces
from .output import FILES, write_portrait
from .portrait import Portrait
from .prior import Prior, load_prior
from .records import LANDMARKS

EMBEDDED = "embedded"
#: Pixels on the photo's longer side that are worked on.
SIDES = {"draft": 1536, "normal": 2048, "high": 4096}

_KINDS = {
    "image": Path, "out": Path, "head": Path, "seed": int, "face": int, "fov_deg": float, "saturation": float,
    "landmarks": list,
}  # fmt: skip


@dataclass(frozen=True)
class FaceJob:
    """A portrait ``image`` and the folder ``out``; the rest is :class:`~...bridge.messages.FaceParams`'s."""

    image: Path
    out: Path
    quality: str = "normal"
    seed: int = 0
    face: int | None = None
    landmarks: Sequence[Sequence[float]] | None = None
    fov_deg: float | None = None
    saturation: float = 1.0
    model: str = EMBEDDED
    head: Path | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise BadInput(f"The quality is '{self.quality}'.", f"Use one of: {', '.join(QUALITIES)}.")
        if not 0 <= self.seed < 2**62:
            raise BadInput(f"The seed is {self.seed}.", "Use 0, 1, 2, …")
        if self.fov_deg is not None and not 1 <= self.fov_deg <= 170:
            raise BadInput(
                f"The field of view is {self.fov_deg:g} degrees.", "Give between 1 and 170 degrees, e.g. 30."
            )
        if not 0.5 <= self.saturation <= 2:
            raise BadInput(
                f"The saturation is {self.saturation:g}.",
                "Give 0.5 to 2: how many times as strong as in life the photo's colours are, 1 if they are right.",
            )
        if self.model != EMBEDDED and not Path(self.model).is_file():
            raise BadInput(f"There is no model '{self.model}'.", "Use embedded, or name a file of the prior's weights.")
        if self.landmarks is not None:
            _points(self.landmarks)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> FaceJob:
        """Read the parameters of a ``face`` request; unknown names are errors."""
        remedy = "Name a portrait and a folder for the results."
        return read_job(cls, params, _KINDS, ("image", "out"), remedy)


def run_face(job: FaceJob, report: Report) -> dict[str, Any]:
    """Make a head of a portrait and write its folder; returns what result.json holds."""
    report.progress(0.0, "Reading the portrait")
    device = pick_device(job.device)
    photo = portrait_photo(job.image, SIDES[job.quality])
    report.check()
    height, width = photo.radiance.shape[:2]
    if job.landmarks is None:
        report.progress(0.02, "Finding the face")
        faces = find_faces(photo.radiance)
        face, notes = choose(faces, (width, height), job.face)
    else:
        face = Face(_points(job.landmarks), 1.0)
        notes = check(face.landmarks, (width, height))
    head = load_head() if job.head is None else load_kit(job.head)
    fov = job.fov_deg
    if fov is None and photo.focal_35mm:
        fov = exif_fov(width, height, photo.focal_35mm)
    prior = load_prior(device=device) if job.model == EMBEDDED else _own_prior(Path(job.model), device)
    with staged(job.out) as work:
        portrait = estimate(
            photo.radiance,
            face.landmarks,
            head,
            prior,
            report,
            quality=job.quality,
            seed=job.seed,
            fov_deg=fov,
            saturation=job.saturation,
            overlay_file=work / FILES["overlay"],
        )
        report.check()
        report.progress(0.94, "Writing the head")
        write_portrait(work, portrait, head)
        result = described(job, portrait, [*photo.warnings, *notes, *portrait.warnings])
        write_json(work / "result.json", result)
        report.check()
    report.progress(1.0, "Done")
    return result


def _own_prior(weights: Path, device: str) -> Prior:
    """The prior of a file that the job names."""
    try:
        return load_prior(weights, device, stamp(weights))
    except MissingPart as error:
        raise BadInput(
            f"{weights.name} holds no weights of this version's prior.",
            "Use embedded, or name a file that 'limelight train relightify' has made.",
        ) from error


def described(job: FaceJob, portrait: Portrait, warnings: list[str]) -> dict[str, Any]:
    """result.json of a portrait."""
    fit = portrait.fit
    asked = {k: str(v.resolve()) if isinstance(v, Path) else v for k, v in vars(job).items() if k != "device"}
    return {
        "version": 1,
        "image": str(job.image),
        "quality": job.quality,
        "seed": job.seed,
        "model": job.model,
        "saturation": job.saturation,
        "size": list(fit.size),
        "fov_x_deg": fit.fov_x_deg,
        "rotation": fit.rotation.tolist(),
        "translation": fit.translation.tolist(),
        "reprojection": fit.reprojection,
        "identity": fit.identity.tolist(),
        "expression": dict(zip(portrait.expressions, fit.expression.tolist(), strict=True)),
        "light": fit.light.tolist(),
        "seen": portrait.seen,
        "residual": None if math.isnan(portrait.residual) else portrait.residual,
        "resolution": portrait.maps.shape[-1],
        "iris": portrait.iris.tolist(),
        "gaze": portrait.gaze.tolist(),
        "landmarks": fit.landmarks.tolist(),
        "files": FILES,
        "warnings": warnings,
        "settings": asked,
    }


def _points(landmarks: Sequence[Sequence[float]]) -> Tensor:
    """Landmarks as given, (468, 2)."""
    try:
        points = torch.tensor([[float(u), float(v)] for u, v in landmarks])
    except (TypeError, ValueError) as error:
        raise BadInput(
            "The landmarks are not pairs of numbers.", f"Give {LANDMARKS} pairs u, v from 0 to 1."
        ) from error
    if len(points) != LANDMARKS or not bool(torch.isfinite(points).all()):
        raise BadInput(f"There are {len(points)} landmarks.", f"Give {LANDMARKS} pairs u, v from 0 to 1.")
    return points
