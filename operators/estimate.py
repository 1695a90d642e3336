# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate as operators: as asked for, another take of it, and the way out."""

import bpy
from bpy.props import BoolProperty, IntProperty
from bpy.types import Context, Operator

from . import engine_session, state, watch
from .another_take import AnotherTake
from .estimate_frames_run import EstimateFramesRun
from .estimate_run import EstimateRun
from .run_operator import RunOperator


class LIMELIGHT_OT_estimate(RunOperator):
    """Estimate the light at every probe that is switched on, from what the engine sees; Esc cancels"""

    bl_idname = "limelight.estimate"
    bl_label = "Estimate Light"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight estimates the light"

    take: IntProperty(
        name="Take", description="Number of the take that the scene shows from then on; -1 keeps its own",
        min=-1, default=-1, options={"HIDDEN", "SKIP_SAVE"},
    )  # fmt: skip

    anew: BoolProperty(
        name="Anew", description="Over frames, keep no frame of an estimate that was broken off",
        options={"HIDDEN", "SKIP_SAVE"},
    )  # fmt: skip

    def make_run(self, context: Context):
        take = context.scene.limelight.take if self.take < 0 else self.take
        if context.scene.limelight.frames.use:
            return EstimateFramesRun(context, take, anew=self.anew)
        return EstimateRun(context, take)

    def problems(self, context: Context):
        from ..scene.problems import Problem

        watch.refresh(context)
        return [Problem(row.text, row.operator, row.label).told for row in state.seen(context).problems]


class LIMELIGHT_OT_estimate_take(AnotherTake):
    """Estimate the light again with another guess at what the picture hides"""

    bl_idname = "limelight.estimate_take"

    take: IntProperty(name="Take", description="Number of the take; 0 averages several", min=0)

    @classmethod
    def description(cls, _context: Context, properties):
        if properties.take:
            return f"Estimate the light again with guess number {properties.take} at what the picture hides, sharper"
        return "Go back to the average of several guesses: softer, and the likeliest"

    def start(self):
        return bpy.ops.limelight.estimate  # type: ignore[attr-defined]


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
