# SPDX-License-Identifier: GPL-3.0-or-later
"""What Limelight added to a scene, and the scene as the artist made it, without that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import bpy

#: Custom properties that mark what Limelight made.
LAMP, DOME, CATCHER, DARK = "limelight_probe", "limelight_dome", "limelight_catcher", "limelight_dark"
NODE = "limelight_node"
#: Marks a World that was kept as an asset; dropped from the Asset Browser it is no asset any more.
ASSET = "limelight_asset"


def is_local(block: bpy.types.ID) -> bool:
    """Whether a datablock is this file's: neither linked nor an override, of which a file keeps hardly any change."""
    return not (block.library or block.override_library)


def is_own(thing: bpy.types.Object) -> bool:
    """Whether Limelight made this lamp, dome or shadow catcher."""
    return any(mark in thing for mark in (LAMP, DOME, CATCHER))


def is_own_world(world: bpy.types.World | None) -> bool:
    """Whether Limelight made this world; one that the artist took from the assets or another file is the artist's."""
    if world is None or not is_local(world) or world.asset_data or ASSET in world:
        return False
    return bool(world.limelight.probe or DARK in world)


def assign_world(scene: bpy.types.Scene, world: bpy.types.World) -> None:
    """Let one of Limelight's worlds light the scene; the artist's own is remembered, so that it can be seen again."""
    if not is_own_world(scene.world):
        scene.limelight.own_world = scene.world
    scene.world = world


def lights(scene: bpy.types.Scene) -> bool:
    """Whether Limelight lights this scene at all."""
    return is_own_world(scene.world) or any(LAMP in thing or DOME in thing for thing in scene.objects)


@contextmanager
def without_own(scene: bpy.types.Scene) -> Iterator[None]:
    """Render inside this what the artist made: no lamp, dome or catcher of Limelight's, and the artist's own world."""
    with ExitStack() as restore:
        for thing in scene.objects:
            if is_own(thing) and not thing.hide_render:
                restore.callback(setattr, thing, "hide_render", False)
                thing.hide_render = True
        if is_own_world(scene.world):
            restore.callback(setattr, scene, "world", scene.world)
            scene.world = scene.limelight.own_world
        yield
