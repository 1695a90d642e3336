# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth and field of view of a photo without a depth map: the one door to all depth models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ...bridge.messages import NOTE
from ..errors import BadInput
from ..optics import exr
from ..optics.camera import Camera
from ..optics.photo import Photo, read_photo
from .answer import Depth, DepthModel
from .perspective import guess_depth

#: The field of view that the perspective guess assumes.
DEFAULT_FOV_DEG = 50.0
#: The model that is used when none is named.
DEFAULT_MODEL = "embedded"


class PerspectiveGuess:
    """A :class:`.answer.DepthModel` without weights: a room's shell around a level camera."""

    def estimate(self, radiance: Tensor, fov_x_deg: float | None) -> Depth:
        """See :class:`.answer.DepthModel`."""
        height, width = radiance.shape[:2]
        notes = []
        if fov_x_deg is None:
            notes.append(
                f"The field of view is unknown; {DEFAULT_FOV_DEG:g} degrees was assumed. Give it for a better result."
            )
        camera = Camera.from_fov(width, height, fov_x_deg or DEFAULT_FOV_DEG)
        depth, warnings = guess_depth(radiance, camera)
        sky = torch.isinf(depth).float()
        spread = 0.0 if fov_x_deg else 15.0
        return Depth(depth, camera.fov_x_deg, spread, sky, True, "guess", notes + warnings)


def find_model(name: str, device: str = "cpu") -> DepthModel:
    """``embedded``, ``guess``, or a backbone by its folder or its name in the models folder."""
    if name == "embedded":
        from .embedded import EmbeddedDepth

        return EmbeddedDepth(device)
    if name == "guess":
        return PerspectiveGuess()
    from .backbones import find_backbone

    return find_backbone(name, device)


def estimate(photo: Photo, fov: float | None = None, model: str = DEFAULT_MODEL, device: str = "cpu") -> Depth:
    """Depth of a photo at its own size. ``fov``: horizontal degrees where known; else EXIF's, else the model's."""
    height, width = photo.radiance.shape[:2]
    if fov is not None:
        fov = Camera.from_fov(width, height, fov).fov_x_deg
    elif photo.focal_35mm:
        fov = exif_fov(width, height, photo.focal_35mm)
    return find_model(model, device).estimate(photo.radiance, fov)


def exif_fov(width: int, height: int, focal_35mm: float) -> float | None:
    """Horizontal field of view of the lens that EXIF names, its 36 mm along the longer side; None where absurd."""
    focal = focal_35mm / 36 * max(width, height)
    fov = Camera(width, height, focal, focal, width / 2, height / 2).fov_x_deg
    return fov if 1 <= fov <= 170 else None


def estimate_depth_file(
    image: Path,
    out: Path,
    fov_deg: float | None = None,
    model: str = DEFAULT_MODEL,
    device: str = "cpu",
    check: Callable[[], None] = lambda: None,
) -> dict[str, object]:
    """Write a photo's depth as EXR (channel Z); returns field of view and spread, range, model and warnings.

    In the EXR's header :data:`NOTE` tells what it was made with. ``check`` may raise to cancel.
    """
    if out.suffix.lower() != ".exr":
        raise BadInput(f"The depth file is called {out.name}.", "Give it the extension .exr.")
    photo = read_photo(image)
    check()
    found = estimate(photo, fov_deg, model, device)
    check()
    settings = {"image": str(image.resolve()), "out": str(out.resolve()), "fov_deg": fov_deg, "model": model}
    exr.write_depth(out, found.depth, header={NOTE: json.dumps(settings)})
    finite = found.depth[torch.isfinite(found.depth)]
    span = [float(finite.min()), float(finite.max())] if finite.numel() else []
    return {
        "depth": str(out),
        "fov_x_deg": found.fov_x_deg,
        "fov_spread_deg": found.fov_spread,
        "range_m": span,
        "up": None if found.up is None else found.up.tolist(),
        "scale_is_guess": found.scale_is_guess,
        "model": found.model,
        "warnings": [*photo.warnings, *found.warnings],
    }
