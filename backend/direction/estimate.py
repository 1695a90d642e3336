# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the light of a photo comes from: one interface over a network, cast shadows, shading and backbones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ..depth.estimate import estimate as estimate_depth
from ..errors import BadInput
from ..limo.view import View
from ..optics.camera import Camera
from ..optics.exposure import luminance
from ..optics.photo import Photo
from . import bins, embedded
from .backbone import is_trained_backbone, load_backbone
from .key_light import DOMINANT
from .network import SIZE, Inputs, decode_values
from .shading import estimate_shading
from .shadows import explained, sharpened

#: ``auto`` is the embedded network and the shadows that are seen, or shading where the network's weights are missing.
AUTO, EMBEDDED, SHADING = "auto", "embedded", "shading"
#: What answers of the first say that they are from, where there were surfaces to see shadows on.
WITH_SHADOWS = "embedded and shadows"
#: Pictures darker than this, of display white, have nothing to go by.
_BLACK = 1e-3
#: A point estimate as uncertain as this is close to a guess.
_UNSURE_DEG = 45.0
#: Shading tells no size; a soft lamp's is assumed.
_SHADING_SIZE_DEG = 15.0


@dataclass(frozen=True, eq=False)
class Direction:
    """Where the key light comes from, camera frame (x right, y up, looking along −z).

    ``vector`` (3,) unit, towards the light; ``spread_deg`` the expected error; ``distribution`` (642,) over
    :func:`bins.directions`; ``key_to_fill`` irradiance of the key over that of the rest on a surface facing it;
    ``colour`` (3,) linear with its largest channel 1; ``irradiance`` (3,) on a surface facing the light, in units of
    the photo's display white times steradian; ``angular_size_deg`` the light's diameter.
    """

    vector: Tensor
    spread_deg: float
    distribution: Tensor
    key_to_fill: float
    colour: Tensor
    irradiance: Tensor
    angular_size_deg: float
    model: str
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """The form of the answer on the command line and the wire; the distribution as its ten likeliest bins."""
        likeliest = self.distribution.topk(10)
        return {
            "direction": self.vector.tolist(),
            "spread_deg": self.spread_deg,
            "key_to_fill": self.key_to_fill,
            "dominates": self.key_to_fill >= DOMINANT,
            "colour": self.colour.tolist(),
            "irradiance": self.irradiance.tolist(),
            "angular_size_deg": self.angular_size_deg,
            "likeliest": [
                {"direction": bins.directions()[i].tolist(), "probability": float(p)}
                for p, i in zip(likeliest.values, likeliest.indices.tolist(), strict=True)
            ],
            "model": self.model,
            "warnings": self.warnings,
        }


def estimate(
    photo: Tensor,
    camera: Camera,
    probe: tuple[float, float] | None = None,
    *,
    model: str = AUTO,
    depth: Tensor | None = None,
    device: str = "cpu",
) -> Direction:
    """The key light of a photo (H, W, 3), linear, display white 1, at the probe (u, v) or of the whole view.

    ``model``: auto, embedded, shading, or the folder of a head that was trained on a frozen backbone. ``depth`` (H, W)
    in metres is what casts shadows, and what shading takes its normals from; it is estimated where it is missing.
    """
    _check(photo, camera, probe)
    if model == AUTO and not embedded.WEIGHTS.is_file():
        found = _by_shading(photo, camera, depth)
        return replace(
            found, warnings=[*found.warnings, "The embedded model is missing: estimated from shading alone."]
        )
    if model == SHADING:
        return _by_shading(photo, camera, depth)
    predict = _predictor(EMBEDDED if model == AUTO else model, device)
    return _by_network(photo, camera, probe, predict, model, depth)


def _check(photo: Tensor, camera: Camera, probe: tuple[float, float] | None) -> None:
    if photo.ndim != 3 or photo.shape[-1] != 3 or tuple(photo.shape[:2]) != (camera.height, camera.width):
        raise BadInput(
            f"The picture has shape {tuple(photo.shape)}, the camera {camera.width}×{camera.height} pixels.",
            "Give (H, W, 3) linear radiance and the camera of this very picture.",
        )
    if not bool(torch.isfinite(photo).all()):
        raise BadInput("The picture contains NaN or infinite values.", "Export it again without them.")
    if float(luminance(photo).max()) < _BLACK:
        raise BadInput("The picture is black: there is no light to see.", "Brighten it, or choose another one.")
    if probe is not None and not all(0 <= x <= 1 for x in probe):
        raise BadInput(
            f"The probe lies at ({probe[0]:g}, {probe[1]:g}), outside the picture.",
            "U and V go from 0 to 1 with the origin at the top left.",
        )


def _predictor(model: str, device: str) -> Callable[[Inputs], tuple[Tensor, Tensor]]:
    if model == EMBEDDED:
        loaded = embedded.load_network(device=device)
    elif is_trained_backbone(Path(model).expanduser()):
        loaded = load_backbone(Path(model).expanduser().resolve(), device)
    else:
        raise BadInput(
            f"There is no direction model '{model}'.",
            "Use auto, embedded, shading, or the folder that 'limelight train direction --backbone' wrote.",
        )
    return lambda inputs: embedded.predict(loaded, inputs)


def _by_network(
    photo: Tensor,
    camera: Camera,
    probe: tuple[float, float] | None,
    predict: Callable[[Inputs], tuple[Tensor, Tensor]],
    model: str,
    depth: Tensor | None,
) -> Direction:
    probability, values = predict(Inputs.of(photo, camera, probe))
    notes: list[str] = []
    if model == AUTO:
        probability, model, notes = _with_shadows(probability, photo, camera, depth)
    vector, spread = bins.best_guess(probability)
    irradiance, ratio, size = decode_values(values[0])
    warnings = []
    if min(camera.width, camera.height) < SIZE // 2:
        warnings.append(f"The picture has only {camera.width}×{camera.height} pixels; its light is hard to tell.")
    if float(spread) > _UNSURE_DEG:
        warnings.append("The picture shows no clear light or shadow that would tell the direction.")
    warnings += notes
    colour = irradiance / irradiance.max().clamp(min=1e-6)
    return Direction(
        vector[0], float(spread), probability[0], float(ratio), colour, irradiance, float(size), model, warnings
    )


def _with_shadows(
    probability: Tensor, photo: Tensor, camera: Camera, depth: Tensor | None
) -> tuple[Tensor, str, list[str]]:
    """The network's distribution (1, 642) in the light of the shadows that are seen, what it is from, and the depth's
    warnings; as it was where there are no surfaces."""
    depth, notes = _depth(photo, camera, depth)
    try:
        shares = explained(View(photo.clamp(min=0), depth, camera))
    except BadInput:
        return probability, EMBEDDED, []
    return sharpened(probability[0], shares)[None], WITH_SHADOWS, notes


def _depth(photo: Tensor, camera: Camera, depth: Tensor | None) -> tuple[Tensor, list[str]]:
    """The given depth, or a guess and its warnings."""
    if depth is not None:
        return depth, []
    guess = estimate_depth(Photo(photo), camera.fov_x_deg)
    return guess.depth, list(guess.warnings)


def _by_shading(photo: Tensor, camera: Camera, depth: Tensor | None) -> Direction:
    depth, warnings = _depth(photo, camera, depth)
    found = estimate_shading(View(photo.clamp(min=0), depth, camera))
    colour = found.irradiance / found.irradiance.max().clamp(min=1e-6)
    return Direction(
        found.direction, found.spread_deg, found.distribution, found.key_to_fill,
        colour, found.irradiance, _SHADING_SIZE_DEG, SHADING, warnings,
    )  # fmt: skip
