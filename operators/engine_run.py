# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of the engine from the click to the loaded result, without any operator: modal, script and test tick it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ..scene.handle import Handle
from . import engine_session

if TYPE_CHECKING:
    from ..bridge import Engine, Job

# The engine answers from another process; asking it more often than this only burns the processor.
_PAUSE = 0.02


class EngineRun:
    """Writes down what the engine needs, submits it, follows the job, loads its result; kinds of jobs derive from it.

    Only handles and paths are kept, never references into the file: undo and file loading may free what they point to.
    Stages: ``gather`` until it says so, ``capture`` once, ``step`` until ``over``, then ``load`` if ``succeeded``;
    ``close`` always.
    """

    #: The job's kind on the wire, and what happens before the engine has it, as a phrase for the artist.
    kind = ""
    first_stage = "Writing down what the camera sees"
    #: What the artist is told of a run that was cancelled.
    cancelled_text = "Cancelled; nothing was changed"
    #: Whether ``step`` renders, too.
    renders = False
    #: What of the engine's notes on its result the artist is told, too.
    notes: Sequence[str] = ()
    #: What did not come of a run that succeeded for the rest; the artist is warned of it.
    warnings: Sequence[str] = ()
    #: What ``step`` has put into the file, as the name of the undo step that is due for it.
    unsettled = ""

    def gather(self, context: bpy.types.Context) -> bool:
        """One short piece of what is to be written down before ``capture``; True when nothing is left. Raises as that.

        Kinds of jobs that see one frame have no such pieces.
        """
        return True

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        """The job's parameters, files in ``folder``.

        Raises ``OSError``/``RuntimeError``/``ValueError`` with a sentence for the artist.
        """
        raise NotImplementedError

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        """Bring the engine's result into the scene; what to tell the artist, without a full stop. May set ``notes``."""
        raise NotImplementedError

    def __init__(self, context: bpy.types.Context) -> None:
        self._scene, self._layer = Handle.of(context.scene), context.view_layer.name
        self.folder = Path(tempfile.mkdtemp(prefix="limelight-", dir=bpy.app.tempdir or None))
        self.started = time.monotonic()
        self._job: Job | None = None
        self._engine: Engine | None = None
        self._cancelled = False

    @property
    def scene_name(self) -> str:
        """What the scene that the run began in is called by now; an empty string if it is gone."""
        scene = self._scene.find(bpy.data.scenes)
        return scene.name if scene is not None else ""

    @contextmanager
    def at_home(self, context: bpy.types.Context) -> Iterator[None]:
        """The context in the scene and view layer that the run began in, whichever the artist looks at by now.

        Raises ``RuntimeError`` if that scene is gone.
        """
        scene = self._scene.found(bpy.data.scenes, "the scene")
        if scene == context.scene:
            yield
            return
        with context.temp_override(scene=scene, view_layer=scene.view_layers.get(self._layer, scene.view_layers[0])):
            yield

    def capture(self, context: bpy.types.Context) -> None:
        """Write down what the camera sees and hand it to the engine.

        Raises ``FileNotFoundError`` without an engine, ``OSError``/``RuntimeError``/``ValueError`` if the view can't be
        captured; each message is a sentence for the artist.
        """
        engine = engine_session.engine(context)
        params = self.params(context)
        self._engine = engine
        self._job = engine.submit(self.kind, params)

    def step(self) -> bool:
        """Take what the engine answered since the last call; True if something to show changed. Never blocks."""
        return bool(self._engine.step()) if self._engine is not None else False

    def undone(self) -> None:
        """Blender undid or redid a step: what the run put into the scene since that step is gone."""

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
            return self.first_stage
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

    def load(self, context: bpy.types.Context) -> str:
        """Load the result into the scene that the run began in; what to tell the artist.

        Raises ``RuntimeError`` if that scene is gone.
        """
        assert self._job is not None and self._job.result is not None
        with self.at_home(context):
            return self.store(context, self._job.result)

    def close(self) -> None:
        """Remove the job's folder; the results were packed into the file."""
        shutil.rmtree(self.folder, ignore_errors=True)
