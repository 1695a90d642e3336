# SPDX-License-Identifier: GPL-3.0-or-later
"""A direction job from files: the same from the command line, the wire and Python."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..devices import pick_device
from ..errors import BadInput
from ..limo.intake import read_view
from ..limo.job import LightJob
from ..limo.report import Report
from ..limo.view import View
from ..requests import given
from . import bins
from .estimate import AUTO, Direction, Look, estimate_in
from .key_light import find_key_light
from .painted import MIDDLE, environment_at, probe_at

#: What of a light job a direction job knows too.
_SHARED = ("images", "fov_deg", "depth", "camera", "camera_to_world", "device", "seed", "quality")


@dataclass(frozen=True)
class Point:
    """A point (u, v) of the picture, and how many metres deep, if it is not on the surface seen there."""

    u: float
    v: float
    depth: float | None = None

    @classmethod
    def from_params(cls, numbers: Any) -> Point:
        """Read one of a request's ``probes``: (u, v) or (u, v, depth)."""
        try:
            u, v, *deep = (float(x) for x in numbers)
            (depth,) = deep or (None,)
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"The probe {numbers!r} is neither two nor three numbers.", "Give u and v, e.g. 0.5,0.6."
            ) from error
        if depth is not None and not (math.isfinite(depth) and depth > 0):
            raise BadInput(f"The probe {numbers!r} has depth {depth:g} m.", "Depth must be positive and finite.")
        return cls(u, v, depth)


@dataclass(frozen=True)
class DirectionJob:
    """One picture, the points asked for (none: the whole view), and whether an HDRI is to be fitted too."""

    light: LightJob
    probes: tuple[Point, ...] = ()
    model: str = AUTO
    with_hdri: bool = False

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> DirectionJob:
        """Read the parameters of a ``direction`` request: ``image``, ``probes`` (:class:`Point`), ``model``,
        ``with_hdri``, and of a light job's :data:`_SHARED` all but ``images``."""
        params = given(params, {"image", "probes", "model", "with_hdri", *_SHARED} - {"images"})
        if not params.get("image"):
            raise BadInput("No picture was given.", "Name an image file.")
        points = [Point.from_params(numbers) for numbers in params.get("probes") or ()]
        shared = {k: v for k, v in params.items() if k in _SHARED}
        u, v = (points[0].u, points[0].v) if points else MIDDLE
        # A light job checks the same things; it only never writes anything here.
        light = {**shared, "images": [params["image"]], "out": ".", "probes": [{"name": "view", "u": u, "v": v}]}
        return cls(
            LightJob.from_params(light), tuple(points), str(params.get("model") or AUTO), bool(params.get("with_hdri"))
        )


def run_direction(job: DirectionJob, report: Report) -> dict[str, Any]:
    """Read the picture, estimate; returns what is printed or sent: one entry in ``directions`` for each point."""
    report.progress(0.0, "Reading the picture")
    view, source = read_view(job.light)
    report.check()
    device = pick_device(job.light.device)
    asked: list[Point | None] = list(job.probes) or [None]
    look = Look(view.radiance, view.camera, view.depth)
    entries = []
    for index, point in enumerate(asked):
        report.progress(0.1 + 0.8 * index / len(asked), "Looking for the key light")
        report.check()
        at, distance = (None, None) if point is None else ((point.u, point.v), point.depth)
        found = estimate_in(look, at, model=job.model, distance=distance, device=device)
        entry: dict[str, Any] = {"probe": None if at is None else list(at), **found.to_dict()}
        if view.camera_to_world is not None:
            entry["direction_world"] = (view.camera_to_world[:3, :3] @ found.vector).tolist()
        if job.with_hdri:
            entry["hdri"] = _by_hdri(view, point, found, job, device, report)
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
    view: View, point: Point | None, found: Direction, job: DirectionJob, device: str, report: Report
) -> dict[str, Any]:
    """The key light of the fitted HDRI, and how far it is from the direct answer."""
    report.progress(0.5, "Fitting an HDRI to compare with")
    probe = probe_at(view) if point is None else probe_at(view, (point.u, point.v), point.depth)
    environment = environment_at(view, probe, job.light.quality, job.light.seed, device)
    key = find_key_light(environment)
    return {
        "direction": key.direction.tolist(),
        "key_to_fill": key.key_to_fill,
        "angular_size_deg": key.angular_size_deg,
        "agreement_deg": float(bins.angle_deg(key.direction, found.vector)),
    }
