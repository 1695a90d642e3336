# SPDX-License-Identifier: GPL-3.0-or-later
"""Relightable textures for a mesh, from photos with known cameras: the method's stages on a surface that stays.

The paper's mesh variant also moves the surface; here it is the scan's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...devices import pick_device
from ...errors import BadInput
from ...limo.report import PartReport, Report
from ...optics.metrics import PSNR_CEILING
from ...requests import read_job
from ..inputs import Scene, View, read_scene
from ..shading.environment import Light
from ..shading.physical import TONES
from ..shading.visibility import Visibility
from ..train import losses, sheet
from ..train.stages import Place, Schedule
from . import output
from .geometry import Mesh, read_mesh
from .seen import Seen, look
from .textures import Textures, hiding, shown

#: Iterations and pixels along a side where none are asked for, on a processor and on a GPU, and texels of the light.
_USUAL = {"cpu": (3_000, 256, 32), "cuda": (20_000, 1024, 128)}
#: Longer steps than Gaussians': about one view in three sees a texel. And in the first stage nothing else moves.
_SELDOM, _RADIANCE_FIRST = 3.0, 2.0
_LOOKS, _LOOKED_AT, _DEGREES = 20, 3, 4
#: Pixels at the object's rim mix it with what is behind.
_WHOLE = 0.99
_KINDS = {"mesh": Path, "scene": Path, "out": Path, "texels": int, "iterations": int, "size": int, "seed": int,
          "overwrite": bool}  # fmt: skip


@dataclass(frozen=True)
class TextureJob:
    """``mesh``: .obj or .ply in the cameras' frame; ``scene``: see :func:`..inputs.read_scene`; ``out``: a folder.
    ``texels`` along a side of the square textures; None asks for what suits the device."""

    mesh: Path
    scene: Path
    out: Path
    texels: int = 1024
    iterations: int | None = None
    size: int | None = None
    tone: str = "aces"
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.tone not in TONES:
            raise BadInput(f"The tone curve is '{self.tone}'.", f"Use one of {', '.join(TONES)}.")
        if not 16 <= self.texels <= 8192:
            raise BadInput(f"Textures of {self.texels} texels cannot be made.", "Give 16 to 8192.")
        for name, least in (("iterations", 40), ("size", 16)):
            value = getattr(self, name)
            if value is not None and not least <= value < 2**31:
                raise BadInput(f"The {name} is {value}.", f"Give at least {least}.")

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TextureJob:
        """Read the parameters of a request; unknown names are errors."""
        return read_job(cls, params, _KINDS, ("mesh", "scene", "out"), "Name a mesh, a scene and an out.")


def run_texture(job: TextureJob, report: Report) -> dict[str, Any]:
    """Learn the textures and write them; returns what is printed or sent."""
    if (job.out / "mesh.glb").exists() and not job.overwrite:
        raise BadInput(f"There are textures in {job.out} already.", "Name another folder, or add --overwrite.")
    device = pick_device(job.device)
    usual = _USUAL[device.partition(":")[0]]
    iterations, size = job.iterations or usual[0], job.size or usual[1]
    reading = PartReport(report, 0.0, 0.02, "Reading")
    scene = read_scene(job.scene, size, lambda fraction: reading.progress(fraction, "the pictures"))
    report.progress(0.02, "Reading the mesh")
    mesh = read_mesh(job.mesh, job.texels)
    learning = Learning(mesh, scene, Textures(job.texels, usual[2], device), job, iterations, device)
    began = time.monotonic()
    learning.run(report)
    files = output.write(job.out, mesh, learning.textures, learning.covered())
    notes = [] if scene.test else ["No views were kept for testing; the PSNR is that of views it learnt from."]
    return {
        "out": str(job.out),
        "files": files,
        "psnr": {name: round(value, 3) for name, value in learning.told.items()},
        "views": {"train": len(scene.train), "test": len(scene.test)},
        "seconds": round(time.monotonic() - began, 1),
        "notes": notes,
    }


class Learning:
    """Textures of a mesh on their way."""

    def __init__(
        self, mesh: Mesh, scene: Scene, textures: Textures, job: TextureJob, iterations: int, device: str
    ) -> None:
        self.mesh, self.scene, self.textures, self.job, self.device = mesh, scene, textures, job, device
        self.schedule = Schedule(iterations)
        self.visibility: Visibility | None = None
        self.told: dict[str, float] = {}
        # Pictures for training and for testing may have the same names.
        self._seen: dict[int, Seen] = {}
        if not any(len(self.seen(view).pixels) for view in scene.train):
            raise BadInput("No picture shows the mesh.", "Give the mesh in the frame of the cameras.", "not_seen")

    def seen(self, view: View) -> Seen:
        """What a view sees of the mesh; found once."""
        if id(view) not in self._seen:
            self._seen[id(view)] = look(self.mesh, view.camera).to(self.device)
        return self._seen[id(view)]

    def run(self, report: Report) -> None:
        """All stages."""
        every = max(20, self.schedule.iterations // _LOOKS)
        for step in range(self.schedule.iterations):
            report.check()
            place = self.schedule.at(step)
            if place.stage.diffuse and self.visibility is None:
                self.visibility = hiding(self.mesh, self.device)
            self.update(place, step)
            last = place.step + 1 == place.steps
            if last or (step + 1) % every == 0:
                self.look(place, report)
            if last or step % 10 == 0:
                level = f", PSNR {self.told[place.stage.name]:.1f} dB" if place.stage.name in self.told else ""
                text = f"Stage {place.number + 1} of 4, {place.stage.name}{level}"
                report.progress(0.03 + 0.95 * (step + 1) / self.schedule.iterations, text)

    def update(self, place: Place, step: int) -> None:
        """One iteration on one view."""
        first = 1.0 if place.stage.physical else _RADIANCE_FIRST
        rates = {name: first * _SELDOM * rate for name, rate in self.schedule.rates(place, 1.0).items()}
        rates["environment"] = rates.get("environment", 0.0) / _SELDOM
        if place.stage.name == "joint" and not self.scene.masked:
            rates["environment"] = 0.0
        self.textures.learn(rates)
        epoch, number = divmod(step, len(self.scene.train))
        order = torch.randperm(
            len(self.scene.train), generator=torch.Generator().manual_seed(self.job.seed * 104_729 + epoch)
        )
        view = self.scene.train[int(order[number])]
        image, truth, progress = self.picture(place, view)
        loss = losses.picture(image, truth)
        if place.stage.diffuse:
            loss = loss + losses.WHITE * losses.white(self.textures.radiance())
            loss = loss + losses.PROGRESS * ((1 - progress) ** 2).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self.textures.step()

    def picture(self, place: Place, view: View) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Picture and truth (H, W, 3), equal where the mesh or the object is not wholly seen; progress (P, 1)."""
        seen = self.seen(view)
        light = Light(self.textures.radiance()) if place.stage.physical else None
        degree = 3 if place.stage.physical else min(3, _DEGREES * place.step // max(1, place.steps))
        found = shown(
            self.textures, seen, light, self.visibility, diffuse=place.stage.diffuse, tone=self.job.tone, degree=degree
        )
        truth = view.over(torch.zeros(3, device=self.device))
        whole = (view.mask(torch.device(self.device)).reshape(-1)[seen.pixels] >= _WHOLE)[:, None]
        under = truth.reshape(-1, 3)[seen.pixels]
        return seen.spread(torch.where(whole, found.image, under), truth), truth, found.progress

    @torch.no_grad()
    def look(self, place: Place, report: Report) -> None:
        """Measure and show how far it is; the PSNR counts the object's pixels alone."""
        views = self.scene.test or self.scene.train
        chosen = [views[int(i)] for i in torch.linspace(0, len(views) - 1, min(_LOOKED_AT, len(views))).round()]
        levels, rows = [], []
        for view in chosen:
            image, truth, _ = self.picture(place, view)
            seen = self.seen(view).pixels
            error = ((image.clamp(0, 1) - truth).reshape(-1, 3)[seen] ** 2).mean()
            levels.append(min(PSNR_CEILING, float(-10 * error.clamp(min=1e-12).log10())))
            rows.append({"truth": truth, "picture": image})
        self.told[place.stage.name] = sum(levels) / len(levels)
        preview = self.job.out / "preview.png"
        sheet.write(preview, rows)
        report.preview(preview)

    def covered(self) -> torch.Tensor:
        """(T, T) bool: texels that some picture for training sees."""
        texels = self.job.texels
        found = torch.zeros(texels, texels, dtype=torch.bool)
        for view in self.scene.train:
            uv = self.seen(view).uv.cpu()
            column, row = (uv[:, 0] * texels).long(), ((1 - uv[:, 1]) * texels).long()
            found[row.clamp(0, texels - 1), column.clamp(0, texels - 1)] = True
        return found
