# SPDX-License-Identifier: GPL-3.0-or-later
"""What learning from photos is told, be it splats or textures, and the folder in which it can be broken off."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ....bridge.alike import relocated
from ....bridge.messages import note_of
from ...errors import BadInput
from ...limo.report import PartReport, Report
from ...requests import Kinds, note_settings, settings_of
from ..inputs import Scene, read_scene
from ..shading.physical import TONES
from . import checkpoint

#: What the fields are that are no text.
KINDS: Kinds = {"scene": Path, "out": Path, "iterations": int, "size": int, "seed": int, "overwrite": bool}


def work_folder(out: Path) -> Path:
    """Where the checkpoint, the log and the pictures of a run are: beside its result."""
    return out.with_name(f"{out.name}.training")


@dataclass(frozen=True)
class Distillation:
    """``scene``: see :func:`..inputs.read_scene`. ``out``: the result; checkpoint, log and pictures go to a folder
    beside it. None asks for what suits the device."""

    scene: Path
    out: Path
    iterations: int | None = None
    size: int | None = None
    tone: str = "aces"
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False

    #: The least of each number.
    LEAST: ClassVar[Mapping[str, int]] = {"iterations": 40, "size": 16, "seed": 0}

    def __post_init__(self) -> None:
        if self.tone not in TONES:
            raise BadInput(f"The tone curve is '{self.tone}'.", f"Use one of {', '.join(TONES)}.")
        for name, least in self.LEAST.items():
            value = getattr(self, name)
            if value is not None and not least <= value < 2**40:
                raise BadInput(f"The {name} is {value}.", f"Give at least {least}.")

    def numbers(self, usual: Mapping[str, int]) -> dict[str, int]:
        """The fields that ``usual`` names, with its values where nothing is asked for."""
        asked = {name: getattr(self, name) for name in usual}
        return {name: usual[name] if value is None else value for name, value in asked.items()}

    def header(self, numbers: Mapping[str, int]) -> dict[str, Any]:
        """What a run that goes on must have in common with the one before: what decides the result, and its place."""
        return settings_of(self) | dict(numbers)

    def unfinished(self, result: Path, header: Mapping[str, Any]) -> Path | None:
        """The checkpoint to go on from, if there is one. Refuses a ``result`` that is done with, and other settings."""
        if self.overwrite:
            return None
        saved = self.folder / checkpoint.NAME
        if not saved.exists():
            if result.exists():
                raise BadInput(f"{result} is there already.", "Name another place, or add --overwrite.")
            return None
        told = relocated(checkpoint.header(saved), dict(header))
        for name, value in header.items():
            if told.get(name) != value:
                raise BadInput(
                    f"The checkpoint in {saved.parent.name} was made with {name} {told.get(name)}, not {value}.",
                    "Give the same settings to go on, or start again: by --overwrite, in Blender by From the Start.",
                )
        return saved

    def read(self, size: int, report: Report) -> Scene:
        """The scene with pictures of at most ``size`` pixels along a side; a cancel is heard between them."""
        reading = PartReport(report, 0.0, 0.02, "Reading")

        def tell(fraction: float) -> None:
            report.check()
            reading.progress(fraction, "the pictures")

        return read_scene(self.scene, size, tell)

    @property
    def folder(self) -> Path:
        """See :func:`work_folder`."""
        return work_folder(self.out)

    def make_folder(self) -> None:
        """Have the folder beside the result, empty to start again, and no note of a result before."""
        try:
            note_of(self.out).unlink(missing_ok=True)
            if self.overwrite and self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            text = f"The folder {self.folder} cannot be made ({error.strerror})."
            raise BadInput(text, "Choose another place.") from error

    def finish(self) -> None:
        """Note what the result, which is whole, was made with, and drop the checkpoint, which may be large."""
        note_settings(self)
        (self.folder / checkpoint.NAME).unlink(missing_ok=True)
