# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit the morphable head to a face in a photo: pose, camera, identity, expression, a smooth rest, the light on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import BadInput
from ..optics.camera import Camera
from .fit_landmarks import Laid, LandmarkFit
from .fit_light import light_on
from .fit_offsets import offsets as rest
from .fit_photometric import free_samples, refine
from .head import HeadModel
from .landmarks import check
from .records import FaceFit

#: Steps of the pose alone, then of everything.
POSE_STEPS, STEPS = 20, 60
#: A fit whose landmarks miss by more than this part of the inter-ocular distance is of no face.
WORST = 0.15


def fit_face(
    head: HeadModel,
    radiance: Tensor,
    landmarks: Tensor,
    fov_x_deg: float | None = None,
    progress: Callable[[float], None] = lambda done: None,
    *,
    shading: bool = True,
) -> FaceFit:
    """The head under a photo: ``radiance`` (H, W, 3) linear, ``landmarks`` (468, 2) in 0..1 of it.

    ``fov_x_deg`` is its horizontal field of view in degrees, None to estimate it. With ``shading`` the skin's
    brightness has a say in the shape beside the landmarks. Raises :class:`BadInput` if the
    landmarks are not those of a face that can be fitted.
    """
    size = (radiance.shape[1], radiance.shape[0])
    check(landmarks, size)
    pixels = landmarks * torch.tensor(size)
    fit, laid = lay(head, pixels, size, fov_x_deg)
    progress(0.4)
    if shading:
        laid = shaded(head, fit, laid, radiance, landmarks)
    progress(0.6)
    moved = rest(head, fit, laid)
    progress(0.8)
    final = LandmarkFit(head, pixels, size, laid.focal, head.landmarks(moved))
    missed = float(final.errors(laid).mean())
    found = _record(laid, moved, size, landmarks, missed)
    light = light_on(head, found, radiance)
    progress(1.0)
    return replace(found, light=light)


def lay(
    head: HeadModel, pixels: Tensor, size: tuple[int, int], fov_x_deg: float | None = None
) -> tuple[LandmarkFit, Laid]:
    """The morphable head alone under landmarks (468, 2) in pixels."""
    focal = None if fov_x_deg is None else Camera.from_fov(*size, fov_x_deg).fx
    fit = LandmarkFit(head, pixels, size, focal)
    laid = fit.refine(fit.refine(fit.start(), POSE_STEPS, shape=False), STEPS)
    if not float(fit.errors(laid).mean()) < WORST:
        raise BadInput(
            "The landmarks do not form a face that the head can take.",
            "Find them again, or drag those that are off back to where they belong.",
            "bad_landmarks",
        )
    return fit, laid


def shaded(head: HeadModel, fit: LandmarkFit, laid: Laid, radiance: Tensor, landmarks: Tensor) -> Laid:
    """``laid`` (of :func:`lay`) corrected by the shading of the skin that a photo (H, W, 3), linear, shows."""
    size = (radiance.shape[1], radiance.shape[0])
    plain = _record(laid, torch.zeros_like(head.mean), size, landmarks, 0.0)
    return refine(head, fit, laid, radiance, free_samples(head, plain, radiance))


def _record(laid: Laid, moved: Tensor, size: tuple[int, int], landmarks: Tensor, missed: float) -> FaceFit:
    fov = math.degrees(2 * math.atan(size[0] / 2 / laid.focal))
    single = [value.float() for value in (laid.identity, laid.expression, moved, laid.rotation, laid.translation)]
    shape, light = (single[0], single[1], single[2]), torch.zeros(9, 3)
    return FaceFit(*shape, single[3], single[4], fov, size, light, landmarks.float(), missed)
