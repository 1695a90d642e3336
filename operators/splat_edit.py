# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit clouds of splats for good: choose, delete, apply transforms, merge, and write them to a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import EnumProperty, FloatProperty, StringProperty
from bpy.types import Context, Operator
from bpy_extras.io_utils import ExportHelper

from . import watch

if TYPE_CHECKING:  # Loading it takes longer than all else that enabling the add-on does.
    import numpy as np

_FAULTS = (OSError, ValueError, RuntimeError)
_WHAT = (
    ("FAINT", "Faint", "Less opaque than the limit, 0 to 1"),
    ("LARGE", "Large", "More than so many times as large as usual"),
    ("STRAY", "Far Away", "More than so many times the usual distance from the middle"),
    ("OUTSIDE", "Outside Crop Box", "What the crop box hides"),
)
_LIMITS = {"FAINT": 0.1, "LARGE": 10.0, "STRAY": 4.0, "OUTSIDE": 0.0}


def clouds(context: Context) -> list[bpy.types.Object]:
    """The selected clouds that can be edited, the active one first."""
    from ..scene import splat_drawing

    active = context.view_layer.objects.active
    chosen = [thing for thing in context.selected_objects if thing != active]
    found = [active, *chosen] if active is not None else chosen
    return [thing for thing in found if splat_drawing.is_splats(thing) and "Relight" in splat_drawing.inputs(thing)]


def ready(operator: Any, context: Context, *, wanted: int = 1, active: bool = True, object_mode: bool = True) -> bool:
    """An operator's poll: whether so many clouds, the active object among them, can be edited; else it says why not."""
    found = clouds(context)
    if object_mode and context.mode != "OBJECT":
        operator.poll_message_set("Leave edit mode first: this works on splats in Object Mode")
    elif active and (not found or found[0] != context.view_layer.objects.active):
        operator.poll_message_set("The active object is no cloud of splats: click one first")
    elif len(found) < wanted:
        told = "No splats are selected: select some first" if wanted < 2 else "Select several clouds of splats first"
        operator.poll_message_set(told)
    else:
        return True
    return False


@contextmanager
def _object_mode(context: Context) -> Iterator[None]:
    """Inside this, meshes are what the artist sees in Edit Mode, and none is sculpted or painted."""
    active = context.view_layer.objects.active
    mode = "OBJECT" if active is None else active.mode
    if mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        yield
    finally:
        if mode != "OBJECT":
            bpy.ops.object.mode_set(mode=mode)


class _Choice:
    """Which Gaussians an operator means."""

    what: EnumProperty(name="Which", description="Which Gaussians are meant", items=_WHAT, default="FAINT")
    limit: FloatProperty(
        name="Limit",
        description="An opacity for Faint, a multiple for Large and Far Away; 0 takes a usual one",
        min=0.0,
        soft_max=20.0,
        # A limit for one kind would be taken for the next, of which it means something else.
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: Context):
        """Whether an active cloud can be edited."""
        return ready(cls, context, object_mode=False)

    def chosen(self, thing: bpy.types.Object):
        """(N,) bool."""
        from ..scene import splat_edit

        return splat_edit.chosen(thing, self.what, self.limit or _LIMITS[self.what])

    def done_to(
        self: Any, context: Context, act: Callable[[bpy.types.Object, "np.ndarray"], None]
    ) -> "np.ndarray | None":
        """(N,) bool, those that ``act`` was done to; None after an error, which is reported."""
        thing = context.view_layer.objects.active
        assert thing is not None
        try:
            with _object_mode(context):
                chosen: np.ndarray = self.chosen(thing)
                act(thing, chosen)
        except _FAULTS as error:
            self.report({"ERROR"}, str(error))
            return None
        return chosen


class LIMELIGHT_OT_select_splats(_Choice, Operator):  # type: ignore[misc]
    """Select Gaussians of the active splats in Edit Mode: look at them, delete them with X, or part them with P"""

    bl_idname = "limelight.select_splats"
    bl_label = "Select Splats"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import splat_edit

        chosen = self.done_to(context, splat_edit.select)
        if chosen is None:
            return {"CANCELLED"}
        if context.mode != "EDIT_MESH":
            bpy.ops.object.mode_set(mode="EDIT")
        assert context.tool_settings is not None
        context.tool_settings.mesh_select_mode = (True, False, False)
        self.report({"INFO"}, f"{int(chosen.sum())} of {len(chosen)} Gaussians are selected")
        return {"FINISHED"}


class LIMELIGHT_OT_delete_splats(_Choice, Operator):  # type: ignore[misc]
    """Delete Gaussians of the active splats: faint, large or far ones, or what the crop box hides"""

    bl_idname = "limelight.delete_splats"
    bl_label = "Delete Splats"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import splat_edit

        chosen = self.done_to(context, splat_edit.delete)
        if chosen is None:
            return {"CANCELLED"}
        self.report({"INFO"}, f"{int(chosen.sum())} of {len(chosen)} Gaussians are gone")
        return {"FINISHED"}


class LIMELIGHT_OT_apply_splat_transform(Operator):
    """Put the selected splats' place, turn and size into their Gaussians; Blender's own Apply moves points alone"""

    bl_idname = "limelight.apply_splat_transform"
    bl_label = "Apply Splats' Transform"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Context):
        return ready(cls, context, active=False)

    def execute(self, context: Context):
        from ..scene import keys, splat_drawing, splat_edit

        chosen = clouds(context)
        told = next(filter(None, (splat_drawing.linked(thing, points=True) for thing in chosen)), None)
        if told is not None:
            self.report({"ERROR"}, told)
            return {"CANCELLED"}
        held = next((thing.name for thing in chosen if keys.hold(thing)), None)
        if held is not None:
            self.report({"ERROR"}, f"“{held}” is moved by keys, drivers or constraints: clear them first")
            return {"CANCELLED"}
        try:
            for thing in chosen:
                splat_edit.apply_transform(thing)
        except _FAULTS as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class LIMELIGHT_OT_merge_splats(Operator):
    """Merge the selected splats into the active ones, as they are seen; Ctrl J leaves Gaussians unturned"""

    bl_idname = "limelight.merge_splats"
    bl_label = "Merge Splats"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Context):
        return ready(cls, context, wanted=2)

    def execute(self, context: Context):
        from ..scene import splat_drawing, splat_edit

        into, *others = clouds(context)
        try:
            splat_edit.merge(into, others)
        except _FAULTS as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        splat_drawing.let_rays_through(context.scene)
        watch.redraw(context)
        self.report({"INFO"}, f"“{into.name}” has {splat_drawing.count(into)} Gaussians now")
        return {"FINISHED"}


class LIMELIGHT_OT_export_splats(Operator, ExportHelper):  # type: ignore[misc]
    """Write the active splats as PLY: their Gaussians in their own axes, with material where there is one"""

    bl_idname = "limelight.export_splats"
    bl_label = "Export Splats"

    filename_ext = ".ply"
    filepath: StringProperty(name="File", description="The PLY to write", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(
        name="Only PLY", description="Show only PLY in the dialogue", default="*.ply", options={"HIDDEN"}
    )

    @classmethod
    def poll(cls, context: Context):
        return ready(cls, context)

    def execute(self, context: Context):
        from ..scene import splat_data, splat_drawing, splat_file

        thing = context.view_layer.objects.active
        assert thing is not None
        path = Path(bpy.path.abspath(self.filepath))
        if path.suffix.lower() != ".ply":
            self.report({"ERROR"}, "Name a file that ends in .ply; “limelight splat convert” makes other kinds of it")
            return {"CANCELLED"}
        try:
            cloud = splat_data.read(thing)
            splat_file.write(path, cloud, thing.get(splat_drawing.AXES, "Y_DOWN"))
        except _FAULTS as error:
            self.report({"ERROR"}, f"The splats could not be written: {error}")
            return {"CANCELLED"}
        self.report({"INFO"}, f"{len(cloud.means)} Gaussians are in {path.name}")
        return {"FINISHED"}


CLASSES = (
    LIMELIGHT_OT_select_splats,
    LIMELIGHT_OT_delete_splats,
    LIMELIGHT_OT_apply_splat_transform,
    LIMELIGHT_OT_merge_splats,
    LIMELIGHT_OT_export_splats,
)
