# SPDX-License-Identifier: GPL-3.0-or-later
"""How clouds of splats that are in the scene are drawn, and which objects they are; light enough for panels."""

from __future__ import annotations

from typing import Any

import bpy

from . import compat, splat_nodes
from .problems import Problem, setting, working_space

#: Marks our objects; its value is the file that they came from.
MARK = "limelight_splats"
#: Which of TURNS' axes their numbers have.
AXES = "limelight_splat_axes"
#: Marks the mesh that casts a cloud's shadows, its child.
PROXY = "limelight_splat_proxy"
#: A ray goes through so many transparent surfaces in Cycles.
_LAYERS = 1024


def count(thing: bpy.types.Object) -> int:
    """How many Gaussians a cloud has."""
    return len(thing.data.points if isinstance(thing.data, bpy.types.PointCloud) else thing.data.vertices)


def is_splats(thing: bpy.types.Object | None) -> bool:
    """Whether an object is a cloud that we brought in."""
    return thing is not None and MARK in thing


def let_rays_through(scene: bpy.types.Scene) -> None:
    """Let Cycles follow rays through all Gaussians behind one another; at its default, eight, they end black."""
    cycles = getattr(scene, "cycles", None)
    if cycles is not None:
        cycles.transparent_max_bounces = max(cycles.transparent_max_bounces, _LAYERS)


def flaws(scene: bpy.types.Scene) -> list[Problem]:
    """What draws a scene's splats in other colours than theirs, as in a file that works in others, or black, as Cycles
    does in a scene that they were linked, appended or copied into."""
    found, cycles = working_space(), getattr(scene, "cycles", None)
    if cycles is not None and scene.render.engine == "CYCLES" and cycles.transparent_max_bounces < _LAYERS:
        text = f"Splats turn black in Cycles: rays end after {cycles.transparent_max_bounces} of them"
        tip = "Let Cycles follow rays through all Gaussians behind one another"
        found.append(setting(text, "Let rays through", "scene.cycles.transparent_max_bounces", _LAYERS, tip))
    return found if found and any(map(is_splats, scene.objects)) else []


def inputs(thing: bpy.types.Object) -> dict[str, tuple[Any, str]]:
    """The drawing's settings by name, each as its owner and the property that layouts show; none of native splats."""
    draws = modifier(thing)
    if draws is None or draws.node_group is None:
        return {}
    # Nodes of a file that an earlier Limelight saved have fewer. The stubs know of no items of an interface.
    items: Any = draws.node_group.interface.items_tree
    there = {item.name for item in items}
    return {name: compat.modifier_input(draws, name) for name in splat_nodes.INPUTS if name in there}


def linked(thing: bpy.types.Object, points: bool = False) -> str:
    """Why a cloud, or its ``points``, cannot be changed in this file, in an artist's sentence; empty if they can.

    Blender lets scripts change linked data, and forgets it when the file is opened again.
    """
    data = thing.data if points else thing
    if not (thing.library or data.library or (points and data.override_library)):
        return ""
    return f"“{thing.name}” is linked from another file: make it local first, Object > Relations > Make Local > All"


def modifier(thing: bpy.types.Object) -> bpy.types.NodesModifier | None:
    """The modifier that draws a cloud."""
    return next((m for m in thing.modifiers if isinstance(m, bpy.types.NodesModifier) and _draws(m)), None)


def _draws(modifier: bpy.types.NodesModifier) -> bool:
    return modifier.node_group is not None and splat_nodes.MARK in modifier.node_group


def value(thing: bpy.types.Object, name: str) -> Any:
    """What one of them is set to."""
    owner, member = inputs(thing)[name]
    return owner.value if member == "value" else owner.get(member[2:-2])


def settings(thing: bpy.types.Object) -> dict[str, Any]:
    """All of them by name; what nodes of an earlier Limelight lack is as it is by default."""
    there = {name: value(thing, name) for name in inputs(thing)}
    return {name: entry[1] if there.get(name) is None else there[name] for name, entry in splat_nodes.INPUTS.items()}


def relight(thing: bpy.types.Object, share: float) -> None:
    """Let the scene light a cloud, 0..1; rays that the material would let pass then do not meet it at all."""
    set_input(thing, "Relight", share)
    thing.visible_shadow = thing.visible_diffuse = share <= 0


def set_input(thing: bpy.types.Object, name: str, value: Any) -> None:
    """Set one of them from a script: “Exposure”, “Size”, “Crop Box”, …."""
    owner, member = inputs(thing)[name]
    if member == "value":
        owner.value = value
    else:
        owner[member[2:-2]] = value
    thing.update_tag()


def forget_deleted_boxes(scene: bpy.types.Scene) -> None:
    """Stop cropping by boxes that the artist deleted: Blender keeps what a modifier still points to."""
    for thing in scene.objects:
        if not is_splats(thing) or thing.library or "Crop Box" not in inputs(thing):
            continue
        box = value(thing, "Crop Box")
        if box is not None and not box.users_scene:
            set_input(thing, "Crop Box", None)
