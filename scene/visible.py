# SPDX-License-Identifier: GPL-3.0-or-later
"""What a render shows of a scene: by its view layer, its collections and its objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import bpy

from . import compat


def layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The view layer that the artist looks at; of a scene that is not open, the first."""
    return bpy.context.view_layer if scene == bpy.context.scene else scene.view_layers[0]


def seen(layer: bpy.types.ViewLayer) -> set[bpy.types.Object]:
    """The objects of a view layer that are on in renders, as one of the collections is that hold them."""
    branches = [branch for branch in _rendered(compat.branches(layer)) if not branch.exclude]
    return {thing for branch in branches for thing in branch.collection.objects if not thing.hide_render}


def unseen(layer: bpy.types.ViewLayer) -> set[bpy.types.Object]:
    """The other objects of a view layer; those in excluded collections are not in it: they show where instanced."""
    return set(layer.objects) - seen(layer)


def match(layer: bpy.types.ViewLayer, source: bpy.types.ViewLayer) -> None:
    """Exclude, hold out and show only indirectly what another view layer of the same collections does."""
    _match(compat.branches(layer), compat.branches(source))


def _match(branch: bpy.types.LayerCollection, source: bpy.types.LayerCollection) -> None:
    others = {child.collection: child for child in source.children}
    for child in branch.children:
        other = others[child.collection]
        # To exclude one excludes all that is in it, so those follow.
        child.exclude, child.holdout, child.indirect_only = other.exclude, other.holdout, other.indirect_only
        _match(child, other)


def left_out(layer: bpy.types.ViewLayer, thing: bpy.types.Object) -> list[tuple[Any, str]]:
    """Which switches, of what, keep Blender from placing an object in a view layer; empty if none does."""
    way = _way(compat.branches(layer), thing)
    switches = [(thing, "hide_viewport"), *((branch.collection, "hide_viewport") for branch in way)]
    # To exclude one excludes all that is in it; those may be in the view layer without it.
    return [pair for pair in (*switches, *((branch, "exclude") for branch in way[-1:])) if getattr(*pair)]


def include(scene: bpy.types.Scene, thing: bpy.types.Object) -> None:
    """Let the view layer that the artist looks at have an object whose collections are all excluded from it."""
    there = layer(scene)
    if thing not in set(there.objects) and (way := _way(compat.branches(there), thing)):
        way[-1].exclude = False
        # Blender does not place what is excluded.
        there.update()


def _way(branch: bpy.types.LayerCollection, thing: bpy.types.Object) -> list[bpy.types.LayerCollection]:
    """The branches that lead to an object, from the outermost; empty if none does."""
    if branch.collection in thing.users_collection:
        return [branch]
    return next(([branch, *way] for child in branch.children if (way := _way(child, thing))), [])


@contextmanager
def as_rendered(layer: bpy.types.ViewLayer) -> Iterator[None]:
    """Let the viewport's geometry hold inside this what a render shows but the viewport does not."""
    hidden: list[tuple[Any, str]] = []
    for branch in _rendered(compat.branches(layer)):
        hidden += [(branch, "hide_viewport"), (branch.collection, "hide_viewport")]
    things = seen(layer)
    hidden += [(thing, "hide_viewport") for thing in things]
    with ExitStack() as restore:
        for owner, name in hidden:
            if getattr(owner, name):
                restore.callback(setattr, owner, name, True)
                setattr(owner, name, False)
        for thing in things:
            if thing.hide_get(view_layer=layer):
                restore.callback(thing.hide_set, True, view_layer=layer)
                thing.hide_set(False, view_layer=layer)
        yield


def _rendered(branch: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    """The collections of a view layer that are on in renders, also excluded ones: what they hold may not be."""
    if branch.collection.hide_render:
        return
    yield branch
    for child in branch.children:
        yield from _rendered(child)
