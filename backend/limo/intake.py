# SPDX-License-Identifier: GPL-3.0-or-later
"""From the files of a job to a view with depth and camera, and probes inside it."""

from __future__ import annotations

import torch

from ..depth.estimate import estimate, exif_fov
from ..devices import pick_device
from ..errors import BadInput
from ..optics import exr
from ..optics.camera import Camera
from ..optics.photo import picture_size, read_photo
from .job import LightJob, ProbeSpec
from .view import Probe, View, default_radius


def read_view(job: LightJob) -> tuple[View, str]:
    """The job's picture with camera and depth; also where the depth came from, ``file`` or ``estimate``."""
    photo = read_photo(job.images[0])
    height, width = photo.radiance.shape[:2]
    warnings = list(photo.warnings)
    camera = _camera(job, width, height, photo.focal_35mm)
    found = None
    if camera is None or job.depth is None:
        found = estimate(photo, None if camera is None else camera.fov_x_deg, device=pick_device(job.device))
    if camera is None:
        assert found is not None
        camera = found.camera
    if job.depth is not None:
        if found is not None:
            estimated = f"{camera.fov_x_deg:.0f} degrees was estimated"
            warnings.append(f"The field of view is unknown; {estimated}. Give it for a better result.")
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
    assert found is not None
    return View(photo.radiance, found.depth, camera, job.camera_to_world, warnings + found.warnings), "estimate"


def _camera(job: LightJob, width: int, height: int, focal_35mm: float | None) -> Camera | None:
    """The job's camera or the one that EXIF tells of; None where neither says anything."""
    if job.camera is not None:
        # What says no size is in the pixels of the file, of which fewer may be worked on.
        size = picture_size(job.images[0]) if "fx" in job.camera else (width, height)
        given = Camera.from_dict({"width": size[0], "height": size[1], **job.camera})
        if abs(given.width / given.height - width / height) > 0.02:
            raise BadInput(
                f"The camera is for a picture of {given.width}×{given.height} pixels, this one is {width}×{height}.",
                "Give the camera of this very picture.",
            )
        return given.resized(width, height)
    fov = job.fov_deg
    if fov is None and focal_35mm:
        fov = exif_fov(width, height, focal_35mm)
    return None if fov is None else Camera.from_fov(width, height, fov)


def place_probe(view: View, spec: ProbeSpec, radius: float | None) -> Probe:
    """The probe that ``spec`` asks for; ``radius`` in metres is the job's default."""
    radius = spec.radius or radius
    position = None if spec.position is None else torch.tensor(spec.position, dtype=torch.float32)
    if spec.position_world is not None:
        if view.camera_to_world is None:
            raise BadInput(
                f"Probe {spec.name} is placed in the world, but where the camera is was not said.",
                "Give camera_to_world in the camera file.",
            )
        turn, origin = view.camera_to_world[:3, :3], view.camera_to_world[:3, 3]
        position = (torch.tensor(spec.position_world, dtype=torch.float32) - origin) @ turn
    if position is None:
        assert spec.u is not None and spec.v is not None
        return Probe.from_pixel(view, spec.u, spec.v, depth=spec.depth, radius=radius, name=spec.name)
    if radius is None:
        radius = default_radius(view.camera, abs(float(position[2])))
    return Probe(spec.name, position, radius)
