# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture This Object: its pictures from all around, one view a tick, so that the window lives and Esc stops."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.types import Context

from .. import preferences
from ..scene.handle import Handle
from .engine_run import EngineRun
from .run_operator import RunOperator

if TYPE_CHECKING:
    from ..scene.splat_capture import Capture


def base_folder(scene: bpy.types.Scene, name: str) -> Path:
    """Where a capture of something of this name goes."""
    from ..scene import paths

    chosen = scene.limelight.capture.folder
    if chosen:
        return paths.of_setting(chosen) / bpy.path.clean_name(name)
    home = Path(bpy.data.filepath).parent if bpy.data.filepath else preferences.user_folder()
    return home / "captures" / bpy.path.clean_name(name)


class CaptureRun(EngineRun):
    """Renders an object's views; no engine has a part in it. The folder of pictures is its result."""

    kind = "capture"
    first_stage = "Looking at the object"
    renders = True
    cancelled_text = "Cancelled; captured again, the rest is rendered"

    def __init__(self, context: Context, things: list[bpy.types.Object]) -> None:
        super().__init__(context)
        self._things = [Handle.of(thing) for thing in things]
        self._capture: Capture | None = None
        self._error, self._first, self._began = "", 0, 0.0

    def capture(self, context: Context) -> None:
        from ..scene import splat_capture

        settings = context.scene.limelight.capture
        things = [thing for thing in (held.find(bpy.data.objects) for held in self._things) if thing is not None]
        if len(things) < len(self._things):
            raise ValueError("an object that was to be captured is gone")
        planned = splat_capture.plan(
            context, things, views=settings.views, size=settings.size, samples=settings.samples, lowest=settings.lowest
        )
        folder = splat_capture.folder_for(base_folder(context.scene, things[0].name), planned)
        self._capture = splat_capture.begin(context, things, planned, folder)
        self._first, self._began = self._capture.done, time.monotonic()

    def step(self) -> bool:
        if self._capture is None or self.over:
            return False
        try:
            with self.at_home(bpy.context):
                self._capture.step()
        except (OSError, RuntimeError, ValueError) as error:
            self._error = str(error).removeprefix("Error: ").strip()
        return True

    @property
    def over(self) -> bool:
        return self._cancelled or bool(self._error) or (self._capture is not None and self._capture.over)

    @property
    def succeeded(self) -> bool:
        return self.over and not self._error and not self._cancelled

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    @property
    def fraction(self) -> float:
        return 0.0 if self._capture is None else self._capture.done / self._capture.total

    @property
    def stage(self) -> str:
        if self._capture is None:
            return self.first_stage
        return f"Rendering view {min(self._capture.done + 1, self._capture.total)} of {self._capture.total}"

    @property
    def eta(self) -> float:
        if self._capture is None or self._capture.done == self._first:
            return -1.0
        each = (time.monotonic() - self._began) / (self._capture.done - self._first)
        return each * (self._capture.total - self._capture.done)

    @property
    def preview(self) -> str:
        return "" if self._capture is None or self._capture.newest is None else str(self._capture.newest)

    @property
    def error_text(self) -> str:
        return f"The capture ended: {self._error}"

    def load(self, context: Context) -> str:
        from ..scene import paths

        assert self._capture is not None
        self._capture.finish()
        scene = bpy.data.scenes.get(self.scene_name)
        if scene is not None:
            settings = scene.limelight.capture
            settings.source, settings.tone, settings.up = paths.kept(str(self._capture.folder)), "SRGB", "AUTO"
        return f"{self._capture.total} pictures of “{self._things[0].name}” are in “{self._capture.folder.name}”"


class LIMELIGHT_OT_capture_object(RunOperator):
    """Render the selected objects from all around with Cycles, lit as they are: pictures to learn splats from"""

    bl_idname = "limelight.capture_object"
    bl_label = "Capture This Object"
    bl_options = {"REGISTER"}

    running_text = "Limelight renders the object from all around"

    def make_run(self, context: Context):
        from ..scene import splat_capture

        active = context.view_layer.objects.active
        things = splat_capture.targets(context)
        # The active object gives the capture its name.
        things.sort(key=lambda thing: thing is not active)
        return CaptureRun(context, things)

    def problems(self, context: Context):
        from ..scene import paths, splat_capture

        chosen, things = context.scene.limelight.capture.folder, splat_capture.targets(context)
        if paths.is_foreign(chosen):
            return [f"The folder “{chosen}” is one of Windows: choose one of this computer, or empty the field"]
        if not things:
            return ["Nothing is selected: select the object to capture"]
        try:
            splat_capture.ball(context, things)
        except ValueError as error:
            return [str(error)]
        return []


CLASSES = (LIMELIGHT_OT_capture_object,)
