# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job: a picture and probes become HDR environments. One door for the wire, the command line and Python."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import BadInput, LimelightError
from ..optics import exr
from ..optics import panorama as pano
from ..optics.camera import Camera
from ..optics.photo import read_photo
from .fit import fit
from .front import blend_front
from .job import LightJob, ProbeSpec
from .lamps import extract_lamps
from .painter import SpherePainter, Spheres
from .view import Probe, View


@dataclass(frozen=True)
class Effort:
    """What a quality setting costs: Heun steps and takes of the painter, rows of the fitted map."""

    steps: int
    takes: int
    fit_height: int


EFFORTS = {"draft": Effort(3, 1, 64), "normal": Effort(6, 4, 128), "high": Effort(10, 8, 256)}
#: Share of a probe's work that is painting; the rest is the fit.
_PAINTING = 0.4


class Report(Protocol):
    """How a running job speaks to whoever asked for it."""

    def progress(self, fraction: float, stage: str) -> None:
        """Fraction done in [0, 1] and what is being done."""

    def preview(self, path: Path) -> None:
        """A picture worth showing now."""

    def log(self, text: str) -> None:
        """A line for the log."""

    def check(self) -> None:
        """Raise :class:`limelight.backend.errors.Cancelled` when the job is to stop."""


@dataclass
class SilentReport:
    """A report for scripts that only want the result."""

    lines: list[str] = field(default_factory=list)

    def progress(self, fraction: float, stage: str) -> None:
        """Ignored."""

    def preview(self, path: Path) -> None:
        """Ignored."""

    def log(self, text: str) -> None:
        """Kept in ``lines``."""
        self.lines.append(text)

    def check(self) -> None:
        """Never cancels."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """One probe's answer: environment (N, 2N, 3) in the camera frame and the spheres it was fitted to."""

    probe: Probe
    environment: Tensor
    spheres: Spheres


def pick_device(name: str) -> str:
    """The torch device for ``auto``, ``cpu`` or ``cuda[:N]``."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    count = torch.cuda.device_count()
    if name == "cpu" or (name.startswith("cuda") and count and int(name.partition(":")[2] or 0) < count):
        return name
    raise BadInput(f"There is no device '{name}' here.", "Use auto, cpu or cuda:N with N below the number of GPUs.")


def make_painter(model: str, quality: str, device: str) -> SpherePainter:
    """The sphere painter that a job's ``model`` names."""
    from .embedded.paint import EmbeddedPainter

    return EmbeddedPainter(device, takes=EFFORTS[quality].takes)


def estimate(
    view: View,
    probes: list[Probe],
    *,
    painter: SpherePainter,
    quality: str = "normal",
    height: int = 256,
    seed: int = 0,
    front: bool = True,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    on_spheres: Callable[[int, Spheres], None] = lambda index, spheres: None,
) -> list[Estimate]:
    """Paint the spheres at each probe and fit the environments. ``progress`` may raise to cancel."""
    effort = EFFORTS[quality]
    found = []
    for index, probe in enumerate(probes):

        def tell(fraction: float, stage: str, start: float = index / len(probes), name: str = probe.name) -> None:
            progress(start + fraction / len(probes), f"{stage} {name}")

        tell(0.0, "Painting the spheres of")
        (spheres,) = painter.paint(
            view,
            [probe],
            steps=effort.steps,
            seed=seed,
            progress=lambda f, tell=tell: tell(f * _PAINTING, "Painting the spheres of"),
        )
        on_spheres(index, spheres)
        fitted = fit(
            spheres,
            height=min(effort.fit_height, height),
            progress=lambda f, tell=tell: tell(_PAINTING + f * (0.95 - _PAINTING), "Fitting the light of"),
        )
        environment = blend_front(fitted, view, probe, height) if front else pano.resize(fitted, height)
        found.append(Estimate(probe, environment, spheres))
        tell(1.0, "Finished")
    return found


def run_light(job: LightJob, report: Report) -> dict[str, Any]:
    """Do a whole job: read the picture, estimate, write the files into ``job.out``; returns what result.json holds."""
    seconds: dict[str, float] = {}
    clock = time.monotonic()
    sequence = len(job.images) > 1
    if sequence:
        raise BadInput(
            f"{len(job.images)} pictures were given; one picture is estimated at a time.", "Run once for each picture."
        )
    report.progress(0.0, "Reading the picture")
    view, source = read_view(job)
    probes = [_place(view, spec, job.radius) for spec in job.probes]
    report.check()
    painter = make_painter(job.model, job.quality, pick_device(job.device))
    seconds["read"], clock = time.monotonic() - clock, time.monotonic()
    _make_folder(job.out)

    def progress(fraction: float, stage: str) -> None:
        report.check()
        report.progress(0.03 + 0.94 * fraction, stage)

    def show(index: int, spheres: Spheres) -> None:
        path = job.out / f"probe_{index}_preview.png"
        write_preview(path, spheres)
        report.preview(path)

    found = estimate(
        view,
        probes,
        painter=painter,
        quality=job.quality,
        height=job.size // 2,
        seed=job.seed,
        front=job.front,
        progress=progress,
        on_spheres=show,
    )
    seconds["estimate"], clock = time.monotonic() - clock, time.monotonic()
    entries = [_write_probe(job, view, index, answer) for index, answer in enumerate(found)]
    seconds["write"] = time.monotonic() - clock
    result = {
        "version": 1,
        "image": str(job.images[0]),
        "frame": job.frame,
        "model": job.model,
        "quality": job.quality,
        "seed": job.seed,
        "camera": view.camera.to_dict(),
        "camera_to_world": None if view.camera_to_world is None else view.camera_to_world.tolist(),
        "depth_source": source,
        "warnings": view.warnings,
        "seconds": {k: round(v, 3) for k, v in seconds.items()},
        "probes": entries,
    }
    _write_json(job.out / "result.json", result)
    report.progress(1.0, "Done")
    return result


def read_view(job: LightJob) -> tuple[View, str]:
    """The job's picture with camera and depth; also where the depth came from, ``file`` or ``estimate``."""
    photo = read_photo(job.images[0])
    height, width = photo.radiance.shape[:2]
    warnings = list(photo.warnings)
    camera = _camera(job, width, height, photo.focal_35mm, warnings)
    if job.depth is not None:
        depth = exr.read_depth(job.depth)
        if abs(depth.shape[1] / depth.shape[0] - width / height) > 0.02:
            raise BadInput(
                f"The depth map is {depth.shape[1]}×{depth.shape[0]}, the picture {width}×{height}: another shape.",
                "Give the depth of this very picture.",
            )
        rows = (torch.arange(height) * depth.shape[0] // height)[:, None]
        return View(
            photo.radiance,
            depth[rows, torch.arange(width) * depth.shape[1] // width],
            camera,
            job.camera_to_world,
            warnings,
        ), "file"
    from ..depth.estimate import estimate_depth

    depth, notes = estimate_depth(photo.radiance, camera)
    return View(photo.radiance, depth, camera, job.camera_to_world, warnings + list(notes)), "estimate"


def _camera(job: LightJob, width: int, height: int, focal_35mm: float | None, warnings: list[str]) -> Camera:
    if job.camera is not None:
        given = Camera.from_dict({"width": width, "height": height, **job.camera})
        if abs(given.width / given.height - width / height) > 0.02:
            raise BadInput(
                f"The camera is for a picture of {given.width}×{given.height} pixels, this one is {width}×{height}.",
                "Give the camera of this very picture.",
            )
        return given.resized(width, height)
    if job.fov_deg is not None:
        return Camera.from_fov(width, height, job.fov_deg)
    if focal_35mm:
        focal = focal_35mm / 36 * max(width, height)
        return Camera(width, height, focal, focal, width / 2, height / 2)
    warnings.append("The field of view is unknown; 50 degrees was assumed. Give it with --fov for a better result.")
    return Camera.from_fov(width, height, 50.0)


def _place(view: View, spec: ProbeSpec, radius: float | None) -> Probe:
    radius = spec.radius or radius
    if spec.position is None:
        assert spec.u is not None and spec.v is not None
        return Probe.from_pixel(view, spec.u, spec.v, depth=spec.depth, radius=radius, name=spec.name)
    position = torch.tensor(spec.position, dtype=torch.float32)
    if radius is None:
        radius = 0.06 * view.camera.width / view.camera.fx * abs(float(position[2]))
    return Probe(spec.name, position, radius)


def write_preview(path: Path, spheres: Spheres) -> None:
    """The bracket as one picture, mirror above diffuse, EV 0 at the left."""
    rows = [torch.cat(list(stack), 1) for stack in (spheres.mirror, spheres.diffuse)]
    pixels = (torch.cat(rows).clamp(0, 1).numpy() * 255 + 0.5).astype(np.uint8)
    partial = path.with_suffix(".partial.png")
    Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2), Image.Resampling.BICUBIC).save(partial)
    os.replace(partial, path)


def _write_probe(job: LightJob, view: View, index: int, answer: Estimate) -> dict[str, Any]:
    environment = answer.environment
    position = answer.probe.position
    in_world = None
    if view.camera_to_world is not None:
        in_world = (view.camera_to_world[:3, :3] @ position + view.camera_to_world[:3, 3]).tolist()
    if job.frame == "world":
        assert view.camera_to_world is not None
        environment = pano.to_world(environment, view.camera_to_world[:3, :3])
    lamps, fill = extract_lamps(environment, frame=job.frame)
    names = {"environment": f"probe_{index}.exr", "fill": f"probe_{index}_fill.exr"}
    at = in_world if job.frame == "world" and in_world else position.tolist()
    for name, pixels in (("environment", environment), ("fill", fill)):
        exr.write_panorama(job.out / names[name], pixels, frame=job.frame, probe_position=at)  # type: ignore[arg-type]
    spheres = answer.spheres
    layers = torch.cat([torch.cat(list(stack), 1) for stack in (spheres.mirror, spheres.diffuse)])
    exr.write_image(
        job.out / f"probe_{index}_spheres.exr", layers, half=True, header={"limelightExposures": str(list(spheres.evs))}
    )
    return {
        "name": answer.probe.name,
        "position_camera": position.tolist(),
        "position_world": in_world,
        "radius": answer.probe.radius,
        **names,
        "spheres": f"probe_{index}_spheres.exr",
        "preview": f"probe_{index}_preview.png",
        "lamps": [lamp.to_dict() for lamp in lamps],
        "mean_radiance": pano.mean_radiance(environment).tolist(),
        "warnings": [],
    }


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {path} cannot be made ({error.strerror}).", "Choose another --out.") from error


def _write_json(path: Path, data: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(data, indent=1), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise LimelightError(
            f"Could not write {path.name} ({error.strerror}).", "Check space and permissions."
        ) from error
