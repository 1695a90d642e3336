# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the light of a photo comes from: one interface over network, shadows, LIMO's light, shading and backbones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..depth.answer import Depth
from ..depth.estimate import estimate as estimate_depth
from ..errors import BadInput
from ..limo.embedded.paint import WEIGHTS as LIMO
from ..limo.view import Probe, View
from ..optics.camera import Camera
from ..optics.exposure import luminance
from ..optics.photo import Photo
from . import bins, embedded
from .backbone import is_trained_backbone, load_backbone
from .joined import joined
from .key_light import DOMINANT
from .network import SIZE, Inputs, decode_values
from .painted import painted, probe_at
from .shading import estimate_shading
from .shadows import explained

#: ``auto`` joins the embedded network, the shadows that are seen and the light that LIMO paints; it is shading where
#: the network's weights are missing.
AUTO, EMBEDDED, SHADING = "auto", "embedded", "shading"
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


@dataclass(frozen=True, eq=False)
class Look:
    """A photo (H, W, 3), linear, display white 1, its camera, and its depth (H, W) in metres or None for a guess of it;
    and what it shows of the light, wherever in it is asked. ``rough``: the depth given is a guess, too."""

    photo: Tensor
    camera: Camera
    depth: Tensor | None = None
    rough: bool = False

    @property
    def guessed(self) -> bool:
        """Whether what it is seen by is a guess of the depth."""
        return self.depth is None or self.rough

    @cached_property
    def _guess(self) -> Depth:
        return estimate_depth(Photo(self.photo), self.camera.fov_x_deg)

    @cached_property
    def view(self) -> View:
        """The photo by its depth."""
        return View(self.photo.clamp(min=0), self._guess.depth if self.depth is None else self.depth, self.camera)

    @property
    def notes(self) -> list[str]:
        """What is to be said of the guess."""
        return list(self._guess.warnings) if self.depth is None else []

    @cached_property
    def shadows(self) -> Tensor | None:
        """What cast shadows explain (642,); None where they tell nothing: sky, or rough depth."""
        try:
            return explained(self.view)
        except BadInput:
            return None

    def tell(
        self, probe: tuple[float, float] | None = None, distance: float | None = None, device: str = "cpu"
    ) -> dict[str, Tensor]:
        """What shadows and LIMO's light say at a point, if anything, (642,) each; see :mod:`.joined`.

        Shadows through a guess of the depth are not asked.
        """
        said = {} if self.guessed or self.shadows is None else {"shadows": self.shadows}
        if LIMO.is_file():
            said["painted"] = painted(self.view, self.at(probe, distance), device)
        return said

    def at(self, probe: tuple[float, float] | None, distance: float | None) -> Probe:
        """The probe at a point, ``distance`` metres deep unless the depth is a guess."""
        return probe_at(self.view, probe, None if self.guessed else distance)


def estimate(
    photo: Tensor,
    camera: Camera,
    probe: tuple[float, float] | None = None,
    *,
    model: str = AUTO,
    depth: Tensor | None = None,
    distance: float | None = None,
    device: str = "cpu",
) -> Direction:
    """The key light of a photo (H, W, 3), linear, display white 1, at the probe (u, v) or of the whole view.

    ``model``: auto, embedded, shading, or the folder of a head that was trained on a frozen backbone. ``depth`` (H, W)
    in metres is what the network sees the picture in space by, what casts shadows, what LIMO paints by, and what
    shading takes its normals from; it is estimated where it is missing. ``distance``: how deep in it the probe hangs;
    without one, or without a depth, it is in front of the surface that is seen there.
    """
    return estimate_in(Look(photo, camera, depth), probe, model=model, distance=distance, device=device)


def estimate_in(
    look: Look,
    probe: tuple[float, float] | None = None,
    *,
    model: str = AUTO,
    distance: float | None = None,
    device: str = "cpu",
) -> Direction:
    """As :func:`estimate`, for one of several points of a photo."""
    _check(look.photo, look.camera, probe)
    if model == AUTO and not embedded.WEIGHTS.is_file():
        found = _by_shading(look)
        return replace(
            found, warnings=[*found.warnings, "The embedded model is missing: estimated from shading alone."]
        )
    if model == SHADING:
        return _by_shading(look)
    predict = _predictor(EMBEDDED if model == AUTO else model, device)
    probability, values = predict(Inputs.of(look.view, None if probe is None else look.at(probe, distance).position))
    if model == AUTO:
        said = {"network": probability[0], **look.tell(probe, distance, device)}
        probability, model = joined(said, guessed=look.guessed)[None], ", ".join(said)
    return _direction(look.camera, probability, values[0], model, look.notes)


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


def _direction(camera: Camera, probability: Tensor, values: Tensor, model: str, notes: list[str]) -> Direction:
    """The answer of a distribution (1, 642) and the network's other values (5,)."""
    vector, spread = bins.best_guess(probability)
    irradiance, ratio, size = decode_values(values)
    warnings = []
    if min(camera.width, camera.height) < SIZE // 2:
        warnings.append(f"The picture has only {camera.width}×{camera.height} pixels; its light is hard to tell.")
    if float(spread) > _UNSURE_DEG:
        warnings.append("The picture shows no clear light or shadow that would tell the direction.")
    colour = irradiance / irradiance.max().clamp(min=1e-6)
    return Direction(
        vector[0], float(spread), probability[0], float(ratio), colour, irradiance, float(size), model,
        warnings + notes,
    )  # fmt: skip


def _by_shading(look: Look) -> Direction:
    found = estimate_shading(look.view)
    colour = found.irradiance / found.irradiance.max().clamp(min=1e-6)
    return Direction(
        found.direction, found.spread_deg, found.distribution, found.key_to_fill,
        colour, found.irradiance, _SHADING_SIZE_DEG, SHADING, look.notes,
    )  # fmt: skip
