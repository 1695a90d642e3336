# SPDX-License-Identifier: GPL-3.0-or-later
"""How clouds of splats that are in the scene are drawn, and which objects they are; light enough for panels."""

from __future__ import annotations

from typing import Any

import bpy

from . import compat, splat_nodes

#: Marks our objects; its value is the file that they came from.
MARK = "limelight_splats"
#: A ray goes through so many transparent surfaces in Cycles.
_LAYERS = 1024


def is_splats(thing: bpy.types.Object | None) -> bool:
    """Whether an object is a cloud that we brought in."""
    return thing is not None and MARK in thing


def let_rays_through(scene: bpy.types.Scene) -> None:
    """Let Cycles follow rays through all Gaussians behind one another; at its default, eight, they end black."""
    cycles = getattr(scene, "cycles", None)
    if cycles is not None:
        cycles.transparent_max_bounces = max(cycles.transparent_max_bounces, _LAYERS)


def inputs(thing: bpy.types.Object) -> dict[str, tuple[Any, str]]:
    """The drawing's settings by name, each as its owner and the property that layouts show; none of native splats."""
    modifier = next((m for m in thing.modifiers if isinstance(m, bpy.types.NodesModifier) and _draws(m)), None)
    return {} if modifier is None else {name: compat.modifier_input(modifier, name) for name in splat_nodes.INPUTS}


def _draws(modifier: bpy.types.NodesModifier) -> bool:
    return modifier.node_group is not None and splat_nodes.MARK in modifier.node_group


def set_input(thing: bpy.types.Object, name: str, value: Any) -> None:
    """Set one of them from a script: “Exposure”, “Size”, “Crop Box”, …."""
    owner, member = inputs(thing)[name]
    if member == "value":
        owner.value = value
    else:
        owner[member[2:-2]] = value
    thing.update_tag()
