# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel of Gaussian splats: bring them in, and how those that are selected are drawn."""

from bpy.types import Context, Object, Panel, UILayout

from . import columns, wording
from .estimate import draw_running
from .problems import draw_problem

_DRAWING = ("Most in Viewport", "View-Dependent", "Exposure", "Size", "Least Opacity", "Crop Box")
#: What panels inside this one show the progress of.
_IN_PARTS = ("capture", "splat_train", "splat_texture")
_LIGHT = ("Relight", "Blend by Progress", "Albedo Gain", "Roughness Bias", "Smooth Normals", "Learnt Material")


class LIMELIGHT_PT_splats(Panel):
    """Gaussian splats in the scene"""

    bl_idname = "LIMELIGHT_PT_splats"
    bl_label = "Splats"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        # Not with the add-on: the nodes' description would slow its start.
        from ..scene import splat_drawing

        layout, manager = self.layout, context.window_manager.limelight
        if manager.running:
            if manager.kind in ("splats", "splat_mesh"):
                draw_running(layout, context, manager)
            elif manager.kind not in _IN_PARTS:
                wording.wrapped(layout, context, "The engine is busy with something else.", icon="SORTTIME")
            return
        layout.operator("limelight.import_splats", icon="IMPORT")
        for found in splat_drawing.flaws(context.scene):
            draw_problem(layout, context, found.text, found.operator_idname, found.operator_label, found.properties)
        thing = context.view_layer.objects.active
        if thing is None or not splat_drawing.is_splats(thing):
            wording.wrapped(layout, context, "PLY, compressed PLY, .splat, .spz, .ksplat or glTF.")
            return
        if not splat_drawing.inputs(thing):
            wording.wrapped(layout, context, "Blender draws these splats itself.", icon="INFO")
            return
        _draw_inputs(layout, context, thing, _DRAWING)
        layout.operator("limelight.crop_splats", icon="CUBE")


def _draw_inputs(layout: UILayout, context: Context, thing: Object, names: tuple[str, ...]) -> None:
    from ..scene import splat_drawing

    column = columns.of_settings(layout)
    for name, (owner, member) in splat_drawing.inputs(thing).items():
        if name not in names:
            continue
        if name == "Crop Box":
            column.prop_search(owner, member, context.scene, "objects", text=name)
        else:
            column.prop(owner, member, text=name)


def _shown(context: Context) -> Object | None:
    """The active splats, if it is Limelight that draws them, with the nodes that it has now."""
    from ..scene import splat_drawing

    thing = context.view_layer.objects.active
    ours = thing is not None and splat_drawing.is_splats(thing) and "Relight" in splat_drawing.inputs(thing)
    return thing if ours else None


class _PartPanel(Panel):
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Limelight"
    bl_parent_id = "LIMELIGHT_PT_splats"

    @classmethod
    def poll(cls, context: Context):
        return _shown(context) is not None and not context.window_manager.limelight.running


class LIMELIGHT_PT_splat_light(_PartPanel):
    """How the scene's light falls on splats"""

    bl_idname = "LIMELIGHT_PT_splat_light"
    bl_label = "Light on Splats"

    def draw(self, context: Context):
        from ..scene import splat_drawing, splat_proxy

        layout, thing = self.layout, _shown(context)
        if thing is None:
            wording.wrapped(layout, context, "No splats are active.")
            return
        lit = (splat_drawing.value(thing, "Relight") or 0.0) > 0
        layout.operator("limelight.relight_splats", text="As Photographed" if lit else "Relight", icon="LIGHT_SUN")
        if not lit:
            return
        if "albedo" not in thing.data.attributes:
            wording.wrapped(layout, context, "These splats have no material: their colour is lit.", icon="INFO")
        _draw_inputs(layout, context, thing, _LIGHT)
        proxy = splat_proxy.of(thing)
        text = "Make Shadow Mesh" if proxy is None else "Make Shadow Mesh Again"
        layout.operator("limelight.splat_proxy", text=text, icon="MESH_DATA")


class LIMELIGHT_PT_splat_edit(_PartPanel):
    """Editing splats for good"""

    bl_idname = "LIMELIGHT_PT_splat_edit"
    bl_label = "Edit Splats"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context):
        for verb in ("Select", "Delete"):
            column = self.layout.column(align=True)
            column.label(text=verb)
            row = column.row(align=True)
            for what, text in (("FAINT", "Faint"), ("LARGE", "Large"), ("STRAY", "Far"), ("OUTSIDE", "Outside")):
                row.operator(f"limelight.{verb.lower()}_splats", text=text).what = what
        self.layout.operator("limelight.apply_splat_transform", icon="OBJECT_ORIGIN")
        self.layout.operator("limelight.merge_splats", icon="AUTOMERGE_ON")
        self.layout.operator("limelight.export_splats", icon="EXPORT")


CLASSES = (LIMELIGHT_PT_splats, LIMELIGHT_PT_splat_light, LIMELIGHT_PT_splat_edit)
