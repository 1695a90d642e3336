# SPDX-License-Identifier: GPL-3.0-or-later
"""Splat files on their way into the scene: a trainer's PLY as it is, any other by the engine, all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bpy

from . import engine_session
from .engine_run import EngineRun


class Source(NamedTuple):
    """A PLY for Blender: the file that it stands for, itself, its name in the scene, its axes as in ``splats.add``."""

    path: Path
    plain: Path
    name: str
    axes: str


def told(problems: dict[Path, str], files: int) -> str:
    """What is wrong with some of so many files, each by its name where there are several."""
    return "; ".join(
        text.rstrip(".") if path.name in text or files == 1 else f"{path.name}: {text.rstrip('.')}"
        for path, text in problems.items()
    )


def bring_in(context: bpy.types.Context, sources: Sequence[Source], problems: dict[Path, str]) -> str:
    """Add splats to the scene; what to tell the artist. What cannot be read joins the ``problems``.

    Raises ``ValueError`` with them if nothing came in.
    """
    from ..scene import splat_drawing, splats

    files = len({source.path for source in sources} | set(problems))
    made, left_out = [], 0
    for source in sources:
        try:
            thing, less = splats.add(context, source.plain, source.name, source.axes)
        except (OSError, RuntimeError, ValueError) as error:
            problems[source.path] = f"The splats could not be read: {error}"
            continue
        made.append(thing)
        left_out += less
    if not made:
        raise ValueError(told(problems, files))
    names = " and ".join(filter(None, [", ".join(f"“{t.name}”" for t in made[:-1]), f"“{made[-1].name}”"]))
    text = f"{sum(map(splat_drawing.count, made))} Gaussians are in {names}"
    text += f", {left_out} with impossible numbers are not" if left_out else ""
    if splat_drawing.modifier(made[-1]) is None:
        return text
    # Blender outlines each Gaussian of a selected cloud, which hides them all; it stays active, for the panel.
    made[-1].select_set(False, view_layer=context.view_layer)
    return f"{text}; Material Preview and Rendered show their colours"


class SplatRun(EngineRun):
    """Lets the engine write splat files as PLYs that Blender reads, one after another, then brings all files in."""

    kind = "splats"
    first_stage = "Reading splats"

    def __init__(self, context: bpy.types.Context, paths: Sequence[Path], problems: dict[Path, str], axes: str) -> None:
        """``problems`` of these files that are known before."""
        from ..scene import splat_file

        super().__init__(context)
        self._paths, self._axes, self._problems = paths, axes, problems
        self._sources = {path: Source(path, path, path.stem, axes) for path in paths if splat_file.plain(path)}
        self._waiting = [path for path in paths if path not in self._sources and path not in problems]
        self._asked, self._answered = len(self._waiting), 0

    def capture(self, context: bpy.types.Context) -> None:
        self._engine = engine_session.engine(context)
        self._ask()

    def _ask(self) -> None:
        from ..bridge.messages import ReadSplats

        assert self._engine is not None
        asked = ReadSplats(str(self._waiting[0]), str(self.folder / f"{self._answered}.ply"))
        self._job = self._engine.submit(self.kind, asked.params)

    def step(self) -> bool:
        changed = super().step()
        if self._job is None or not self._job.over or not self._waiting or self.cancelled:
            return changed
        path = self._waiting.pop(0)
        self._answered += 1
        if self._job.result is None:
            self._problems[path] = super().error_text
        else:
            self._keep(path, self._job.result)
        if self._waiting:
            self._ask()
        return True

    def _keep(self, path: Path, result: dict[str, Any]) -> None:
        axes = "Y_UP" if self._axes == "AUTO" and result["y_up"] else self._axes
        self._sources[path] = Source(path, Path(result["out"]), path.stem, axes)
        by = f"{path.name}: " if len(self._paths) > 1 else ""
        self.notes = [*self.notes, *(by + note for note in result["notes"][:2])]

    @property
    def over(self) -> bool:
        return super().over and (self.cancelled or not self._waiting)

    @property
    def succeeded(self) -> bool:
        """Whether there is any file to bring in."""
        return self.over and not self.cancelled and bool(self._sources)

    @property
    def error_text(self) -> str:
        return told(self._problems, len(self._paths))

    @property
    def fraction(self) -> float:
        return min(self._answered + super().fraction * bool(self._waiting), self._asked) / self._asked

    @property
    def stage(self) -> str:
        return f"{self._waiting[0].name}: {super().stage}" if self._asked > 1 and self._waiting else super().stage

    def load(self, context: bpy.types.Context) -> str:
        with self.at_home(context):
            text = bring_in(context, [self._sources[p] for p in self._paths if p in self._sources], self._problems)
        if self._problems:
            self.warnings = [told(self._problems, len(self._paths))]
        return text
