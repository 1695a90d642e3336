# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that take a file: by their dialogue when a button calls them, at once when it was dropped or named."""

from bpy.props import BoolProperty
from bpy.types import Context, Event, Operator


class ChooseFile(Operator):
    """Base of operators with a ``filepath``; the dialogue shows folders and pictures."""

    bl_options = {"REGISTER", "UNDO"}

    filter_image: BoolProperty(
        name="Only images", description="Show only image files in the dialogue", default=True, options={"HIDDEN"}
    )
    filter_folder: BoolProperty(
        name="Folders", description="Show folders in the dialogue", default=True, options={"HIDDEN"}
    )

    def invoke(self, context: Context, _event: Event):
        # A dropped file arrives with its path; the button asks for one.
        if self.filepath:  # type: ignore[attr-defined]
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class DropOnViewport:
    """Base of file handlers for 3D viewports.

    Where several take a file, Blender's menu lists the names of their operators, not of the handlers: such a name has
    to tell what becomes of the file.
    """

    @classmethod
    def poll_drop(cls, context: Context) -> bool:
        """Offer it in 3D viewports only."""
        return context.space_data is not None and context.space_data.type == "VIEW_3D"
