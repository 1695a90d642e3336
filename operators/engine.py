# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's set-up in the preferences: make its environment, verify it, remove it, read its log, free its memory."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from bpy.types import Context, Event, Operator

from .. import preferences
from . import engine_session, engine_work, state, watch
from .run_operator import lasting_window

_TICK = 0.2
_PAUSE = 0.05


def network_refusal() -> str:
    """Why the network may not be used, with the setting that allows it; empty if it may. Read only after a click."""
    if getattr(bpy.app, "online_access", True):
        return ""
    if getattr(bpy.app, "online_access_override", False):
        return "Blender was started in offline mode: start it without --offline-mode to download the engine's packages"
    return (
        "The engine's packages have to be downloaded, and Blender may not use the network now: "
        "switch on Preferences > System > Network > Allow Online Access"
    )


# Blender wants its own base class last, so the mixin has none; for the type checker it is an operator all the same.
if TYPE_CHECKING:
    _Mixin = Operator
else:
    _Mixin = object


class _SteppedOperator(_Mixin):
    """Ticks a piece of work: modal when clicked, blocking in scripts and in background mode.

    A subclass says what the work is (``begin``, which may raise an error with an artist's sentence) and what follows
    when it succeeded (``succeed``, which returns the message to show and the problems that remain).
    """

    def begin(self, context: Context) -> Any:
        raise NotImplementedError

    def succeed(self, context: Context, work: Any) -> tuple[str, list[str]]:
        raise NotImplementedError

    def execute(self, context: Context):
        work = self._start(context)
        if work is None:
            return {"CANCELLED"}
        while not work.over:
            work.step()
            time.sleep(_PAUSE)
        return self._end(context, work)

    def invoke(self, context: Context, _event: Event):
        if bpy.app.background or context.window is None:
            return self.execute(context)
        self._work = self._start(context)
        if self._work is None:
            return {"CANCELLED"}
        with lasting_window(context):
            self._timer = context.window_manager.event_timer_add(_TICK, window=context.window)
            context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Context, event: Event):
        if event.type == "ESC" and event.value == "PRESS":
            self._work.cancel()
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        self._work.step()
        self._show(context, self._work)
        if not self._work.over:
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        return self._end(context, self._work)

    def cancel(self, context: Context):
        """Blender calls this when it ends the operator itself: when it quits or loads a file; then the work goes on."""
        context.window_manager.event_timer_remove(self._timer)
        if engine_work.interrupt(self.bl_idname, self._work):
            return
        self._work.cancel()
        self._tell(context, "Cancelled", failed=True)

    def _start(self, context: Context):
        interface, work = state.get(context), engine_work.take(self.bl_idname)
        if work is None and interface.setup_running:
            self.report({"ERROR"}, "The engine is being set up or verified already: wait for it to end")
            return None
        try:
            work = work or self.begin(context)
        except (OSError, RuntimeError, ValueError) as error:
            self._tell(context, str(error), failed=True)
            self.report({"ERROR"}, str(error))
            return None
        interface.setup_running, interface.setup_message = True, ""
        self._show(context, work)
        return work

    def _show(self, context: Context, work):
        interface = state.get(context)
        interface.setup_fraction, interface.setup_stage = work.fraction, work.stage
        watch.redraw(context)

    def _tell(self, context: Context, message, *, failed):
        interface = state.get(context)
        interface.setup_running, interface.setup_fraction, interface.setup_stage = False, 0.0, ""
        interface.setup_message, interface.setup_failed = message, failed
        watch.refresh_windows(context)
        watch.redraw(context)

    def _end(self, context: Context, work):
        if work.error:
            self._tell(context, work.error, failed=True)
            self.report({"ERROR"}, work.error)
            return {"CANCELLED"}
        message, problems = self.succeed(context, work)
        self._tell(context, message, failed=bool(problems))
        self.report({"WARNING"} if problems else {"INFO"}, message)
        return {"FINISHED"}


class LIMELIGHT_OT_setup_engine(_SteppedOperator, Operator):
    """Make the engine's own Python environment and download its packages; goes on after a broken download. Esc stops"""

    bl_idname = "limelight.setup_engine"
    bl_label = "Set Up Engine"
    bl_options = {"REGISTER"}

    def begin(self, context: Context):
        from ..bridge import setup

        refusal = network_refusal()
        if refusal:
            raise RuntimeError(refusal)
        engine_session.stop()
        stored = preferences.addon_preferences(context)
        return setup.SetUp(engine_work.chosen_python(stored), preferences.environment_folder(stored))

    def succeed(self, context: Context, work):
        stored = preferences.addon_preferences(context)
        if stored is not None:
            stored.engine_source = "OWN"
        return "The engine is set up; press Verify Engine to see its devices", []


class LIMELIGHT_OT_remove_engine(Operator):
    """Delete the engine's own environment from the disk; an existing environment that you chose is never touched"""

    bl_idname = "limelight.remove_engine"
    bl_label = "Remove Engine"
    bl_options = {"REGISTER"}

    def invoke(self, context: Context, event: Event):
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: Context):
        from ..bridge import setup

        stored = preferences.addon_preferences(context)
        engine_session.stop()
        try:
            setup.remove(preferences.environment_folder(stored))
        except OSError as error:
            self.report({"ERROR"}, f"The engine could not be removed: {error}")
            return {"CANCELLED"}
        if stored is not None:
            stored.doctor_report = ""
        interface = state.get(context)
        interface.setup_message, interface.setup_failed = "The engine was removed", False
        watch.refresh_windows(context)
        watch.redraw(context)
        return {"FINISHED"}


class LIMELIGHT_OT_find_pythons(Operator):
    """Look for installed Pythons that the engine's environment can be made with"""

    bl_idname = "limelight.find_pythons"
    bl_label = "Find Pythons"
    bl_options = {"REGISTER"}

    def execute(self, context: Context):
        stored = preferences.addon_preferences(context)
        if stored is None:
            self.report({"ERROR"}, "Enable Limelight in Preferences > Add-ons first")
            return {"CANCELLED"}
        from ..bridge import setup

        found = setup.find_pythons()
        stored.found_pythons = json.dumps([[str(path), version] for path, version in found])
        if not found:
            self.report({"WARNING"}, engine_work.NO_PYTHON)
            return {"FINISHED"}
        stored.base_python = json.loads(stored.found_pythons)[0][0]
        return {"FINISHED"}


class LIMELIGHT_OT_doctor(_SteppedOperator, Operator):
    """Start the engine and let it check itself: versions, devices, memory, models"""

    bl_idname = "limelight.doctor"
    bl_label = "Verify Engine"
    bl_options = {"REGISTER"}

    def begin(self, context: Context):
        return engine_work.Doctor(engine_session.engine(context))

    def succeed(self, context: Context, work):
        stored = preferences.addon_preferences(context)
        if stored is not None:
            stored.doctor_report = json.dumps(work.report)
        return engine_work.verdict(work.report), work.report.get("problems", [])


class LIMELIGHT_OT_unload(Operator):
    """Let the engine free its memory, also on the GPU; the next estimate loads its models again"""

    bl_idname = "limelight.unload"
    bl_label = "Free Memory"
    bl_options = {"REGISTER"}

    def execute(self, context: Context):
        if not engine_session.is_alive():
            self.report({"INFO"}, "The engine is not running, so it holds no memory")
            return {"CANCELLED"}
        if engine_session.running_run() is not None:
            self.report({"ERROR"}, "An estimate is running: wait for it or cancel it first")
            return {"CANCELLED"}
        engine_session.unload()
        self.report({"INFO"}, "The engine has freed its memory")
        return {"FINISHED"}


class LIMELIGHT_OT_open_log(Operator):
    """Open the engine's log with the program that your system uses for text files"""

    bl_idname = "limelight.open_log"
    bl_label = "Open Log"
    bl_options = {"REGISTER"}

    def execute(self, context: Context):
        path = engine_session.log_file(context)
        if not path.is_file():
            self.report({"INFO"}, "There is no log yet: the engine has not been started")
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=str(Path(path)))
        return {"FINISHED"}


class LIMELIGHT_OT_show_preferences(Operator):
    """Show Limelight's preferences, where the engine is set up"""

    bl_idname = "limelight.show_preferences"
    bl_label = "Open Limelight's Preferences"
    bl_options = {"REGISTER"}

    def execute(self, context: Context):
        if bpy.app.background or context.window is None:
            self.report({"ERROR"}, "There is no window: use “limelight doctor” on the command line instead")
            return {"CANCELLED"}
        bpy.ops.preferences.addon_show(module=preferences.ADDON)
        return {"FINISHED"}


CLASSES = (
    LIMELIGHT_OT_setup_engine,
    LIMELIGHT_OT_remove_engine,
    LIMELIGHT_OT_find_pythons,
    LIMELIGHT_OT_doctor,
    LIMELIGHT_OT_unload,
    LIMELIGHT_OT_open_log,
    LIMELIGHT_OT_show_preferences,
)
