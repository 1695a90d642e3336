# SPDX-License-Identifier: GPL-3.0-or-later
"""The button of a problem that one setting repairs."""

import json

from bpy.props import StringProperty
from bpy.types import Context, Operator

from . import watch


class LIMELIGHT_OT_repair(Operator):
    """Change the one setting that keeps the estimate from starting"""

    bl_idname = "limelight.repair"
    bl_label = "Repair"
    bl_options = {"UNDO", "INTERNAL"}

    path: StringProperty(name="Setting", description="The setting that changes, as a path from Blender's context")
    value: StringProperty(name="Value", description="What the setting becomes, as JSON")
    tip: StringProperty(name="Tip", description="What the button says that it will do")

    @classmethod
    def description(cls, _context: Context, properties):
        return properties.tip or cls.__doc__

    def execute(self, context: Context):
        owner, _, name = self.path.rpartition(".")
        try:
            setattr(context.path_resolve(owner), name, json.loads(self.value))
        except (AttributeError, TypeError, ValueError) as error:
            self.report({"ERROR"}, f"It could not be repaired: {error}")
            return {"CANCELLED"}
        context.view_layer.update()
        watch.refresh(context)
        watch.redraw(context)
        return {"FINISHED"}


CLASSES = (LIMELIGHT_OT_repair,)
