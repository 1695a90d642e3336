# SPDX-License-Identifier: GPL-3.0-or-later
"""From an estimated environment to light in the scene: world, lamps, one dome a probe, the compositing set-up."""

import bpy
from bpy.types import Context, Operator

from . import state, watch


def _lit_probe(context: bpy.types.Context) -> bpy.types.Object | None:
    """The active probe if it holds an estimated environment; for a script that came before the list any that does."""
    from ..scene import probes

    active = watch.active_probe(context)
    if active is not None and active.limelight.environment is not None:
        return active
    if active is not None and state.seen(context).checked:
        return None
    return next((p for p in probes.probes(context.scene) if p.limelight.environment is not None), None)


def _finish(operator: Operator, context: bpy.types.Context, text: str, renderer: str | None = None) -> set[str]:
    """Tell ``text``, and that the renderer is another one than ``renderer`` now, if it is."""
    if renderer is not None and context.scene.render.engine != renderer:
        text += "; rendered by Cycles from now on, because EEVEE cannot do that"
    operator.report({"INFO"}, text)
    watch.refresh(context)
    watch.redraw(context)
    return {"FINISHED"}


def _no_light(operator: Operator, context: bpy.types.Context) -> set[str]:
    active = watch.active_probe(context)
    name = f"{active.name} has" if active is not None else "The probes have"
    operator.report({"ERROR"}, f"{name} no estimated light yet: press Estimate first")
    return {"CANCELLED"}


class LIMELIGHT_OT_apply_world(Operator):
    """Light the scene with the active probe's environment: it becomes the World, already turned the right way"""

    bl_idname = "limelight.apply_world"
    bl_label = "Apply as World"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import world

        probe = _lit_probe(context)
        if probe is None:
            return _no_light(self, context)
        made = world.apply_world(context.scene, probe)
        return _finish(self, context, f"“{made.name}” now lights the scene with what {probe.name} sees")


class LIMELIGHT_OT_apply_lamps(Operator):
    """Turn the strongest lights of the active probe into lamps and take them out of the World: nothing counts twice"""

    bl_idname = "limelight.apply_lamps"
    bl_label = "Apply with Lamps"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import lamps

        probe = _lit_probe(context)
        if probe is None:
            return _no_light(self, context)
        made = lamps.apply_lamps(context.scene, probe)
        if not made:
            return _finish(self, context, f"{probe.name} sees no concentrated light: its World alone lights the scene")
        lamps_made = "a lamp" if len(made) == 1 else f"{len(made)} lamps"
        return _finish(self, context, f"Made {lamps_made} from {probe.name}; the rest of its light is in the World")


class LIMELIGHT_OT_apply_domes(Operator):
    """Give every lit probe its own dome of light that reaches the objects nearest to it, all in one render"""

    bl_idname = "limelight.apply_domes"
    bl_label = "Apply Local Domes"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import domes, probes

        lit = [p for p in probes.probes(context.scene) if p.limelight.use and p.limelight.environment is not None]
        if not lit:
            return _no_light(self, context)
        before = context.scene.render.engine
        try:
            domes.apply_domes(context.scene, lit)
        except RuntimeError as error:
            # Light linking came with Blender 4.0.
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        told = f"{len(lit)} local domes light the objects nearest to them"
        return _finish(self, context, "A local dome lights the objects" if len(lit) == 1 else told, before)


class LIMELIGHT_OT_setup_composite(Operator):
    """Put the rendered objects and their shadows over the photo: adds a shadow catcher and sets up the compositor"""

    bl_idname = "limelight.setup_composite"
    bl_label = "Composite over Photo"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import catcher, composite

        if context.scene.limelight.plate is None:
            self.report({"ERROR"}, "There is no photo to composite over: set one under What the Engine Sees")
            return {"CANCELLED"}
        probe, before = watch.active_probe(context), context.scene.render.engine
        if probe is not None:
            catcher.add_shadow_catcher(context.scene, probe)
        cropped = context.scene.render.use_border and context.scene.render.use_crop_to_border
        composite.setup_composite(context.scene)
        told = "Renders now appear over the photo, with their shadows"
        if cropped:
            told += "; Crop to Render Region is off, because it would squeeze the photo"
        return _finish(self, context, told, before)


CLASSES = (
    LIMELIGHT_OT_apply_world,
    LIMELIGHT_OT_apply_lamps,
    LIMELIGHT_OT_apply_domes,
    LIMELIGHT_OT_setup_composite,
)
