# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks mended before the fit: one is dragged over the photo and takes its neighbours along, or all go back."""

import bpy
from bpy.props import FloatProperty, IntProperty
from bpy.types import Context, Event, Operator

from . import watch

_WHEEL_STEP, _SMALLEST, _LARGEST = 1.25, 0.005, 0.5
#: Pixels of the window within which a landmark can be taken hold of.
GRIP = 12


def portrait_here(context: bpy.types.Context) -> bpy.types.Image | None:
    """The scene's portrait if it is open in the Image Editor that is clicked in and faces were found in it."""
    space = context.space_data
    image = context.scene.limelight.face.picture
    shown = isinstance(space, bpy.types.SpaceImageEditor) and image is not None and space.image == image
    return image if shown and len(image.limelight.faces) else None


def place_under(region: bpy.types.Region, x: float, y: float) -> tuple[float, float]:
    """The place on the image, u and v from its top left, below a pixel of the region."""
    u, up = region.view2d.region_to_view(x, y)
    return u, 1 - up


class LIMELIGHT_OT_face_drag(Operator):
    """Drag a landmark to where it belongs; the wheel sets how far its neighbours follow, Esc puts it back"""

    bl_idname = "limelight.face_drag"
    bl_label = "Move Landmark"
    bl_options = {"REGISTER", "UNDO"}

    index: IntProperty(
        name="Landmark", description="Number of the landmark; -1 takes the one under the mouse", min=-1, max=467,
        default=-1, options={"SKIP_SAVE"},
    )  # fmt: skip
    u: FloatProperty(name="U", description="Where it goes across the photo, 0 left to 1 right", default=0.5)
    v: FloatProperty(name="V", description="Where it goes down the photo, 0 top to 1 bottom", default=0.5)
    reach: FloatProperty(
        name="Reach", description="How far its neighbours follow, as a share of the face's width",
        min=_SMALLEST, max=_LARGEST, default=0.05,
    )  # fmt: skip

    @classmethod
    def poll(cls, context: Context):
        image = context.scene.limelight.face.picture
        if image is None or not len(image.limelight.faces):
            cls.poll_message_set("No face was found yet: press Find Faces first")
            return False
        return True

    def execute(self, context: Context):
        from ..scene import face

        image = context.scene.limelight.face.picture
        if self.index < 0:
            self.report({"ERROR"}, "No landmark is named: drag one in the Image Editor")
            return {"CANCELLED"}
        chosen = face.chosen(image)
        moved = face.dragged(face.points(chosen), self.index, (self.u, self.v), face.aspect(image), self.reach)
        face.store(chosen, moved)
        watch.redraw(context)
        return {"FINISHED"}

    def invoke(self, context: Context, event: Event):
        from ..scene import face

        image = portrait_here(context)
        if image is None or context.window is None or context.region is None:
            return self.execute(context)
        self._ratio, self._before = face.aspect(image), face.points(face.chosen(image))
        at = place_under(context.region, event.mouse_region_x, event.mouse_region_y)
        self.index, _away = face.nearest(self._before, at, self._ratio)
        self.u, self.v = self._before[self.index]
        # The point keeps its place below the mouse.
        self._slip = self.u - at[0], self.v - at[1]
        context.workspace.status_text_set("Drag: move it     Wheel: how far others follow     Esc: put it back")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Context, event: Event):
        image = context.scene.limelight.face.picture
        if image is None or not len(image.limelight.faces):
            return self._end(context, {"CANCELLED"})
        if event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            self._show(context, image, self._before)
            return self._end(context, {"CANCELLED"})
        if event.type == "MOUSEMOVE" and context.region is not None:
            at = place_under(context.region, event.mouse_region_x, event.mouse_region_y)
            self.u, self.v = at[0] + self._slip[0], at[1] + self._slip[1]
            self._drag(context, image)
        elif event.type in {"WHEELUPMOUSE", "WHEELDOWNMOUSE"}:
            step = _WHEEL_STEP if event.type == "WHEELUPMOUSE" else 1 / _WHEEL_STEP
            self.reach = min(max(self.reach * step, _SMALLEST), _LARGEST)
            self._drag(context, image)
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE":
            return self._end(context, {"FINISHED"})
        return {"RUNNING_MODAL"}

    def cancel(self, context: Context):
        """Blender calls this when it ends the operator itself."""
        self._end(context, {"CANCELLED"})

    def _drag(self, context: Context, image: bpy.types.Image):
        from ..scene import face

        self._show(context, image, face.dragged(self._before, self.index, (self.u, self.v), self._ratio, self.reach))

    def _show(self, context: Context, image: bpy.types.Image, landmarks):
        from ..scene import face

        face.store(face.chosen(image), landmarks)
        watch.redraw(context)

    def _end(self, context: Context, answer: set):
        # There is no window left when Blender quits.
        if context.window is not None:
            context.workspace.status_text_set(None)
        return answer


class LIMELIGHT_OT_face_reset(Operator):
    """Put all landmarks of the chosen face back to where they were found"""

    bl_idname = "limelight.face_reset"
    bl_label = "Reset Landmarks"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import face

        chosen = face.chosen(context.scene.limelight.face.picture)
        if chosen is None:
            self.report({"ERROR"}, "No face was found yet: press Find Faces first")
            return {"CANCELLED"}
        face.reset(chosen)
        watch.redraw(context)
        return {"FINISHED"}


CLASSES = (LIMELIGHT_OT_face_drag, LIMELIGHT_OT_face_reset)
