# SPDX-License-Identifier: GPL-3.0-or-later
"""Relightable textures for a mesh, from photos with known cameras: the same from the command line, the wire and Python.

The paper's mesh variant also moves the surface; here it is the scan's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...devices import pick_device
from ...errors import BadInput
from ...limo.report import Report
from ...requests import Kinds, read_job
from ..train.distillation import KINDS, Distillation
from ..train.loop import Settings
from ..train.stages import Schedule
from . import output
from .files import read_mesh
from .frames import TURNS, Among, among
from .learning import Learning
from .textures import Textures

#: What is used where nothing is asked for, on a processor and on a GPU; and texels of the light.
_USUAL = {
    "cpu": {"iterations": 3_000, "size": 256, "texels": 512},
    "cuda": {"iterations": 20_000, "size": 1024, "texels": 1024},
}
_LIGHT = {"cpu": 32, "cuda": 128}


Frame = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class TextureJob(Distillation):
    """``mesh``: .obj or .ply; ``out`` is a folder. ``texels`` along a side of the square textures, None for what suits
    the device: where they are many more than the photos' pixels, few photos see each. ``unwrap``: make new UVs even for
    a mesh that has some. ``frames``: matrices (4, 4), by rows, from the mesh's axes to the cameras', of which that is
    taken with which the photos agree; None: as it is, or turned as programs' axes differ."""

    mesh: Path
    texels: int | None = None
    unwrap: bool = False
    frames: tuple[Frame, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.texels is not None and not 16 <= self.texels <= 8192:
            raise BadInput(f"Textures of {self.texels} texels cannot be made.", "Give 16 to 8192.")
        if self.frames is not None and not all(map(_is_frame, self.frames)):
            raise BadInput("A frame is no 4 × 4 matrix that can be undone.", "Give 4 rows of 4 numbers.")

    def header(self, numbers: Mapping[str, int]) -> dict[str, Any]:
        """As that of every distillation; the frames are what the photos are asked about anew."""
        return {name: value for name, value in super().header(numbers).items() if name != "frames"}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TextureJob:
        """Read the parameters of a request; unknown names are errors."""
        kinds: Kinds = {**KINDS, "mesh": Path, "texels": int, "unwrap": bool, "frames": _read_frames}
        return read_job(cls, params, kinds, ("mesh", "scene", "out"), "Name a mesh, a scene and an out.")


def _read_frames(given: Any) -> tuple[Frame, ...]:
    return tuple(tuple(tuple(map(float, row)) for row in frame) for frame in given)


def _is_frame(frame: Frame) -> bool:
    """Whether it is four rows of four numbers under which a mesh keeps its volume."""
    if [len(row) for row in frame] != [4, 4, 4, 4] or not np.isfinite(frame).all():
        return False
    return abs(float(np.linalg.det(np.array(frame)[:3, :3]))) > 1e-12


def run_texture(job: TextureJob, report: Report) -> dict[str, Any]:
    """Learn the textures, or go on where it was broken off, and write them; returns what is printed or sent."""
    device = pick_device(job.device)
    kind = device.partition(":")[0]
    numbers = job.numbers(_USUAL[kind])
    report.progress(0.0, "Reading the mesh")
    mesh = read_mesh(job.mesh, numbers["texels"], job.unwrap, report.check)
    textures = Textures(numbers["texels"], _LIGHT[kind], device)
    # A mesh that was edited meanwhile is another one.
    header = job.header(numbers) | {"triangles": len(mesh.faces)}
    saved = job.unfinished(job.out / "mesh.glb", header)
    scene = job.read(numbers["size"], report)
    report.progress(0.02, "Looking how the mesh lies among the cameras")
    found = among(mesh, scene.train, job.frames or tuple(TURNS.values()), report.check)
    placing = _told(job, found)
    for note in placing:
        report.log(note)
    settings = Settings(Schedule(numbers["iterations"]), job.tone, job.seed, device, job.folder, header)
    learning = Learning(found.mesh, scene, textures, settings)
    job.make_folder()
    if saved:
        learning.resume(saved)
    first, began = learning.step, time.monotonic()
    learning.run(report)
    files = output.write(job.out, found.mesh, mesh.uv, textures, learning.texels)
    job.finish()
    kept = [] if scene.test else ["No views were kept for testing; the PSNR is that of views it learnt from."]
    return {
        "out": str(job.out),
        "files": files,
        "work": str(job.folder),
        "frame": found.frame,
        "psnr": {name: round(value, 3) for name, value in learning.told.items()},
        "views": {"train": len(scene.train), "test": len(scene.test)},
        "resumed_at": first,
        "seconds": round(time.monotonic() - began, 1),
        "notes": placing + kept,
    }


def _told(job: TextureJob, found: Among) -> list[str]:
    """What to say of how the mesh lies."""
    notes = []
    if job.frames is None and found.frame:
        turn = list(TURNS)[found.frame]
        notes.append(f"The photos agree with the mesh turned by {turn}° about x; mesh.glb lies as the cameras do.")
    if found.doubtful:
        notes.append("The photos hardly agree with the mesh: it may lie elsewhere than the cameras saw it.")
    return notes
