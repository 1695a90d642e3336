# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait becomes a head: find the faces, choose one, make the head, make it anew with another guess."""

import bpy
from bpy.props import IntProperty, StringProperty
from bpy.types import Context, Operator

from . import engine_session, watch
from .another_take import AnotherTake
from .face_run import FaceRun, FindFacesRun
from .run_operator import RunOperator


def show_in_editor(context: bpy.types.Context, image: bpy.types.Image) -> None:
    """Show a portrait in the Image Editor that was clicked in, else in those on screen."""
    here = [area.spaces.active for area in context.screen.areas] if context.screen is not None else []
    spaces = [context.space_data] if isinstance(context.space_data, bpy.types.SpaceImageEditor) else here
    for space in spaces:
        if isinstance(space, bpy.types.SpaceImageEditor):
            space.image = image


class _PortraitOperator(RunOperator):
    """What both operators on the chosen portrait share: which it is, and what keeps them from starting"""

    picture: StringProperty(
        name="Portrait", description="Name of the image to use; empty takes the chosen portrait",
        options={"HIDDEN", "SKIP_SAVE"},
    )  # fmt: skip

    def _problems_of(self, scene: bpy.types.Scene):
        raise NotImplementedError

    def problems(self, context: Context):
        if self.picture and self.picture not in bpy.data.images:
            return [f"There is no image “{self.picture}” in this file"]
        settings = context.scene.limelight.face
        if self.picture and settings.picture != bpy.data.images[self.picture]:
            settings.picture = bpy.data.images[self.picture]
        return engine_session.told(context, self._problems_of(context.scene))


class LIMELIGHT_OT_face_find(_PortraitOperator):
    """Look for faces in the portrait; their landmarks can then be checked and moved in the Image Editor"""

    bl_idname = "limelight.face_find"
    bl_label = "Find Faces"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight looks for faces"

    def _problems_of(self, scene: bpy.types.Scene):
        from ..scene import face_problems

        return face_problems.find_problems(scene)

    def make_run(self, context: Context):
        picture = context.scene.limelight.face.picture
        show_in_editor(context, picture)
        return FindFacesRun(context, picture)


class LIMELIGHT_OT_face_make(_PortraitOperator):
    """Make a head of the chosen face, in front of the camera as the photo shows it; an earlier one is updated"""

    bl_idname = "limelight.face_make"
    bl_label = "Make Head"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight makes a head"

    take: IntProperty(
        name="Seed", description="Seed that the scene keeps from then on; -1 takes its own",
        min=-1, default=-1, options={"HIDDEN", "SKIP_SAVE"},
    )  # fmt: skip

    def _problems_of(self, scene: bpy.types.Scene):
        from ..scene import face_problems

        return face_problems.find_head_problems(scene)

    def problems(self, context: Context):
        from ..scene import face, head_mesh, heads

        found, picture = super().problems(context), context.scene.limelight.face.picture
        there = heads.find(context.scene, picture, face.chosen_index(picture)) if picture is not None else None
        try:
            if there is not None:
                head_mesh.check(there)
        except ValueError as error:
            found = [*found, str(error)]
        return found

    def make_run(self, context: Context):
        settings = context.scene.limelight.face
        return FaceRun(context, settings.picture, settings.seed if self.take < 0 else self.take)


class LIMELIGHT_OT_face_take(AnotherTake):
    """Make the head again with another guess at the skin that the photo hides"""

    bl_idname = "limelight.face_take"

    take: IntProperty(name="Seed", description="Seed of the guess", min=0)

    def start(self):
        return bpy.ops.limelight.face_make  # type: ignore[attr-defined]


class LIMELIGHT_OT_face_choose(Operator):
    """Let this face become the head"""

    bl_idname = "limelight.face_choose"
    bl_label = "Choose Face"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    index: IntProperty(name="Face", description="Number of the face, the largest is 0", min=0)

    def execute(self, context: Context):
        image = context.scene.limelight.face.picture
        if image is None or self.index >= len(image.limelight.faces):
            self.report({"ERROR"}, f"There is no face number {self.index + 1}: press Find Faces first")
            return {"CANCELLED"}
        image.limelight.face = self.index
        watch.redraw(context)
        return {"FINISHED"}


CLASSES = (LIMELIGHT_OT_face_find, LIMELIGHT_OT_face_make, LIMELIGHT_OT_face_take, LIMELIGHT_OT_face_choose)
