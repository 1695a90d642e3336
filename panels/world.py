# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls of a World that Limelight made, in the sidebar and in the World properties."""

from bpy.types import Context, Panel, UILayout

from ..scene import origin
from . import columns, wording


def draw_world(layout: UILayout, world):
    """Strength, rotation, tint and background of ``world``."""
    settings = world.limelight
    probe = origin.probe_of(world)
    layout.label(text=f"World from {settings.probe if probe is None else probe.name}", icon="WORLD")
    # Before its field, its name would be cut off in a narrow sidebar.
    layout.prop(settings, "strength_ev")
    column = columns.of_settings(layout)
    column.prop(settings, "rotation")
    column.prop(settings, "tint")
    column.prop(settings, "separate_background", text="Background")
    if settings.separate_background:
        layout.prop(settings, "background_strength_ev", text="Strength (EV)")
        column = columns.of_settings(layout)
        column.prop(settings, "background_rotation", text="Rotation")


class LIMELIGHT_PT_world(Panel):
    """Strength, rotation and tint of the estimated light"""

    bl_idname = "LIMELIGHT_PT_world"
    bl_label = "Limelight"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "world"

    @classmethod
    def poll(cls, context: Context):
        """Only scenes with a World have something to show here."""
        return context.scene.world is not None

    def draw(self, context: Context):
        world = context.scene.world
        assert world is not None, "poll() sees to it"
        if world.limelight.probe:
            draw_world(self.layout, world)
        else:
            wording.wrapped(self.layout, context, "This World was not made by Limelight. Estimate the light of a probe "
                            "in the 3D viewport's Limelight tab, then press Apply as World.")


CLASSES = (LIMELIGHT_PT_world,)
