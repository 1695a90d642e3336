# SPDX-License-Identifier: GPL-3.0-or-later
"""What one does with relit images: look at one, compare it, set the panel as it was made, use it, throw it away."""

import bpy
from bpy.props import StringProperty
from bpy.types import Context, Operator

from . import watch
from .relight import open_image


def _named(operator, context: bpy.types.Context) -> bpy.types.Image | None:
    """The result that the button names, else the open one; None, and a report, if there is none."""
    from ..scene import relit

    image = bpy.data.images.get(operator.name) if operator.name else open_image(context)
    if image is not None and relit.is_relit(image):
        return image
    operator.report({"ERROR"}, "No relit image is open: press Relight first, or choose one of the results")
    return None


def _name(what: str):
    return StringProperty(
        name="Image", description=f"Name of the result {what}; empty takes the open one", options={"SKIP_SAVE"}
    )


class LIMELIGHT_OT_relight_show(Operator):
    """Show this result in the Image Editor"""

    bl_idname = "limelight.relight_show"
    bl_label = "Show"
    bl_options = {"INTERNAL"}

    name: _name("to show")

    def execute(self, context: Context):
        image = _named(self, context)
        if image is None:
            return {"CANCELLED"}
        _show(context, image)
        return {"FINISHED"}


def _show(context: bpy.types.Context, image: bpy.types.Image) -> None:
    from ..scene import relit

    if isinstance(context.space_data, bpy.types.SpaceImageEditor):
        context.space_data.image = image
    else:
        relit.show(image)
    watch.redraw(context)


class LIMELIGHT_OT_relight_compare(Operator):
    """Switch between the original and the newest result in the Image Editor"""

    bl_idname = "limelight.relight_compare"
    bl_label = "Before/After"
    bl_options = {"INTERNAL"}

    @classmethod
    def description(cls, context: Context, _properties):
        from ..scene import relit

        shown = relit.is_relit(open_image(context))
        return "Show the original again" if shown else "Show the picture as it was relit last"

    def execute(self, context: Context):
        from ..scene import relit

        image = open_image(context)
        other = relit.source_of(image) if relit.is_relit(image) else next(iter(relit.results(image)), None)
        if other is None or other == image:
            self.report({"ERROR"}, "The open image has no relit result yet: press Relight first")
            return {"CANCELLED"}
        _show(context, other)
        return {"FINISHED"}


class LIMELIGHT_OT_relight_restore(Operator):
    """Set reference, strength, quality, seed and take as they were when this result was made"""

    bl_idname = "limelight.relight_restore"
    bl_label = "Use These Settings"
    bl_options = {"REGISTER", "UNDO"}

    name: _name("whose settings come back")

    def execute(self, context: Context):
        from ..scene import relit

        image = _named(self, context)
        if image is None:
            return {"CANCELLED"}
        relit.restore_settings(context.scene, image)
        watch.redraw(context)
        return {"FINISHED"}


class LIMELIGHT_OT_relight_remove(Operator):
    """Remove this result from the file; the original and the other results stay"""

    bl_idname = "limelight.relight_remove"
    bl_label = "Remove Result"
    bl_options = {"REGISTER", "UNDO"}

    name: _name("to remove")

    def execute(self, context: Context):
        from ..scene import relit

        image = _named(self, context)
        if image is None:
            return {"CANCELLED"}
        try:
            relit.remove(image)
        except ValueError as error:
            self.report({"ERROR"}, f"It was not removed: {error}")
            return {"CANCELLED"}
        watch.refresh(context)
        watch.redraw(context)
        return {"FINISHED"}


class LIMELIGHT_OT_relight_background(Operator):
    """Put the open result behind the scene's camera as its photo: the next estimate then sees this light"""

    bl_idname = "limelight.relight_background"
    bl_label = "Use as Background"
    bl_options = {"REGISTER", "UNDO"}

    name: _name("to use")

    def execute(self, context: Context):
        from ..scene import relit

        image = _named(self, context)
        if image is None:
            return {"CANCELLED"}
        try:
            camera = relit.use_as_background(context.scene, image)
        except (RuntimeError, ValueError) as error:
            self.report({"ERROR"}, f"It could not become the photo: {error}")
            return {"CANCELLED"}
        watch.refresh(context)
        watch.redraw(context)
        told = f"“{image.name}” is the photo behind {camera.name} now; estimate again to match its light"
        self.report({"INFO"}, told)
        return {"FINISHED"}


CLASSES = (
    LIMELIGHT_OT_relight_show,
    LIMELIGHT_OT_relight_compare,
    LIMELIGHT_OT_relight_restore,
    LIMELIGHT_OT_relight_remove,
    LIMELIGHT_OT_relight_background,
)
