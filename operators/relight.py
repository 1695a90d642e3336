# SPDX-License-Identifier: GPL-3.0-or-later
"""Relight as operators: as the panel says, and another take of it."""

import bpy
from bpy.props import IntProperty, StringProperty
from bpy.types import Context

from . import engine_session
from .another_take import AnotherTake
from .relight_run import RelightRun
from .run_operator import RunOperator


def open_image(context: bpy.types.Context) -> bpy.types.Image | None:
    """The image open in the Image Editor that was clicked in, else in the first one that shows any."""
    from ..scene import editors

    space = context.space_data
    if isinstance(space, bpy.types.SpaceImageEditor):
        return space.image
    # What is on screen comes before what other workspaces show.
    here = [area.spaces.active for area in context.screen.areas] if context.screen is not None else []
    spaces = [*(space for space in here if isinstance(space, bpy.types.SpaceImageEditor)), *editors.of_images()]
    return next((space.image for space in spaces if space.image is not None), None)


class LIMELIGHT_OT_relight(RunOperator):
    """Give the open image the light of the reference, as a new image; the original stays. Esc cancels"""

    bl_idname = "limelight.relight"
    bl_label = "Relight"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight relights the picture"

    source: StringProperty(
        name="Source", description="Name of the image to relight; empty takes the one open in the Image Editor",
        options={"HIDDEN", "SKIP_SAVE"},
    )  # fmt: skip
    take: IntProperty(
        name="Take", description="Number of the take that the scene shows from then on; -1 keeps its own",
        min=-1, default=-1, options={"HIDDEN", "SKIP_SAVE"},
    )  # fmt: skip

    def _picture(self, context: Context):
        from ..scene import relit

        return relit.source_of(bpy.data.images.get(self.source) if self.source else open_image(context))

    def make_run(self, context: Context):
        take = context.scene.limelight.relight.take if self.take < 0 else self.take
        return RelightRun(context, self._picture(context), take)

    def problems(self, context: Context):
        from ..scene import relight_problems

        if self.source and self.source not in bpy.data.images:
            return [f"There is no image “{self.source}” in this file"]
        return engine_session.told(context, relight_problems.find_problems(context.scene, self._picture(context)))


class LIMELIGHT_OT_relight_take(AnotherTake):
    """Relight the picture again with another guess; what is there stays"""

    bl_idname = "limelight.relight_take"

    take: IntProperty(name="Take", description="Number of the take; 0 is the best of several", min=0)

    @classmethod
    def description(cls, _context: Context, properties):
        if properties.take:
            return f"Relight the picture again with candidate number {properties.take}, as a further image"
        return "Relight the picture again with the candidate that comes nearest to the reference's light"

    def start(self):
        return bpy.ops.limelight.relight  # type: ignore[attr-defined]


CLASSES = (LIMELIGHT_OT_relight, LIMELIGHT_OT_relight_take)
