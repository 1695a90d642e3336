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

from ...devices import pick_device
from ...errors import BadInput
from ...limo.report import PartReport, Report
from ...requests import Kinds, read_job
from ..inputs import read_scene
from ..train.distillation import KINDS, Distillation
from ..train.loop import Settings
from ..train.stages import Schedule
from . import output
from .geometry import read_mesh
from .learning import Learning
from .textures import Textures

#: What is used where nothing is asked for, on a processor and on a GPU; and texels of the light.
_USUAL = {
    "cpu": {"iterations": 3_000, "size": 256, "texels": 512},
    "cuda": {"iterations": 20_000, "size": 1024, "texels": 1024},
}
_LIGHT = {"cpu": 32, "cuda": 128}


@dataclass(frozen=True, kw_only=True)
class TextureJob(Distillation):
    """``mesh``: .obj or .ply in the cameras' frame; ``out`` is a folder. ``texels`` along a side of the square
    textures, None for what suits the device: where they are many more than the photos' pixels, few photos see each."""

    mesh: Path
    texels: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.texels is not None and not 16 <= self.texels <= 8192:
            raise BadInput(f"Textures of {self.texels} texels cannot be made.", "Give 16 to 8192.")

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TextureJob:
        """Read the parameters of a request; unknown names are errors."""
        kinds: Kinds = {**KINDS, "mesh": Path, "texels": int}
        return read_job(cls, params, kinds, ("mesh", "scene", "out"), "Name a mesh, a scene and an out.")


def run_texture(job: TextureJob, report: Report) -> dict[str, Any]:
    """Learn the textures, or go on where it was broken off, and write them; returns what is printed or sent."""
    device = pick_device(job.device)
    kind = device.partition(":")[0]
    numbers = job.numbers(_USUAL[kind])
    header = job.header(numbers)
    saved = job.unfinished(job.out / "mesh.glb", header)
    reading = PartReport(report, 0.0, 0.02, "Reading")
    scene = read_scene(job.scene, numbers["size"], lambda fraction: reading.progress(fraction, "the pictures"))
    report.progress(0.02, "Reading the mesh")
    mesh, textures = read_mesh(job.mesh, numbers["texels"]), Textures(numbers["texels"], _LIGHT[kind], device)
    settings = Settings(Schedule(numbers["iterations"]), job.tone, job.seed, device, job.folder, header)
    learning = Learning(mesh, scene, textures, settings)
    job.make_folder()
    if saved:
        learning.resume(saved)
    first, began = learning.step, time.monotonic()
    learning.run(report)
    files = output.write(job.out, mesh, textures, learning.texels)
    job.finish()
    notes = [] if scene.test else ["No views were kept for testing; the PSNR is that of views it learnt from."]
    return {
        "out": str(job.out),
        "files": files,
        "work": str(job.folder),
        "psnr": {name: round(value, 3) for name, value in learning.told.items()},
        "views": {"train": len(scene.train), "test": len(scene.test)},
        "resumed_at": first,
        "seconds": round(time.monotonic() - began, 1),
        "notes": notes,
    }
