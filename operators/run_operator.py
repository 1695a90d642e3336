# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that let the engine work: modal with progress when clicked, blocking in scripts and in background mode."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import bpy
from bpy.types import Context, Event, Operator

from . import engine_session, previews, watch
from .engine_run import EngineRun

_TICK = 0.1


def time_left_text(seconds: float) -> str:
    """``seconds`` as the panels say it; empty while unknown (negative)."""
    if seconds < 0:
        return ""
    if seconds < 90:
        return f"about {max(round(seconds), 1)} s left"
    return f"about {round(seconds / 60)} min left"


def _show(context: bpy.types.Context, run: EngineRun) -> None:
    """Copy the run's state to where the panels read it."""
    manager = context.window_manager.limelight
    manager.running = not run.over
    manager.fraction, manager.stage, manager.eta = run.fraction, run.stage, run.eta
    if run.preview:
        previews.show_file("running", run.preview)
    watch.redraw(context)


def _show_end(context: bpy.types.Context, message: str) -> None:
    manager = context.window_manager.limelight
    manager.running, manager.fraction, manager.eta = False, 0.0, -1.0
    manager.stage, manager.message = "", message
    watch.refresh(context)
    watch.redraw(context)


def _begin(operator: RunOperator, context: bpy.types.Context) -> EngineRun | None:
    """The operator's run, the session's from now on; None, and a report, if something keeps it from starting."""
    if engine_session.running_run() is not None:
        operator.report({"ERROR"}, "The engine is running already: wait for it or cancel it first")
        return None
    problems = operator.problems(context)
    if problems:
        watch.redraw(context)
        operator.report({"ERROR"}, "; ".join(problems))
        return None
    try:
        run = operator.make_run(context)
    except OSError as error:
        remedy = "free some disk, or choose another folder under Preferences > File Paths > Temporary Files"
        operator.report({"ERROR"}, f"There is no place for temporary files ({error}): {remedy}")
        return None
    engine_session.begin(run)
    context.window_manager.limelight.kind = run.kind
    return run


def _capture(operator: Operator, context: bpy.types.Context, run: EngineRun) -> bool | None:
    """Hand the run to the engine: True if that worked, None while there is more to write down for it."""
    try:
        with run.at_home(context):
            if not run.gather(context):
                return None
            run.capture(context)
    except (OSError, RuntimeError, ValueError) as error:
        engine_session.abandon()
        _show_end(context, str(error))
        operator.report({"ERROR"}, str(error))
        return False
    return True


@contextmanager
def _ended_by_errors(context: bpy.types.Context, run: EngineRun) -> Iterator[None]:
    """Whatever goes wrong inside ends the run too: nothing else ever would, and no other could begin."""
    try:
        yield
    except BaseException:
        if engine_session.running_run() is run:
            engine_session.abandon()
        _show_end(context, "It failed; the console says why")
        raise


def _finish(operator: Operator, context: bpy.types.Context, run: EngineRun) -> set[str]:
    """Load what came out, say how it ended; the scene is touched only by a run that succeeded."""
    engine_session.end(run)
    try:
        if run.cancelled:
            _show_end(context, run.cancelled_text)
            operator.report({"INFO"}, run.cancelled_text)
            return {"CANCELLED"}
        if not run.succeeded:
            _show_end(context, run.error_text)
            operator.report({"ERROR"}, run.error_text)
            return {"CANCELLED"}
        told = run.load(context)
    except (OSError, RuntimeError, ValueError) as error:
        # What was stored until then, as undo frees what no step knows of, also where it is in use.
        bpy.ops.ed.undo_push(message="Limelight")
        _show_end(context, str(error))
        operator.report({"ERROR"}, f"The result could not be stored: {error}")
        return {"CANCELLED"}
    finally:
        run.close()
    seconds = time.monotonic() - run.started
    message = ". ".join([f"{told} ({seconds:.0f} s)", *(note.rstrip(".") for note in (*run.notes, *run.warnings))])
    _show_end(context, message)
    operator.report({"WARNING"} if run.warnings else {"INFO"}, message)
    return {"FINISHED"}


def call(operator: Operator, other: Callable[..., set[str]], how: str, **arguments: Any) -> set[str]:
    """Call another operator from one; what keeps it from working is this one's error, too, not a traceback."""
    try:
        # As an undo step of its own, where the first operator is none: undo frees what no step knows of, also in use.
        return other(how, True, **arguments)
    except RuntimeError as error:
        operator.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
        return {"CANCELLED"}


def lasting_window(context: bpy.types.Context) -> AbstractContextManager[Any]:
    """The context in a main window: what runs would end with a smaller one of that, such as the preferences'."""
    parent = context.window.parent if context.window is not None else None
    return nullcontext() if parent is None else context.temp_override(window=parent)


def _waits(run: EngineRun, captured: bool) -> bool:
    """Whether Blender renders for the artist while the run would render the scene itself, or change it."""
    from ..scene import renderer

    return (not captured or run.renders or run.over) and not run.cancelled and renderer.is_busy()


class RunOperator(Operator):
    """What every operator that lets the engine work is: modal with progress when clicked, blocking otherwise"""

    #: What the status bar says meanwhile.
    running_text = ""

    def make_run(self, context: bpy.types.Context) -> EngineRun:
        """A fresh run of the operator's kind."""
        raise NotImplementedError

    def problems(self, context: bpy.types.Context) -> list[str]:
        """What keeps it from starting, a sentence each."""
        return []

    def execute(self, context: Context):
        run = _begin(self, context)
        if run is None:
            return {"CANCELLED"}
        with _ended_by_errors(context, run):
            captured: bool | None = None
            while captured is None:
                captured = _capture(self, context, run)
            if not captured:
                return {"CANCELLED"}
            run.wait()
            return _finish(self, context, run)

    def invoke(self, context: Context, _event: Event):
        if bpy.app.background or context.window is None:
            return self.execute(context)
        run = _begin(self, context)
        if run is None:
            return {"CANCELLED"}
        self._run, self._captured, self._ticks = run, False, 0
        with lasting_window(context):
            self._timer = context.window_manager.event_timer_add(_TICK, window=context.window)
            context.workspace.status_text_set(f"{self.running_text}     Esc: cancel")
            context.window_manager.modal_handler_add(self)
        context.window_manager.limelight.message = ""
        previews.forget("running")
        _show(context, self._run)
        return {"RUNNING_MODAL"}

    def modal(self, context: Context, event: Event):
        over = True
        try:
            with _ended_by_errors(context, self._run):
                answer = self._advance(context, event)
            over = answer in ({"FINISHED"}, {"CANCELLED"})
            return answer
        finally:
            if over:
                self._release(context)

    def _advance(self, context: Context, event: Event):
        """Go on as far as possible without blocking; what ``modal`` answers."""
        run = self._run
        if engine_session.running_run() is not run:
            # The run was abandoned: another file was loaded or the engine was stopped.
            _show_end(context, run.cancelled_text)
            return {"CANCELLED"}
        if event.type == "ESC" and event.value == "PRESS":
            run.cancel()
            _show(context, run)
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        if _waits(run, self._captured):
            context.window_manager.limelight.stage = "Waiting until Blender has rendered"
            return {"PASS_THROUGH"}
        self._ticks += 1
        if not self._captured and not run.over:
            # Let the panel draw once, so that the artist sees why the window holds still during the render.
            if self._ticks < 3:
                return {"PASS_THROUGH"}
            captured = _capture(self, context, run)
            if captured is None:
                _show(context, run)
                return {"RUNNING_MODAL"}
            self._captured = True
            if not captured:
                return {"CANCELLED"}
        if run.step() or self._ticks % 5 == 0:
            _show(context, run)
        if run.unsettled:
            # Undo frees what no step knows of, also what is in use: Blender would crash.
            bpy.ops.ed.undo_push(message=run.unsettled)
            run.unsettled = ""
        if not run.over:
            return {"PASS_THROUGH"}
        return _finish(self, context, run)

    def cancel(self, context: Context):
        """Blender calls this when it ends the operator itself: its window was closed, or on quitting."""
        if engine_session.running_run() is self._run:
            engine_session.abandon()
        # Other windows would go on showing it.
        manager = context.window_manager.limelight
        manager.running, manager.stage, manager.message = False, "", self._run.cancelled_text
        self._release(context)

    def _release(self, context: Context):
        context.window_manager.event_timer_remove(self._timer)
        # There is no window left when Blender quits.
        if context.window is not None:
            context.workspace.status_text_set(None)
