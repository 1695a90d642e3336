# SPDX-License-Identifier: GPL-3.0-or-later
"""What one does with a head: stand it in its photo again, light it like the photo, export it."""

from pathlib import Path

import bpy
from bpy.props import StringProperty
from bpy.types import Context, Event, Operator

from . import engine_session, watch
from .face_run import FaceLightRun
from .plate import look_through_camera
from .run_operator import RunOperator

_NO_HEAD = "No head is selected: press Make Head first, or select one"


def _named(name: str, context: bpy.types.Context) -> bpy.types.Object | None:
    """The head that a button names, else the one that buttons work on."""
    from ..scene import heads

    return heads.named(context.scene, name) if name else heads.shown(context)


def _name(what: str):
    return StringProperty(
        name="Head", description=f"Name of the head {what}; empty takes the selected one", options={"SKIP_SAVE"}
    )


class LIMELIGHT_OT_face_place(Operator):
    """Match the camera to the head's photo and stand the head where the photo shows it"""

    bl_idname = "limelight.face_place"
    bl_label = "Put Back in the Photo"
    bl_options = {"REGISTER", "UNDO"}

    name: _name("to place")

    def execute(self, context: Context):
        from ..scene import head_place, keys

        head = _named(self.name, context)
        if head is None:
            self.report({"ERROR"}, _NO_HEAD)
            return {"CANCELLED"}
        try:
            head_place.place(context.scene, head)
        except ValueError as error:
            self.report({"ERROR"}, f"It could not be placed: {error}")
            return {"CANCELLED"}
        look_through_camera(context)
        watch.refresh(context)
        watch.redraw(context)
        if keys.hold(head):
            held = f"keys, drivers or constraints move “{head.name}”: clear them for it to stay there"
            self.report({"WARNING"}, f"The camera shows the photo, but {held}")
        return {"FINISHED"}


class LIMELIGHT_OT_face_light(RunOperator):
    """Estimate the light in front of the face in the photo and light the scene with it, as its World"""

    bl_idname = "limelight.face_light"
    bl_label = "Light It Like the Photo"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight estimates the light on the face"

    name: _name("to light")

    def make_run(self, context: Context):
        head = _named(self.name, context)
        assert head is not None, "problems() sees to it"
        return FaceLightRun(context, head)

    def problems(self, context: Context):
        from ..scene import face_problems

        head = _named(self.name, context)
        if head is None:
            return [_NO_HEAD]
        return engine_session.told(context, face_problems.find_light_problems(context.scene, head))


class LIMELIGHT_OT_face_export(Operator):
    """Write the head, with its eyes, maps and shape keys, as a glTF file by Blender's own exporter"""

    bl_idname = "limelight.face_export"
    bl_label = "Export glTF…"
    bl_options = {"REGISTER"}

    name: _name("to export")
    filepath: StringProperty(
        name="File", description="The glTF file to write: .glb in one file, .gltf with its parts beside it",
        subtype="FILE_PATH", options={"SKIP_SAVE"},
    )  # fmt: skip
    filter_glob: StringProperty(
        name="Kinds", description="Which files the dialogue shows", default="*.glb;*.gltf", options={"HIDDEN"}
    )

    def invoke(self, context: Context, event: Event):
        head = _named(self.name, context)
        if head is None or self.filepath:
            return self.execute(context)
        self.filepath = bpy.path.ensure_ext(bpy.path.clean_name(head.name), ".glb")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Context):
        from ..scene import head_export

        head = _named(self.name, context)
        if head is None:
            self.report({"ERROR"}, _NO_HEAD)
            return {"CANCELLED"}
        path = Path(bpy.path.abspath(self.filepath)) if self.filepath else None
        if path is None or path.suffix.lower() not in {".glb", ".gltf"}:
            self.report({"ERROR"}, "Name a file that ends in .glb or .gltf")
            return {"CANCELLED"}
        try:
            head_export.write(context, head, path)
        except (OSError, RuntimeError) as error:
            self.report({"ERROR"}, f"It was not exported: {error}")
            return {"CANCELLED"}
        self.report({"INFO"}, f"“{head.name}” is in {path}")
        return {"FINISHED"}


CLASSES = (LIMELIGHT_OT_face_place, LIMELIGHT_OT_face_light, LIMELIGHT_OT_face_export)
