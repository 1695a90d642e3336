# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames get light, where it is kept, and how far an estimate that was broken off came."""

from bpy.types import Context, Panel

from ..operators import state
from ..scene import shot_range
from . import columns, wording


class LIMELIGHT_PT_frames(Panel):
    """Estimate light that changes from frame to frame: of a movie, a moving camera or a moving probe"""

    bl_idname = "LIMELIGHT_PT_frames"
    bl_label = "Over Frames"
    bl_parent_id = "LIMELIGHT_PT_estimate"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header(self, context: Context):
        """The switch."""
        self.layout.prop(context.scene.limelight.frames, "use", text="")

    def draw(self, context: Context):
        layout, scene, interface = self.layout, context.scene, state.seen(context)
        settings = scene.limelight.frames
        column = columns.of_settings(layout)
        column.active = settings.use
        column.prop(settings, "own_range")
        rows = column.column(align=True)
        owner, first, last = (settings, "first", "last") if settings.own_range else (scene, "frame_start", "frame_end")
        rows.prop(owner, first, text="First")
        rows.prop(owner, last, text="Last")
        rows.prop(settings, "step")
        column.prop(settings, "folder")
        if settings.use and interface.frames_asked:
            done, asked = interface.frames_done, interface.frames_asked
            if done < asked:
                painted = f", {interface.frames_painted} more are painted" if interface.frames_painted else ""
                text = f"{done} of {asked} frames are done{painted}; Estimate goes on there if nothing else changed."
                wording.wrapped(layout, context, text, icon="TIME")
            row = layout.row()
            row.enabled = interface.checked and not interface.problems
            row.operator("limelight.estimate", text="Start Anew", icon="FILE_REFRESH").anew = True


def button_text(context: Context) -> str:
    """What the button that starts an estimate says."""
    if not context.scene.limelight.frames.use:
        return "Estimate Light"
    count = len(shot_range.wanted_frames(context.scene))
    return f"Estimate {count} Frame{'s' * (count != 1)}"


CLASSES = (LIMELIGHT_PT_frames,)
