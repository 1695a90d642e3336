# SPDX-License-Identifier: GPL-3.0-or-later
"""One estimate from the click to the loaded result, without any operator: modal, script and test tick it."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from . import engine_session, previews

if TYPE_CHECKING:
    from ..bridge import Engine, Job

# The engine answers from another process; asking it more often than this only burns the processor.
_PAUSE = 0.02


class EstimateRun:
    """Captures what the engine sees, submits it, follows the job and loads its result.

    Only names and paths are kept, never references into the file: undo and file loading may free what they point to.
    Stages: ``capture`` once, ``step`` until ``over``, then ``load`` if ``succeeded``; ``close`` always.
    """

    def __init__(self, context: bpy.types.Context) -> None:
        self.scene_name: str = context.scene.name
        self.folder = Path(tempfile.mkdtemp(prefix="limelight-", dir=bpy.app.tempdir or None))
        self.started = time.monotonic()
        self._job: Job | None = None
        self._engine: Engine | None = None
        self._answer = self.folder / "result"
        self._cancelled = False

    def capture(self, context: bpy.types.Context) -> None:
        """Write down what the camera sees and hand it to the engine.

        Raises ``FileNotFoundError`` without an engine, ``OSError``/``RuntimeError``/``ValueError`` if the view can't be
        captured; each message is a sentence for the artist.
        """
        from ..scene import capture

        engine = engine_session.engine(context)
        params = capture.capture(context, self.folder)
        self._answer = Path(params.setdefault("out", str(self.folder / "result")))
        self._engine = engine
        self._job = engine.submit("light", params)

    def step(self) -> bool:
        """Take what the engine answered since the last call; True if something to show changed. Never blocks."""
        return bool(self._engine.step()) if self._engine is not None else False

    def cancel(self) -> None:
        """Ask the engine to stop this job; ``over`` turns true as soon as it has."""
        self._cancelled = True
        if self._engine is not None and self._job is not None and not self._job.over:
            self._engine.cancel(self._job)

    def wait(self) -> None:
        """Block until the job is over: what ``execute`` and background mode do."""
        while not self.over:
            self.step()
            time.sleep(_PAUSE)

    @property
    def over(self) -> bool:
        """Whether nothing more will come: done, failed or cancelled."""
        if self._job is None:
            return self._cancelled
        return self._job.over

    @property
    def succeeded(self) -> bool:
        """Whether there is a result to load."""
        return self._job is not None and self._job.state == "done" and not self._cancelled

    @property
    def cancelled(self) -> bool:
        """Whether it was the artist who ended it."""
        return self._cancelled or (self._job is not None and self._job.state == "cancelled")

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1."""
        return float(self._job.fraction) if self._job is not None else 0.0

    @property
    def stage(self) -> str:
        """What happens right now, as a phrase for the artist."""
        if self._job is None:
            return "Rendering what the camera sees"
        return self._job.stage or "Starting the engine"

    @property
    def eta(self) -> float:
        """Seconds left as the engine guesses them; negative while unknown."""
        return -1.0 if self._job is None or self._job.eta is None else float(self._job.eta)

    @property
    def preview(self) -> str:
        """Path of the newest picture of the spheres, or an empty string."""
        return str(self._job.previews[-1]) if self._job is not None and self._job.previews else ""

    @property
    def error_text(self) -> str:
        """Why it failed and what helps, in one or two sentences."""
        error = self._job.error if self._job is not None else None
        if error is None:
            return "The engine ended without a result: see its log in the preferences"
        return f"{error.text.rstrip('.')}. {error.remedy}".strip() if error.remedy else error.text

    def load(self, context: bpy.types.Context) -> list[bpy.types.Object]:
        """Load the result into the scene that the run began in; returns the probes that got light.

        Raises ``RuntimeError`` if that scene is gone.
        """
        from ..scene import results

        if self.scene_name not in bpy.data.scenes:
            raise RuntimeError(f"The scene “{self.scene_name}” is gone, so its light could not be stored")
        assert self._job is not None and self._job.result is not None
        probes = results.load_results(context, self._answer, self._job.result)
        for answer in self._job.result.get("probes", []):
            previews.show_file(f"probe:{answer['name']}", str(self._answer / answer.get("preview", "")))
        return probes

    def close(self) -> None:
        """Remove the job's folder; the results were packed into the file."""
        shutil.rmtree(self.folder, ignore_errors=True)
