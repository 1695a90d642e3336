# SPDX-License-Identifier: GPL-3.0-or-later
"""Selecting and deleting probes from the list in the sidebar, and moving hidden ones into view."""

import bpy
from bpy.props import StringProperty
from bpy.types import Context, Operator

from . import watch


def _named_probe(operator: Operator, context: bpy.types.Context) -> bpy.types.Object | None:
    """The probe called ``operator.name``, or the active one if no name is given; reports when there is none."""
    from ..scene import probes

    probe = probes.named(context.scene, operator.name) if operator.name else watch.active_probe(context)
    if probe is None:
        operator.report({"ERROR"}, f"There is no probe called “{operator.name}” in this scene" if operator.name
                        else "There is no active probe: click one in the list first")
        return None
    return probe


def _name(what: str):
    # From Blender's search it is the active one, not the one of the last click in the list.
    return StringProperty(name="Name", description=f"Name of the probe {what}", options={"SKIP_SAVE"})


class LIMELIGHT_OT_select_probe(Operator):
    """Select this probe in the viewport, so that the buttons below work on it"""

    bl_idname = "limelight.select_probe"
    bl_label = "Select Probe"
    bl_options = {"REGISTER", "UNDO"}

    name: _name("to select; empty takes the active one")

    def execute(self, context: Context):
        from ..scene import selection

        probe = _named_probe(self, context)
        if probe is None:
            return {"CANCELLED"}
        if context.mode != "OBJECT":
            self.report({"ERROR"}, "Leave edit mode first: probes are selected in Object Mode")
            return {"CANCELLED"}
        selection.select_alone(context, probe)
        watch.refresh(context)
        return {"FINISHED"}


class LIMELIGHT_OT_delete_probe(Operator):
    """Delete this probe from the scene; worlds and lamps that were made from it stay"""

    bl_idname = "limelight.delete_probe"
    bl_label = "Delete Probe"
    bl_options = {"REGISTER", "UNDO"}

    name: _name("to delete; empty deletes the active one")

    def execute(self, context: Context):
        probe = _named_probe(self, context)
        if probe is None:
            return {"CANCELLED"}
        name = probe.name
        bpy.data.objects.remove(probe, do_unlink=True)
        watch.refresh(context)
        watch.redraw(context)
        self.report({"INFO"}, f"Deleted {name}")
        return {"FINISHED"}


class LIMELIGHT_OT_reveal_probe(Operator):
    """Move this probe to where the camera sees it: into the picture, or in front of what hides it"""

    bl_idname = "limelight.reveal_probe"
    bl_label = "Move Probe into View"
    bl_options = {"REGISTER", "UNDO"}

    name: _name("to move; empty moves the active one")

    def execute(self, context: Context):
        from ..scene import camera as cameras
        from ..scene import probes, sight

        probe = _named_probe(self, context)
        if probe is None:
            return {"CANCELLED"}
        camera = context.scene.camera
        wrong = "The scene has no camera" if camera is None else cameras.flaw(camera)
        if wrong:
            self.report({"ERROR"}, f"{wrong}: choose another, or add one first")
            return {"CANCELLED"}
        place, where = sight.into_picture(context.scene, probe), "in the picture"
        if place is None and (cover := sight.covers(context, [probe]).get(probe)) is not None:
            place, where = cover.free, f"in front of {cover.what}"
        if place is None:
            self.report({"INFO"}, f"Nothing hides {probe.name} from the camera")
            return {"CANCELLED"}
        probes.move(probe, place)
        context.view_layer.update()
        watch.refresh(context)
        watch.redraw(context)
        self.report({"INFO"}, f"{probe.name} now stands {where}")
        return {"FINISHED"}


class LIMELIGHT_OT_release_probe(Operator):
    """Let viewports have this probe and its collection again, so that Blender moves it by its keys or constraints"""

    bl_idname = "limelight.release_probe"
    bl_label = "Let Probe Move"
    bl_options = {"UNDO", "INTERNAL"}

    name: _name("that moves; empty takes the active one")

    def execute(self, context: Context):
        from ..scene import probes

        probe = _named_probe(self, context)
        if probe is None:
            return {"CANCELLED"}
        probes.release(probe)
        watch.refresh(context)
        watch.redraw(context)
        return {"FINISHED"}


CLASSES = (
    LIMELIGHT_OT_select_probe,
    LIMELIGHT_OT_delete_probe,
    LIMELIGHT_OT_reveal_probe,
    LIMELIGHT_OT_release_probe,
)
