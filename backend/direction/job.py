# SPDX-License-Identifier: GPL-3.0-or-later
"""A direction job from files: the same from the command line, the wire and Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..devices import pick_device
from ..errors import BadInput
from ..limo.estimate import estimate as estimate_light
from ..limo.estimate import make_painter
from ..limo.intake import read_view
from ..limo.job import EMBEDDED as LIMO
from ..limo.job import LightJob
from ..limo.report import Report
from ..limo.view import Probe, View
from ..requests import given
from . import bins
from .estimate import AUTO, Direction, estimate
from .key_light import find_key_light

#: Where LIMO looks when nobody marked a point: a little below the middle.
_MIDDLE = (0.5, 0.6)
#: What of a light job a direction job knows too.
_SHARED = ("images", "fov_deg", "depth", "camera", "camera_to_world", "device", "seed", "quality")


@dataclass(frozen=True)
class DirectionJob:
    """One picture, the points asked for (none: the whole view), and whether LIMO is asked too."""

    light: LightJob
    probes: tuple[tuple[float, float], ...] = ()
    model: str = AUTO
    with_hdri: bool = False

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> DirectionJob:
        """Read the parameters of a ``direction`` request: ``image``, ``probes`` as pairs (u, v), ``model``,
        ``with_hdri``, and of a light job's :data:`_SHARED` all but ``images``."""
        params = given(params, {"image", "probes", "model", "with_hdri", *_SHARED} - {"images"})
        if not params.get("image"):
            raise BadInput("No picture was given.", "Name an image file.")
        specs = [_point(pair) for pair in params.get("probes") or ()]
        shared = {k: v for k, v in params.items() if k in _SHARED}
        u, v = specs[0] if specs else _MIDDLE
        # A light job checks the same things; it only never writes anything here.
        light = {**shared, "images": [params["image"]], "out": ".", "probes": [{"name": "view", "u": u, "v": v}]}
        return cls(
            LightJob.from_params(light), tuple(specs), str(params.get("model") or AUTO), bool(params.get("with_hdri"))
        )


def _point(pair: Any) -> tuple[float, float]:
    try:
        u, v = (float(x) for x in pair)
    except (TypeError, ValueError) as error:
        raise BadInput(f"The probe {pair!r} is not a pair of numbers.", "Give u and v, e.g. 0.5,0.6.") from error
    return u, v


def run_direction(job: DirectionJob, report: Report) -> dict[str, Any]:
    """Read the picture, estimate; returns what is printed or sent: one entry in ``directions`` for each point."""
    report.progress(0.0, "Reading the picture")
    view, source = read_view(job.light)
    report.check()
    device = pick_device(job.light.device)
    asked: list[tuple[float, float] | None] = list(job.probes) or [None]
    entries = []
    for index, probe in enumerate(asked):
        report.progress(0.1 + 0.8 * index / len(asked), "Looking for the key light")
        report.check()
        found = estimate(view.radiance, view.camera, probe, model=job.model, depth=view.depth, device=device)
        entry: dict[str, Any] = {"probe": None if probe is None else list(probe), **found.to_dict()}
        if view.camera_to_world is not None:
            entry["direction_world"] = (view.camera_to_world[:3, :3] @ found.vector).tolist()
        if job.with_hdri:
            entry["hdri"] = _by_hdri(view, probe or _MIDDLE, found, job, device, report)
        entries.append(entry)
    report.progress(1.0, "Done")
    return {
        "version": 1,
        "image": str(job.light.images[0]),
        "camera": view.camera.to_dict(),
        "depth_source": source,
        "warnings": view.warnings,
        "directions": entries,
    }


def hdri_environment(view: View, probe: Probe, quality: str, seed: int, device: str) -> Tensor:
    """The environment (128, 256, 3), camera frame, that LIMO fits at a probe; its key light is the HDRI's answer."""
    (answer,) = estimate_light(
        view, [probe], painter=make_painter(LIMO, quality, device), quality=quality, height=128, seed=seed
    )
    return answer.environment


def _by_hdri(
    view: View, at: tuple[float, float], found: Direction, job: DirectionJob, device: str, report: Report
) -> dict[str, Any]:
    """The key light of the fitted HDRI, and how far it is from the direct answer."""
    report.progress(0.5, "Fitting an HDRI to compare with")
    probe = Probe.from_pixel(view, *at, name="view")
    environment = hdri_environment(view, probe, job.light.quality, job.light.seed, device)
    key = find_key_light(environment)
    return {
        "direction": key.direction.tolist(),
        "key_to_fill": key.key_to_fill,
        "angular_size_deg": key.angular_size_deg,
        "agreement_deg": float(bins.angle_deg(key.direction, found.vector)),
    }
