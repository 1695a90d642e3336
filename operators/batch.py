# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of shots whose light is estimated one after the other: adding, working off, trying again, loading."""

from bpy.props import BoolProperty, StringProperty
from bpy.types import Context, Operator

from . import engine_session, shot_list, watch
from .batch_runs import AddShotsRun, WorkListRun
from .run_operator import RunOperator


class LIMELIGHT_OT_batch_add(RunOperator):
    """Write down what the camera sees of these frames now, and put it on the list; estimate it later"""

    bl_idname = "limelight.batch_add"
    bl_label = "Add to List"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight writes frames down"

    every_camera: BoolProperty(
        name="Every Camera", description="Add a shot for each camera of the scene", options={"SKIP_SAVE"}
    )

    def make_run(self, context: Context):
        cameras = [o.name for o in context.scene.objects if o.type == "CAMERA" and o.data.type == "PERSP"]
        return AddShotsRun(context, sorted(cameras) if self.every_camera else [])

    def problems(self, context: Context):
        from ..scene import problems, shot_problems

        found = problems.find_problems(context)
        # One frame is kept beside the file too.
        alone = [] if context.scene.limelight.frames.use else list(shot_problems.folder(context.scene))
        return [problem.told for problem in (*found, *alone)]


class LIMELIGHT_OT_batch_start(RunOperator):
    """Estimate the light of every shot on the list that waits; each goes into the scene when it is done"""

    bl_idname = "limelight.batch_start"
    bl_label = "Estimate List"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight works the list off"

    def make_run(self, context: Context):
        return WorkListRun(context)

    def problems(self, context: Context):
        engine = engine_session.engine_problem(context)
        if engine is not None:
            return [engine.told]
        found = shot_list.listed(context.scene)
        if found is None or not any(not entry.over for entry in shot_list.own(found)):
            return ["No shot on the list waits for light: add one first, or try one again"]
        return []


class _Named(Operator):
    """Base of what is done with one shot of the list."""

    bl_options = {"REGISTER", "INTERNAL"}

    name: StringProperty(name="Name", description="Which shot of the list")

    def _entry(self, context: Context):
        found = shot_list.listed(context.scene)
        entry = None if found is None else found.entries.get(self.name)
        if entry is None:
            self.report({"ERROR"}, f"There is no shot “{self.name}” on the list")
        return found, entry

    def _tell(self, context: Context, text: str) -> set[str]:
        watch.refresh(context)
        watch.redraw(context)
        self.report({"INFO"}, text)
        return {"FINISHED"}


class LIMELIGHT_OT_batch_load(_Named):
    """Let the probes have the light of this shot: the buttons under Light then use it"""

    bl_idname = "limelight.batch_load"
    bl_label = "Load Light of Shot"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        found, entry = self._entry(context)
        if entry is None:
            return {"CANCELLED"}
        try:
            lit = shot_list.load(found.params(entry))
        except (OSError, RuntimeError, ValueError) as error:
            self.report({"ERROR"}, f"The light of “{self.name}” could not be loaded: {error}")
            # Undo has to know of what was loaded until then.
            return {"FINISHED"}
        return self._tell(context, f"{', '.join(probe.name for probe in lit)} now has the light of {self.name}")


class LIMELIGHT_OT_batch_retry(_Named):
    """Let this shot wait for its turn again; frames that are done are kept"""

    bl_idname = "limelight.batch_retry"
    bl_label = "Try Again"

    def execute(self, context: Context):
        found, entry = self._entry(context)
        if entry is None:
            return {"CANCELLED"}
        found.requeue([self.name])
        return self._tell(context, f"{self.name} waits again")


class LIMELIGHT_OT_batch_skip(_Named):
    """Leave this shot out; Try Again brings it back"""

    bl_idname = "limelight.batch_skip"
    bl_label = "Leave Out"

    def execute(self, context: Context):
        found, entry = self._entry(context)
        if entry is None:
            return {"CANCELLED"}
        if entry.state != "queued":
            self.report({"ERROR"}, f"{self.name} is {entry.state}: only a shot that waits can be left out")
            return {"CANCELLED"}
        with found.writer() as writer:
            writer.tell(self.name, state="cancelled", stage="")
        return self._tell(context, f"{self.name} is left out")


CLASSES = (
    LIMELIGHT_OT_batch_add,
    LIMELIGHT_OT_batch_start,
    LIMELIGHT_OT_batch_load,
    LIMELIGHT_OT_batch_retry,
    LIMELIGHT_OT_batch_skip,
)
