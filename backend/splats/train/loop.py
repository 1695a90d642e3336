# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning from photos by the schedule's stages, whatever is learnt: told on the way, broken off, gone on with."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import Cancelled
from ...limo.report import Report
from ...optics.metrics import PSNR_CEILING
from ..inputs import Scene, View
from ..shading.environment import Light
from ..shading.visibility import Visibility
from . import checkpoint, losses, sheet
from .handover import Places, Told, hand_over
from .parameters import Parameters
from .stages import Place, Schedule

#: Views that are looked at on the way.
_LOOKED_AT = 3


class Settings(NamedTuple):
    """What a loop needs to know beside the scene; ``header`` is what its checkpoint tells of it."""

    schedule: Schedule
    tone: str
    seed: int
    device: str
    folder: Path
    header: dict[str, Any]


class Compared(NamedTuple):
    """A view as it is learnt so far and as it is, (H, W, 3) display values, and the mean squared error."""

    picture: Tensor
    truth: Tensor
    error: Tensor


class Loop(ABC):
    """``learnt`` in some state; :meth:`run` takes it to the end, looking at it ``looks`` times or so."""

    looks = 60

    def __init__(self, scene: Scene, learnt: Parameters, settings: Settings) -> None:
        self.scene, self.learnt, self.settings = scene, learnt, settings
        self.visibility: Visibility | None = None
        self.step = 0
        #: The light's first harmonics (K, 3), as far as mirrors or shading told them.
        self.light: Tensor | None = None
        #: PSNR in dB by stage.
        self.told: dict[str, float] = {}

    @abstractmethod
    def update(self, place: Place) -> float:
        """One iteration; returns its loss."""

    @abstractmethod
    def compare(self, place: Place, view: View) -> Compared:
        """A view as this stage draws it."""

    @abstractmethod
    def metals(self) -> Told:
        """What photos say of metals and of what they mirror (:func:`.handover.begin`)."""

    @abstractmethod
    def places(self) -> Places:
        """What is there to be handed over."""

    def hand_over(self) -> None:
        """In a short budget, what photos and raw radiance say of materials before they are learnt."""
        schedule = self.settings.schedule
        if schedule.short and schedule.variant.told and self.step == schedule.bounds[1]:
            self.take(self.metals())
        if schedule.short and schedule.variant.over and self.step == schedule.bounds[2]:
            self.take(hand_over(self.places(), self.learnt.radiance()))

    def take(self, told: Told) -> None:
        """Begin with what was told."""
        self.learnt.take(told)
        if told.light is not None:
            self.light = told.light

    def light_prior(self, place: Place) -> Tensor:
        """The light is what was told of it, and once diffuse light is there it is white."""
        radiance = self.learnt.radiance()
        loss = losses.WHITE * losses.white(radiance) if place.stage.diffuse else radiance.new_zeros(())
        if self.light is not None:
            loss = loss + losses.SHORT_LIGHT * losses.departure(Light(radiance).harmonics(), self.light)
        return loss

    def counts(self) -> dict[str, int]:
        """How much is learnt, by what it is called."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """All that :meth:`restore` needs."""
        seen = {} if self.visibility is None else {f"visibility.{k}": v for k, v in self.visibility.state().items()}
        told = {} if self.light is None else {"light": self.light}
        return self.learnt.state() | seen | told

    def restore(self, state: dict[str, Tensor]) -> None:
        """Be what :meth:`state` told."""
        self.learnt.restore(state)
        seen = {name.partition(".")[2]: part for name, part in state.items() if name.startswith("visibility.")}
        self.visibility = Visibility.restored(seen) if seen else None
        self.light = state.get("light")

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint."""
        told = checkpoint.header(path)
        self.restore(checkpoint.load(path, self.settings.device))
        self.step, self.told = int(told["step"]), dict(told["psnr"])

    def save(self) -> None:
        """Write the checkpoint."""
        told = {**self.settings.header, "step": self.step, "psnr": self.told}
        checkpoint.save(self.settings.folder / checkpoint.NAME, self.state(), told)

    def run(self, report: Report) -> None:
        """Learn to the end of the schedule; progress tells the PSNR, a preview is written at every look."""
        schedule = self.settings.schedule
        every = max(10, schedule.iterations // self.looks)
        try:
            while self.step < schedule.iterations:
                report.check()
                place = schedule.at(self.step)
                loss = self.update(place)
                self.step += 1
                if place.step + 1 == place.steps:
                    self.finish_stage(place, report)
                elif self.step % every == 0:
                    self.look(place, report, loss)
                elif self.step % 10 == 0:
                    self._tell(place, report)
        except (Cancelled, KeyboardInterrupt):
            self.save()
            raise

    def view(self) -> View:
        """The view of this iteration: all in turn, in another order every time."""
        views = self.scene.train
        epoch, number = divmod(self.step, len(views))
        g = torch.Generator().manual_seed(self.settings.seed * 104_729 + epoch)
        return views[int(torch.randperm(len(views), generator=g)[number])]

    def looked_at(self) -> list[View]:
        """The views by which progress is told: for testing, where there are some."""
        views = self.scene.test or self.scene.train
        return [views[int(i)] for i in torch.linspace(0, len(views) - 1, min(_LOOKED_AT, len(views))).round()]

    @torch.no_grad()
    def look(self, place: Place, report: Report, loss: float | None) -> None:
        """Measure, show and note how far it is; keep a checkpoint."""
        found = [self.compare(place, view) for view in self.looked_at()]
        levels = [min(PSNR_CEILING, float(-10 * one.error.clamp(min=1e-12).log10())) for one in found]
        level = self.told[place.stage.name] = sum(levels) / len(levels)
        preview = self.settings.folder / "preview.png"
        sheet.write(preview, [{"truth": one.truth, "picture": one.picture} for one in found])
        report.preview(preview)
        line = {"step": self.step, "stage": place.stage.name, "loss": loss, "psnr": level, **self.counts()}
        with (self.settings.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._tell(place, report)
        self.save()

    def finish_stage(self, place: Place, report: Report) -> None:
        """The look at a stage's end."""
        self.look(place, report, None)

    def _tell(self, place: Place, report: Report) -> None:
        counts = [f"{count} {name.capitalize()}" for name, count in self.counts().items()]
        level = [f"PSNR {value:.1f} dB" for value in [*self.told.values()][-1:]]
        text = ", ".join([f"Stage {place.number + 1} of 4, {place.stage.name}", *counts, *level])
        report.progress(self.step / self.settings.schedule.iterations, text)
