# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab in the Image Editor: the open image gets the light of another picture, of a panorama, of lamps or a probe."""

from bpy.types import Context, Panel, UILayout

from ..operators import state
from ..scene import relight_problems, relit
from . import columns, wording
from .estimate import draw_running
from .problems import draw_found


def draw_reference(layout: UILayout, settings):
    """Whose light it shall be."""
    column = layout.column(align=True)
    column.prop(settings, "reference_type", text="")
    if settings.reference_type in {"IMAGE", "HDRI"}:
        column.template_ID(settings, "reference", open="limelight.relight_reference")
    elif settings.reference_type == "PROBE":
        column.prop(settings, "probe", text="")
    if settings.reference_type in {"HDRI", "PROBE"}:
        column.prop(settings, "rotation")
    layout.prop(settings, "strength", slider=True)
    layout.row().prop(settings, "quality", expand=True)


class LIMELIGHT_PT_relight(Panel):
    """Give the open image the light of another picture"""

    bl_idname = "LIMELIGHT_PT_relight"
    bl_label = "Relight"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Limelight"

    def draw(self, context: Context):
        layout, manager = self.layout, context.window_manager.limelight
        if manager.running:
            if manager.kind == "relight":
                draw_running(layout, context, manager)
            else:
                wording.wrapped(layout, context, "The engine is busy with something else.", icon="SORTTIME")
            return
        settings, image = context.scene.limelight.relight, context.space_data.image
        source = relit.source_of(image)
        if source is not None:
            wording.wrapped(layout, context, f"Source: {source.name}", icon="IMAGE_DATA")
        draw_reference(layout, settings)
        blocked = draw_found(layout, context, relight_problems.find_problems(context.scene, source))
        column = layout.column(align=True)
        column.enabled = state.seen(context).checked and not blocked
        row = column.row()
        row.scale_y = 1.6
        row.operator("limelight.relight", icon="LIGHT")
        if relit.results(source):
            row = column.row(align=True)
            row.operator("limelight.relight_take", icon="FILE_REFRESH").take = settings.take + 1
            if settings.take:
                row.operator("limelight.relight_take", text="Best").take = 0
        if manager.message and manager.kind == "relight":
            wording.wrapped(layout, context, manager.message, icon="INFO")


class LIMELIGHT_PT_relight_settings(Panel):
    """Details of relighting; the defaults suit most pictures"""

    bl_idname = "LIMELIGHT_PT_relight_settings"
    bl_label = "Details"
    bl_parent_id = "LIMELIGHT_PT_relight"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        column = columns.of_settings(self.layout)
        for name in ("keep_ratio", "seed", "take", "model"):
            column.prop(context.scene.limelight.relight, name)


class LIMELIGHT_PT_relight_results(Panel):
    """What the open image looks like in other light"""

    bl_idname = "LIMELIGHT_PT_relight_results"
    bl_label = "Results"
    bl_parent_id = "LIMELIGHT_PT_relight"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Limelight"

    def draw(self, context: Context):
        layout, image = self.layout, context.space_data.image
        made = relit.results(relit.source_of(image))
        if not made:
            wording.wrapped(layout, context, "Results of the open image will be listed here; each stays in the file.")
            return
        shown = relit.is_relit(image)
        row = layout.row(align=True)
        row.operator("limelight.relight_compare", text="Before" if shown else "After", icon="ARROW_LEFTRIGHT")
        if shown:
            row.prop(state.get(context), "wipe", toggle=True, icon="UV_ISLANDSEL")
            if state.get(context).wipe and not getattr(context.space_data, "show_gizmo", True):
                wording.wrapped(layout, context, "Switch gizmos on in this editor's header to see it.", icon="INFO")
        column = layout.column(align=True)
        for result in made:
            row = column.row(align=True)
            picked = result == image
            row.operator("limelight.relight_show", text=relit.told(result), depress=picked).name = result.name
            row.operator("limelight.relight_remove", text="", icon="X").name = result.name
        if shown:
            self._draw_shown(layout, context, image)

    @staticmethod
    def _draw_shown(layout: UILayout, context: Context, image):
        memory = image.limelight
        text = f"Seed {memory.seed}, {memory.quality.lower()}"
        if memory.reached >= 0:
            text += f"; {min(memory.reached, 1.0) * 100:.0f} % of the way to that light"
        wording.wrapped(layout, context, text, icon="INFO")
        if memory.ratio is not None:
            wording.wrapped(layout, context, f"Light ratio: “{memory.ratio.name}”", icon="IMAGE_DATA")
        column = layout.column(align=True)
        column.operator("limelight.relight_restore", icon="RECOVER_LAST")
        column.operator("limelight.relight_background", icon="VIEW_CAMERA")


CLASSES = (LIMELIGHT_PT_relight, LIMELIGHT_PT_relight_settings, LIMELIGHT_PT_relight_results)
