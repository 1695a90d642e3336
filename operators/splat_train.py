# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats with material and light learnt from pictures, by the engine; a training that was stopped goes on."""

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty
from bpy.types import Context

from . import engine_session
from .engine_run import EngineRun
from .run_operator import RunOperator


def result_file(source: Path) -> Path:
    """The splats of a folder of pictures, or of one of its .json files."""
    if source.suffix.lower() == ".json":
        return source.with_name(f"{source.stem}_splats.ply")
    return source / "splats.ply"


def is_colmap(source: Path) -> bool:
    """Whether cameras come from COLMAP rather than from a transforms file."""
    names = ("transforms.json", "transforms_train.json")
    return source.suffix.lower() != ".json" and not any((source / name).is_file() for name in names)


def source_of(scene: bpy.types.Scene) -> Path | None:
    """The pictures to learn from; None if none were chosen."""
    from ..scene import paths

    chosen = scene.limelight.capture.source
    # A folder's path may end in a slash, which would hide its name.
    return paths.of_setting(chosen) if chosen else None


def source_problems(source: Path | None, lacks: str) -> list[str]:
    """What is wrong with the pictures to learn from, a sentence each; ``lacks``: where none were chosen."""
    if source is None:
        return [lacks]
    return [] if source.exists() else [f"The folder “{source.name}” is gone: choose another"]


class TrainRun(EngineRun):
    """Hands pictures to the engine; the splats that come back are put into the scene."""

    kind = "splat_train"
    first_stage = "Starting the training"
    cancelled_text = "Stopped; Train goes on from here"

    def __init__(self, context: Context, source: Path, again: bool) -> None:
        super().__init__(context)
        self._source, self._again = source, again
        up = context.scene.limelight.capture.up
        self._axes = up if up != "AUTO" else "Y_DOWN" if is_colmap(source) else "Z_UP"

    def params(self, context: Context) -> dict[str, Any]:
        from ..bridge.messages import TrainSplats
        from ..scene import paths

        settings = context.scene.limelight.capture
        asked = TrainSplats(
            str(self._source),
            str(result_file(self._source)),
            settings.iterations or None,
            settings.resolution or None,
            settings.gaussians or None,
            str(paths.of_setting(settings.start)) if settings.start else None,
            settings.tone.lower(),
            self._again,
        )
        return asked.params

    def store(self, context: Context, result: dict[str, Any]) -> str:
        from .splat_import_run import Source, bring_in

        name = f"{self._source.parent.name if self._source.suffix else self._source.name} splats"
        out = Path(result["out"])
        told = bring_in(context, [Source(out, out, name, self._axes)], {})
        level = [f"PSNR {value:.1f} dB" for value in list(result["psnr"].values())[-1:]]
        self.notes = result["notes"][:1]
        return "; ".join([told, *level])


class LIMELIGHT_OT_train_splats(RunOperator):
    """Learn splats with material and light from the pictures; stopped with Esc, the next Train goes on from there"""

    bl_idname = "limelight.train_splats"
    bl_label = "Train"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight learns splats"

    again: BoolProperty(
        name="From the start", description="Throw away what was learnt from these pictures before",
        options={"SKIP_SAVE"},
    )  # fmt: skip

    def make_run(self, context: Context):
        source = source_of(context.scene)
        assert source is not None
        return TrainRun(context, source, self.again)

    def problems(self, context: Context):
        from ..bridge.messages import note_of
        from ..scene import compat

        source = source_of(context.scene)
        found = []
        if not compat.SPLATS:
            found.append("Splats need Blender 4.2 or newer: open the file there")
        lacks = "There are no pictures yet: capture an object, or choose a folder with cameras"
        wrong = source_problems(source, lacks)
        if source is not None and not wrong and not self.again:
            result = result_file(source)
            if result.exists() and note_of(result).exists():
                found.append(f"“{result.name}” is there already: import it, or train from the start")
        return [*engine_session.told(context, []), *found, *wrong]


CLASSES = (LIMELIGHT_OT_train_splats,)
