# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait as a head with maps, step by step: fit, unwrap, complete, explain the light, detail, eyes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from ..limo.report import Report
from ..optics.exposure import saturate
from . import maps
from .delight import explain, with_likeness
from .detail import SIZES, refine
from .eyes import paint_eye, read_eyes
from .fit import fit_face
from .head import HeadModel
from .overlay import save_overlay
from .portrait import Portrait
from .prior import EFFORTS, Prior
from .raster import uv_raster
from .records import FaceFit
from .roughness import load_roughness
from .unwrap import unwrap

#: Rows of the eye's texture.
EYE_ROWS = {"draft": 256, "normal": 512, "high": 1024}
#: A worse fit of the landmarks is told.
WELL_FITTED = 0.03
#: Metres about an eye's centre, across and up, whose skin tells whether something covers the eyes, and its least share.
_ORBIT, _UNCOVERED = (0.024, 0.02), 0.3


def estimate(
    radiance: Tensor,
    landmarks: Tensor,
    head: HeadModel,
    prior: Prior,
    report: Report,
    *,
    quality: str = "normal",
    seed: int = 0,
    fov_deg: float | None = None,
    saturation: float = 1.0,
    overlay_file: Path | None = None,
) -> Portrait:
    """The portrait in a photo (H, W, 3), linear, display white 1.0, with ``landmarks`` (468, 2) in 0..1 of it.

    ``saturation``: how many times as strong as in life its colours are; the head's texture has those of life.

    The report's check may raise to cancel, which is asked at every step of the prior and between the others. The fitted
    head over the photo is written to ``overlay_file`` and shown as soon as it is there.
    """

    def part(start: float, share: float, stage: str) -> Callable[[float], None]:
        def tell(done: float) -> None:
            report.check()
            report.progress(start + share * done, stage)

        tell(0.0)
        return tell

    telling, shown = part(0.05, 0.25, "Fitting the head"), radiance
    radiance = saturate(radiance, 1 / saturation) if saturation != 1 else radiance
    fit = fit_face(head, radiance, landmarks, fov_deg, telling, shading=quality != "draft")
    if overlay_file is not None:
        fitted, _ = fit.camera.project(head.landmarks(fit.camera_points(head)))
        save_overlay(overlay_file, shown, fit, head, fitted)
        report.preview(overlay_file)
    part(0.3, 0.1, "Unwrapping the photo")
    partial = unwrap(radiance, fit, head)
    stack = prior.complete(partial, EFFORTS[quality], seed=seed, progress=part(0.4, 0.35, "Completing the maps"))
    part(0.75, 0.0, "Explaining the light")
    fit, residual = explain(fit, head, stack[maps.DIFFUSE], partial)
    stack = stack.clone()
    stack[maps.DIFFUSE] = with_likeness(fit, head, stack[maps.DIFFUSE], partial)
    part(0.78, 0.0, "Adding detail")
    fine, trust = refine(stack, radiance, fit, head, partial, SIZES[quality], seed)
    part(0.9, 0.0, "Painting the eyes")
    eyes = read_eyes(radiance, fit, head)
    return Portrait(
        fit=fit,
        expressions=head.expressions,
        maps=fine,
        roughness=load_roughness().of(maps.filled(stack[maps.SPECULAR])),
        mask=trust,
        seen=_share(partial.mask, head),
        eye=paint_eye(eyes.iris, head.eye_radius, EYE_ROWS[quality], seed),
        gaze=eyes.gaze,
        iris=eyes.iris,
        residual=residual,
        warnings=_warnings(fit, head, partial.mask),
    )


def _warnings(fit: FaceFit, head: HeadModel, mask: Tensor) -> list[str]:
    told = []
    if fit.reprojection > WELL_FITTED:
        told.append(
            f"The head misses the landmarks by {fit.reprojection:.1%} of the distance between the eyes; "
            "drag those that are off to where they belong."
        )
    if max(_share(mask, head, eye) for eye in (-2, -1)) < _UNCOVERED:
        told.append("Something covers the eyes, such as sunglasses or hair; the skin there is made up.")
    return told


def _share(mask: Tensor, head: HeadModel, eye: int | None = None) -> float:
    """How much of the skin, or of that about an ``eye`` (its index in the points), a mask (1, R, R) has."""
    raster, triangles = uv_raster(head, mask.shape[-1], "skin")
    where = raster.mask
    if eye is not None:
        away = raster.interpolate(triangles, head.corners(head.mean - head.mean[eye])).abs()
        across, up = _ORBIT
        where = where & (away[..., 0] < across) & (away[..., 2] < up) & (away[..., 1] < across)
    return float(mask[0][where].mean())
