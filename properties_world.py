# SPDX-License-Identifier: GPL-3.0-or-later
"""What a .blend remembers of Worlds: how they show an environment, and of which probe."""

import bpy
from bpy.props import BoolProperty, FloatProperty, FloatVectorProperty, PointerProperty, StringProperty
from bpy.types import PropertyGroup

#: Stops beyond which lamps would be too bright for Blender to count, and dark for good.
_MOST = 32


def _update_world(settings: "WorldLight", _context: bpy.types.Context) -> None:
    from .scene import world

    world.update(settings.id_data)


class ProbeToken(PropertyGroup):
    """The probe that a token stands for, which is this entry's name"""

    probe: PointerProperty(type=bpy.types.Object, name="Probe", description="The probe that the token stands for")


class WorldLight(PropertyGroup):
    """How a world shows a probe's environment"""

    # Keys would change these alone and not what they stand for: Blender calls no ``update`` when it plays them.

    strength_ev: FloatProperty(
        name="Strength (EV)", description="Brightness of the light in stops: +1 is twice as bright", soft_min=-6,
        soft_max=6, min=-_MOST, max=_MOST, options=set(), update=_update_world,
    )  # fmt: skip
    rotation: FloatProperty(
        name="Rotation",
        description="Turns the light about the vertical, counter-clockwise seen from above",
        subtype="ANGLE",
        options=set(),
        update=_update_world,
    )
    tint: FloatVectorProperty(
        name="Tint", description="Colours the light", subtype="COLOR", size=3, min=0.0, soft_max=1.0,
        default=(1.0, 1.0, 1.0), options=set(), update=_update_world,
    )  # fmt: skip
    separate_background: BoolProperty(
        name="Separate background",
        description="Let the camera see the map with a brightness and rotation of its own",
        options=set(),
        update=_update_world,
    )
    background_strength_ev: FloatProperty(
        name="Background strength", description="Brightness of the visible background in stops", soft_min=-6,
        soft_max=6, min=-_MOST, max=_MOST, options=set(), update=_update_world,
    )  # fmt: skip
    background_rotation: FloatProperty(
        name="Background rotation", description="Turns the visible background only", subtype="ANGLE",
        options=set(), update=_update_world,
    )  # fmt: skip
    probe: StringProperty(name="Probe", description="What the probe was called whose light this world shows")
    token: StringProperty(name="Token", description="Stands for that probe, whatever it is called by now")


CLASSES = (ProbeToken, WorldLight)
