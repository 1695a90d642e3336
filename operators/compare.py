# SPDX-License-Identifier: GPL-3.0-or-later
"""The true panorama of a scene for comparison, and the environment as an asset."""

from bpy.props import EnumProperty
from bpy.types import Context, Operator

from . import watch


class LIMELIGHT_OT_bake_truth(Operator):
    """Render the true panorama at the active probe with Cycles, to compare with the estimate or to use instead of it"""

    bl_idname = "limelight.bake_truth"
    bl_label = "Bake from Scene"
    bl_options = {"REGISTER", "UNDO"}

    size: EnumProperty(
        name="Size",
        description="Width of the panorama in pixels; larger takes longer",
        items=(
            ("256", "256", "256 × 128 pixels: a quick look"),
            ("512", "512", "512 × 256 pixels: as large as a usual estimate"),
            ("1024", "1024", "1024 × 512 pixels: sharp reflections"),
        ),
        default="512",
    )

    def execute(self, context: Context):
        from ..scene import bake

        probe = watch.active_probe(context)
        if probe is None:
            self.report({"ERROR"}, "There is no probe to bake at: add one first")
            return {"CANCELLED"}
        try:
            bake.bake_truth(context, probe, int(self.size))
        except (OSError, RuntimeError, ValueError) as error:
            self.report({"ERROR"}, f"The panorama could not be rendered: {error}")
            return {"CANCELLED"}
        watch.refresh(context)
        watch.redraw(context)
        self.report({"INFO"}, f"{probe.name} now holds the true panorama of the scene")
        return {"FINISHED"}


class LIMELIGHT_OT_use_truth(Operator):
    """Let the baked panorama take the place of the active probe's estimate: the buttons under Light then use it"""

    bl_idname = "limelight.use_truth"
    bl_label = "Use Truth as Light"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        probe = watch.active_probe(context)
        if probe is None or probe.limelight.truth is None:
            self.report({"ERROR"}, "The active probe has no true panorama yet: press Bake from Scene first")
            return {"CANCELLED"}
        light = probe.limelight
        # Lamps and fill are parts of the estimate; with another map they would count twice.
        light.environment, light.fill, light.lamps, light.over_frames = light.truth, None, "[]", ""
        light.spread, light.status = (-1.0, -1.0), "Baked from the scene"
        watch.refresh(context)
        watch.redraw(context)
        self.report({"INFO"}, f"{probe.name} now lights with the true panorama")
        return {"FINISHED"}


class LIMELIGHT_OT_mark_asset(Operator):
    """Mark the active probe's environment as an asset, with a well-exposed thumbnail, to use it in other files"""

    bl_idname = "limelight.mark_asset"
    bl_label = "Mark as Asset"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import asset

        probe = watch.active_probe(context)
        if probe is None or probe.limelight.environment is None:
            self.report({"ERROR"}, "The active probe has no estimated light yet: press Estimate first")
            return {"CANCELLED"}
        try:
            asset.mark_asset(context.scene, probe)
        except (OSError, RuntimeError) as error:
            told = "put its maps back in Folder, or estimate again"
            self.report({"ERROR"}, f"The light of {probe.name} could not be read: {told} ({error})")
            return {"CANCELLED"}
        watch.redraw(context)
        self.report({"INFO"}, f"The light of {probe.name} is an asset of this file now")
        return {"FINISHED"}


CLASSES = (LIMELIGHT_OT_bake_truth, LIMELIGHT_OT_use_truth, LIMELIGHT_OT_mark_asset)
