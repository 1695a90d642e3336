# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate as an operator: modal with progress when clicked, blocking in scripts and in background mode."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import bpy
from bpy.props import IntProperty
from bpy.types import Context, Event, Operator

from . import engine_session, previews, state, watch
from .estimate_run import EstimateRun

_TICK = 0.1


def time_left_text(seconds: float) -> str:
    """``seconds`` as the panels say it; empty while unknown (negative)."""
    if seconds < 0:
        return ""
    if seconds < 90:
        return f"about {max(round(seconds), 1)} s left"
    return f"about {round(seconds / 60)} min left"


def _show(context: bpy.types.Context, run: EstimateRun) -> None:
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


def _refused(operator: Operator, context: bpy.types.Context) -> bool:
    """Report what keeps the estimate from starting; True if there is anything."""
    watch.refresh(context)
    if engine_session.running_run() is not None:
        operator.report({"ERROR"}, "An estimate is running already: wait for it or cancel it first")
        return True
    problems = state.get(context).problems
    if problems:
        watch.redraw(context)
        operator.report({"ERROR"}, "; ".join(row.text for row in problems))
    return bool(problems)


def _capture(operator: Operator, context: bpy.types.Context, run: EstimateRun) -> bool:
    try:
        run.capture(context)
    except (OSError, RuntimeError, ValueError) as error:
        engine_session.abandon()
        _show_end(context, str(error))
        operator.report({"ERROR"}, str(error))
        return False
    return True


@contextmanager
def _ended_by_errors(context: bpy.types.Context, run: EstimateRun) -> Iterator[None]:
    """Whatever goes wrong inside ends the run too: nothing else ever would, and no other could begin."""
    try:
        yield
    except BaseException:
        if engine_session.running_run() is run:
            engine_session.abandon()
        _show_end(context, "The estimate failed; the console says why")
        raise


def _finish(operator: Operator, context: bpy.types.Context, run: EstimateRun) -> set[str]:
    """Load what came out, say how it ended; the scene is touched only by a run that succeeded."""
    engine_session.end(run)
    try:
        if run.cancelled:
            _show_end(context, "Cancelled; nothing was changed")
            operator.report({"INFO"}, "The estimate was cancelled; nothing was changed")
            return {"CANCELLED"}
        if not run.succeeded:
            _show_end(context, run.error_text)
            operator.report({"ERROR"}, run.error_text)
            return {"CANCELLED"}
        lit = run.load(context)
    except (OSError, RuntimeError, ValueError) as error:
        _show_end(context, str(error))
        operator.report({"ERROR"}, f"The light could not be stored: {error}")
        return {"CANCELLED"}
    finally:
        run.close()
    seconds = time.monotonic() - run.started
    message = f"Estimated the light of {', '.join(p.name for p in lit)} in {seconds:.0f} s"
    _show_end(context, message)
    operator.report({"INFO"}, message)
    return {"FINISHED"}


class LIMELIGHT_OT_estimate(Operator):
    """Estimate the light at every probe that is switched on, from what the engine sees; Esc cancels"""

    bl_idname = "limelight.estimate"
    bl_label = "Estimate Light"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        if _refused(self, context):
            return {"CANCELLED"}
        run = EstimateRun(context)
        engine_session.begin(run)
        with _ended_by_errors(context, run):
            if not _capture(self, context, run):
                return {"CANCELLED"}
            run.wait()
            return _finish(self, context, run)

    def invoke(self, context: Context, _event: Event):
        if bpy.app.background or context.window is None:
            return self.execute(context)
        if _refused(self, context):
            return {"CANCELLED"}
        self._run = EstimateRun(context)
        self._captured = False
        self._ticks = 0
        engine_session.begin(self._run)
        self._timer = context.window_manager.event_timer_add(_TICK, window=context.window)
        context.workspace.status_text_set("Limelight estimates the light     Esc: cancel")
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
            _show_end(context, "Cancelled; nothing was changed")
            return {"CANCELLED"}
        if event.type == "ESC" and event.value == "PRESS":
            run.cancel()
            _show(context, run)
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        self._ticks += 1
        if not self._captured and not run.over:
            # Let the panel draw once, so that the artist sees why the window holds still during the render.
            if self._ticks < 3:
                return {"PASS_THROUGH"}
            self._captured = True
            if not _capture(self, context, run):
                return {"CANCELLED"}
        if run.step() or self._ticks % 5 == 0:
            _show(context, run)
        if not run.over:
            return {"PASS_THROUGH"}
        return _finish(self, context, run)

    def cancel(self, context: Context):
        """Blender calls this when it ends the operator itself, for example on quitting."""
        if engine_session.running_run() is self._run:
            engine_session.abandon()
        self._release(context)

    def _release(self, context: Context):
        context.window_manager.event_timer_remove(self._timer)
        context.workspace.status_text_set(None)


class LIMELIGHT_OT_estimate_take(Operator):
    """Estimate the light again with another guess at what the picture hides"""

    bl_idname = "limelight.estimate_take"
    bl_label = "Another Take"
    bl_options = {"INTERNAL"}

    take: IntProperty(name="Take", description="Number of the take; 0 averages several", min=0)

    @classmethod
    def description(cls, _context: Context, properties):
        if properties.take:
            return f"Estimate the light again with guess number {properties.take} at what the picture hides, sharper"
        return "Go back to the average of several guesses: softer, and the likeliest"

    def invoke(self, context: Context, _event: Event):
        return self._estimate(context, "INVOKE_DEFAULT")

    def execute(self, context: Context):
        return self._estimate(context, "EXEC_DEFAULT")

    def _estimate(self, context: Context, how: str):
        context.scene.limelight.take = self.take
        answer = bpy.ops.limelight.estimate(how)
        # A modal operator goes on by itself; this one has nothing left to do.
        return {"FINISHED"} if answer == {"RUNNING_MODAL"} else answer


class LIMELIGHT_OT_cancel(Operator):
    """Stop the running estimate; the scene stays as it was"""

    bl_idname = "limelight.cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    def execute(self, context: Context):
        run = engine_session.running_run()
        if run is None:
            self.report({"INFO"}, "No estimate is running")
            return {"CANCELLED"}
        run.cancel()
        watch.redraw(context)
        return {"FINISHED"}


CLASSES = (LIMELIGHT_OT_estimate, LIMELIGHT_OT_estimate_take, LIMELIGHT_OT_cancel)
