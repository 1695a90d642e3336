# SPDX-License-Identifier: GPL-3.0-or-later
"""A direction job from files: the same from the command line, the wire and Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..devices import pick_device
from ..errors import BadInput
from ..limo.intake import read_view
from ..limo.job import LightJob
from ..limo.report import Report
from ..limo.view import Probe, View
from ..requests import given
from . import bins
from .estimate import AUTO, Direction, Look, estimate_in
from .key_light import find_key_light
from .painted import MIDDLE, environment_at, probe_at

#: What of a light job a direction job knows too.
_SHARED = ("images", "fov_deg", "depth", "camera", "camera_to_world", "device", "seed", "quality")


@dataclass(frozen=True)
class DirectionJob:
    """One picture and points of it, unless it is the ``whole`` view that is asked about, and whether an HDRI is to be
    fitted too."""

    light: LightJob
    whole: bool = False
    model: str = AUTO
    with_hdri: bool = False

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> DirectionJob:
        """Read the parameters of a ``direction`` request: ``image``, ``model``, ``with_hdri``, of a light job's
        :data:`_SHARED` all but ``images``, and its ``probes``, none for the whole view."""
        params = given(params, cls, {"image", "probes", "model", "with_hdri", *_SHARED} - {"images"})
        if not params.get("image"):
            raise BadInput("No picture was given.", "Name an image file.")
        u, v = MIDDLE
        probes = params.get("probes") or [{"name": "view", "u": u, "v": v}]
        shared = {k: value for k, value in params.items() if k in _SHARED}
        # A light job checks the same things; it only never writes anything here.
        light = LightJob.from_params({**shared, "images": [params["image"]], "out": ".", "probes": probes})
        for spec in light.probes:
            if spec.u is None or spec.v is None:
                raise BadInput(f"Probe {spec.name} has no u and v.", "Mark a point in the picture.")
        return cls(light, not params.get("probes"), str(params.get("model") or AUTO), bool(params.get("with_hdri")))


def run_direction(job: DirectionJob, report: Report) -> dict[str, Any]:
    """Read the picture, estimate; returns what is printed or sent: one entry in ``directions`` for each point."""
    report.progress(0.0, "Reading the picture")
    view, source = read_view(job.light)
    report.check()
    device = pick_device(job.light.device)
    look = Look(view.radiance, view.camera, view.depth, rough=source == "estimate")
    entries = []
    for index, spec in enumerate(job.light.probes):
        report.progress(0.1 + 0.8 * index / len(job.light.probes), "Looking for the key light")
        report.check()
        at = None if job.whole or spec.u is None or spec.v is None else (spec.u, spec.v)
        found = estimate_in(look, at, model=job.model, distance=spec.depth, device=device)
        entry: dict[str, Any] = {"probe": None if at is None else list(at), **found.to_dict()}
        if view.camera_to_world is not None:
            entry["direction_world"] = (view.camera_to_world[:3, :3] @ found.vector).tolist()
        if job.with_hdri:
            entry["hdri"] = _by_hdri(view, probe_at(view, at, spec.depth), found, job, device, report)
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


def _by_hdri(
    view: View, probe: Probe, found: Direction, job: DirectionJob, device: str, report: Report
) -> dict[str, Any]:
    """The key light of the fitted HDRI, and how far it is from the direct answer."""
    report.progress(0.5, "Fitting an HDRI to compare with")
    environment = environment_at(view, probe, job.light.quality, job.light.seed, device)
    key = find_key_light(environment)
    return {
        "direction": key.direction.tolist(),
        "key_to_fill": key.key_to_fill,
        "angular_size_deg": key.angular_size_deg,
        "agreement_deg": float(bins.angle_deg(key.direction, found.vector)),
    }
