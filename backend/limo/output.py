# SPDX-License-Identifier: GPL-3.0-or-later
"""What a light estimation leaves on disk: environments, spheres, previews, result.json."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import BadInput
from ..optics import exr
from ..optics import panorama as pano
from ..workplace import LOCK, workplace
from .job import LightJob, settings_of
from .lamps import extract_lamps
from .painter import Spheres
from .view import Probe, View

#: A job's own folder is hidden inside its output folder.
_STAGING = ".limelight-"


def write_preview(path: Path, spheres: Spheres) -> None:
    """The bracket as one picture, mirror above diffuse, EV 0 at the left."""
    rows = [torch.cat(list(stack), 1) for stack in (spheres.mirror, spheres.diffuse)]
    pixels = (torch.cat(rows).clamp(0, 1).numpy() * 255 + 0.5).astype(np.uint8)
    partial = path.with_suffix(".partial.png")
    Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2), Image.Resampling.BICUBIC).save(partial)
    os.replace(partial, path)


def write_spheres(path: Path, spheres: Spheres) -> None:
    """The bracket as a linear EXR of display values in half precision, mirror above diffuse, first exposure left."""
    layers = torch.cat([torch.cat(list(stack), 1) for stack in (spheres.mirror, spheres.diffuse)])
    exr.write_image(path, layers, half=True, header={"limelightExposures": str(list(spheres.evs))})


def write_probe(
    folder: Path,
    job: LightJob,
    view: View,
    index: int,
    probe: Probe,
    environment: Tensor,
    spheres: Spheres,
    turned: bool = False,
    before: Sequence[Sequence[float]] = (),
) -> dict[str, Any]:
    """Write one probe's EXR files into ``folder`` in the job's frame; returns its entry of result.json.

    ``environment`` (N, 2N, 3) is in the camera frame, or in the job's frame already: ``turned``. ``before`` are the
    directions of the lamps in the frame before.
    """
    position = probe.position
    in_world = None
    if view.camera_to_world is not None:
        in_world = (view.camera_to_world[:3, :3] @ position + view.camera_to_world[:3, 3]).tolist()
    if job.frame == "world" and not turned:
        assert view.camera_to_world is not None
        environment = pano.to_world(environment, view.camera_to_world[:3, :3])
    frame = cast(pano.Frame, job.frame)
    lamps, fill = extract_lamps(environment, frame=frame, before=before)
    names = {"environment": f"probe_{index}.exr", "fill": f"probe_{index}_fill.exr"}
    at = in_world if job.frame == "world" and in_world else position.tolist()
    for name, pixels in (("environment", environment), ("fill", fill)):
        exr.write_panorama(folder / names[name], pixels, frame=frame, probe_position=at)
    write_spheres(folder / f"probe_{index}_spheres.exr", spheres)
    return {
        "name": probe.name,
        "position_camera": position.tolist(),
        "position_world": in_world,
        "radius": probe.radius,
        **names,
        "spheres": f"probe_{index}_spheres.exr",
        "preview": f"probe_{index}_preview.png",
        "lamps": [lamp.to_dict() for lamp in lamps],
        "mean_radiance": pano.mean_radiance(environment).tolist(),
        "spread": None if spheres.spread is None else dataclasses.asdict(spheres.spread),
        "warnings": [],
    }


def describe(
    job: LightJob, view: View, depth_source: str, seconds: dict[str, float], entries: list[dict[str, Any]]
) -> dict[str, Any]:
    """What result.json holds of one picture."""
    return {
        "version": 1,
        "image": str(job.images[0]),
        "frame": job.frame,
        "model": job.model,
        "quality": job.quality,
        "seed": job.seed,
        "take": job.take,
        "camera": view.camera.to_dict(),
        "camera_to_world": None if view.camera_to_world is None else view.camera_to_world.tolist(),
        "depth_source": depth_source,
        "warnings": view.warnings,
        "seconds": seconds,
        "probes": entries,
        "settings": settings_of(job),
    }


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder inside ``out`` to work in; its files move into ``out`` at the end, and vanish if the job fails.

    So a cancelled or failed job leaves ``out`` as it was: no half-written file, nothing lost. What a killed one left
    there is removed by the next.
    """
    existed = out.exists()
    try:
        with ExitStack() as stack:
            try:
                out.mkdir(parents=True, exist_ok=True)
                work = stack.enter_context(workplace(out, _STAGING))
            except OSError as error:
                raise BadInput(
                    f"The folder {out} cannot be written ({error.strerror}).", "Choose another folder."
                ) from error
            yield work
            for path in sorted(work.iterdir()):
                if path.name != LOCK:
                    os.replace(path, out / path.name)
    finally:
        if not existed and out.is_dir() and not any(out.iterdir()):
            out.rmdir()


def works_beside(out: Path) -> bool:
    """Whether another job than the one that asks works in ``out`` too."""
    return sum(1 for folder in out.glob(f"{_STAGING}*")) > 1


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(data, indent=1), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        text = f"Could not write {path.name} ({error.strerror})."
        raise BadInput(text, "Check space and permissions.", "disk") from error
