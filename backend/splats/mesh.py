# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh that stands for a cloud: what casts its shadows, what it collides with, where it is baked to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ...bridge.messages import note_of
from ..devices import pick_device
from ..errors import BadInput
from ..limo.report import Report
from ..optics.exposure import srgb_oetf
from ..requests import note_settings, read_job
from . import mesh_files, viewpoints
from .cloud import Splats
from .files import formats
from .fusion import BAND, Surface, Volume
from .inputs import has_z_up
from .place import towards_cameras, uprighting
from .raster import SplatCamera, rasterize
from .relight import scene_cameras

Array = np.ndarray[Any, Any]

#: Fainter Gaussians are no surface.
_FAINT = 0.05
#: The box is where nearly all Gaussians are, these shares left out on both sides, and this many cells more.
_OUTLIERS, _MARGIN = 0.003, 3
#: Gaussians whose colours a vertex mixes.
_NEIGHBOURS = 6
_KINDS = {"file": Path, "out": Path, "cameras": Path, "cells": int, "views": int, "least_part": float,
          "overwrite": bool}  # fmt: skip


@dataclass(frozen=True)
class MeshJob:
    """``file``: splats of any format. ``out``: .ply or .glb, with a colour a vertex (albedo where there is material).

    ``cells`` along the longest side. ``views`` all around see an object from outside and the mesh is closed; with
    ``cameras``, a scene's, it is what those see, open where none looked. ``least_part``: smaller loose parts go, as a
    share of the largest. ``axes``: as the file has them (``keep``), or upright in the other kind of file (``turn``).
    """

    file: Path
    out: Path
    cells: int = 128
    views: int = 48
    cameras: Path | None = None
    least_part: float = 0.01
    axes: str = "turn"
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not (16 <= self.cells <= 512 and 6 <= self.views <= 1000):
            raise BadInput(f"{self.cells} cells and {self.views} views do not go.", "Give 16–512 cells, 6–1000 views.")
        if not 0 <= self.least_part <= 1:
            raise BadInput(f"The least part is {self.least_part:g}.", "Give a share of the largest part, 0 to 1.")
        if self.axes not in ("turn", "keep"):
            raise BadInput(f"The axes are '{self.axes}'.", "Use turn or keep.")
        mesh_files.writer_for(self.out)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> MeshJob:
        """Read the parameters of a request; unknown names are errors."""
        return read_job(cls, params, _KINDS, ("file", "out"), "Name a splat file and an out.")


def run_mesh(job: MeshJob, report: Report) -> dict[str, Any]:
    """Make the mesh and write it; returns what is printed or sent."""
    report.progress(0.0, "Reading splats")
    loaded = formats.read(job.file)
    if job.out.exists() and not job.overwrite:
        raise BadInput(f"The file {job.out} is there already.", "Name another, or add --overwrite.")
    if job.out.exists() and job.out.samefile(job.file):
        raise BadInput("The mesh would replace the splats.", "Choose another name.")
    cameras = None if job.cameras is None else _cameras(job.cameras, 4 * job.cells, loaded.format.y_up)
    found = surface_of(loaded.splats, job.cells, job.views, cameras, job.least_part, pick_device(job.device), report)
    report.progress(0.98, "Writing the mesh")
    colours = vertex_colours(loaded.splats, found.points)
    notes = list(loaded.notes)
    placed = found
    glb = job.out.suffix.lower() == ".glb"
    turn = uprighting(loaded.splats, loaded.format.y_up, glb) if job.axes == "turn" else None
    # Beside splats with z up, whose PLY says so, a mesh in a PLY stays where they are.
    if turn is not None and (glb or not loaded.splats.z_up):
        about = turn.T.astype(np.float32)
        placed = Surface(found.points @ about, found.normals @ about, found.faces, found.closed)
        notes.append("Turned about x, as that kind of file has it.")
    note_of(job.out).unlink(missing_ok=True)
    mesh_files.write(job.out, placed.points, placed.normals, placed.faces, colours)
    note_settings(job)
    low, high = placed.points.min(0), placed.points.max(0)
    return {
        "out": str(job.out),
        "vertices": len(placed.points),
        "faces": len(placed.faces),
        "closed": placed.closed,
        "bounds": [low.tolist(), high.tolist()],
        "notes": notes,
    }


def _cameras(scene: Path, size: int, y_up: bool) -> list[SplatCamera]:
    """A scene's cameras in the axes of the splats' file."""
    turn = torch.eye(4)
    turn[:3, :3] = torch.from_numpy(towards_cameras(y_up, has_z_up(scene)))
    return [SplatCamera(camera.lens, camera.world_to_camera @ turn) for camera in scene_cameras(scene, size).values()]


def surface_of(
    splats: Splats, cells: int, views: int, cameras: list[SplatCamera] | None, least_part: float, device: str,
    report: Report,
) -> Surface:  # fmt: skip
    """The surface of a cloud, in its frame; see :class:`MeshJob`."""
    solid = splats[splats.opacity >= _FAINT]
    if not len(solid):
        raise BadInput("No Gaussian is opaque enough to make a surface.", "Use splats of an object.", "no_surface")
    low, high = _box(solid, cells)
    volume = Volume(low, high, cells)
    outside = cameras is None
    if cameras is None:
        middle = torch.from_numpy((low + high) / 2)
        cameras = viewpoints.all_around(middle, float(np.linalg.norm(high - low)) / 2, views, _picture_size(cells))
    cloud = solid.tensors(device)
    for number, camera in enumerate(cameras):
        report.check()
        report.progress(0.02 + 0.9 * number / len(cameras), f"Fusing view {number + 1} of {len(cameras)}")
        volume.see(camera, *(layer.cpu().numpy() for layer in seen_depth(cloud, camera, BAND * volume.cell)))
    report.progress(0.93, "Finding the surface")
    found = volume.surface(outside, least_part)
    if found is None:
        remedy = "Use splats of an object" if outside else "Give the cameras of the scene that they were learnt of"
        raise BadInput(
            "These splats have no surface: no view finds them opaque.", f"{remedy}, or more cells.", "no_surface"
        )
    return found


def _picture_size(cells: int) -> int:
    """Pixels along a side, so that a cell covers a few: drawn Gaussians are widened by half a pixel."""
    return min(max(64, 4 * cells), 768)


def _box(splats: Splats, cells: int) -> tuple[Array, Array]:
    """Corners of the box that holds nearly all Gaussians with their extent, and a margin."""
    reach = 2 * np.sqrt(np.einsum("nij,nj->ni", splats.rotations() ** 2, splats.scales.astype(np.float64) ** 2))
    low = np.quantile(splats.means - reach, _OUTLIERS, axis=0)
    high = np.quantile(splats.means + reach, 1 - _OUTLIERS, axis=0)
    margin = _MARGIN * max(float((high - low).max()), 1e-6) / cells
    return (low - margin).astype(np.float32), (high + margin).astype(np.float32)


@torch.no_grad()
def seen_depth(cloud: Mapping[str, Tensor], camera: SplatCamera, length: float) -> tuple[Tensor, Tensor, Tensor]:
    """Planar depth, coverage and trust, (H, W) each: less trust where Gaussians lie more than ``length`` apart."""
    view = camera.viewmat.to(cloud["means"])
    depth = cloud["means"] @ view[2, :3] + view[2, 3]
    raster = rasterize(
        cloud["means"], cloud["quats"], cloud["scales"], cloud["opacity"], (depth**2)[:, None], camera
    )  # fmt: skip
    cover = raster.alpha[..., 0]
    mean = raster.depth[..., 0] / cover.clamp(min=1e-6)
    spread = (raster.colours[..., 0] / cover.clamp(min=1e-6) - mean**2).clamp(min=0)
    return mean, cover, 1 / (1 + spread / length**2)


def vertex_colours(splats: Splats, points: Array) -> Array:
    """(V, 3) display colours 0..1, mixed from the nearest Gaussians: albedo where there is material."""
    if splats.material is not None:
        own = srgb_oetf(torch.from_numpy(splats.material.albedo)).numpy()
    else:
        own = splats.base_colour
    own = np.clip(own, 0, 1)
    count = min(_NEIGHBOURS, len(splats))
    distance, index = cKDTree(splats.means).query(points, k=count)
    distance, index = distance.reshape(-1, count), index.reshape(-1, count)
    weight = splats.opacity[index] / (distance + 0.1 * distance.mean() + 1e-9)
    return np.einsum("vk,vkc->vc", weight / weight.sum(1, keepdims=True), own[index]).astype(np.float32)
