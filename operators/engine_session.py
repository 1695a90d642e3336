# SPDX-License-Identifier: GPL-3.0-or-later
"""The one engine of this Blender session and the one job that may run on it.

Operators hold no engine of their own: they ask here, so that two windows, a script and a repeated click share a
process, and so that unregistering or loading a file ends what runs in one place.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from .. import preferences

if TYPE_CHECKING:
    from ..bridge import Engine
    from ..scene.problems import Problem
    from .engine_run import EngineRun

_engine: Engine | None = None
_made_for: preferences.EngineSettings | None = None
_run: EngineRun | None = None


def engine(context: bpy.types.Context) -> Engine:
    """The engine that the preferences describe, made at the first call and made anew when they changed.

    Raises ``FileNotFoundError`` with an artist's sentence if the engine was not set up.
    """
    global _engine, _made_for
    from .. import bridge

    wanted = preferences.settings(context)
    if wanted.python is None or not wanted.python.is_file():
        raise FileNotFoundError(missing_engine_text(wanted))
    if _engine is not None and _made_for != wanted:
        stop()
    if _engine is None:
        _engine = bridge.Engine(
            wanted.python, preferences.ROOT, device=wanted.device, log_file=wanted.log_file, models=wanted.models
        )
        _made_for = wanted
    return _engine


def missing_engine_text(settings: preferences.EngineSettings) -> str:
    """The sentence that says why there is no engine."""
    if settings.python is None:
        return "The engine is not set up yet"
    return f"The engine's Python is gone: {settings.python}"


def engine_problem(context: bpy.types.Context) -> Problem | None:
    """A ``Problem`` with the button that sets the engine up, or None if its Python is there. One look at the disk."""
    from ..scene import problems

    wanted = preferences.settings(context)
    if wanted.python is not None and wanted.python.is_file():
        return None
    return problems.Problem(missing_engine_text(wanted), "limelight.show_preferences", "Set up the engine", {})


def told(context: bpy.types.Context, found: list[Problem]) -> list[str]:
    """What keeps a run from starting, a sentence each: that there is no engine, then what was ``found``."""
    engine = engine_problem(context)
    return [problem.told for problem in ([] if engine is None else [engine]) + found]


def running_run() -> EngineRun | None:
    """What runs on the engine at the moment, if anything."""
    return _run


def begin(run: EngineRun) -> None:
    """Remember ``run`` as what the session's engine does."""
    global _run
    _run = run


def end(run: EngineRun) -> None:
    """Forget ``run`` when it is over; a newer one stays."""
    global _run
    if _run is run:
        _run = None


def abandon() -> None:
    """Cancel what runs and forget it, without touching the file, which another may have replaced."""
    run = _run
    if run is None:
        return
    try:
        run.cancel()
    finally:
        run.close()
        end(run)


def is_alive() -> bool:
    """Whether the engine's process runs and thus holds memory."""
    return _engine is not None and bool(_engine.alive)


def unload() -> None:
    """Free the engine's models, keeping its process; does nothing if it does not run."""
    if _engine is not None and _engine.alive:
        _engine.unload()


def stop() -> None:
    """End the engine's process, cancelling what runs."""
    global _engine, _made_for
    abandon()
    if _engine is not None:
        _engine.stop()
    _engine = _made_for = None


def log_file(context: bpy.types.Context) -> Path:
    """Where the engine writes its log."""
    return preferences.settings(context).log_file
