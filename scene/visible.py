# SPDX-License-Identifier: GPL-3.0-or-later
"""What a render shows of a scene: by its view layer, its collections and its objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import bpy
from mathutils import Matrix

from . import compat


def layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The view layer that the artist looks at; of a scene that is not open, the first."""
    return bpy.context.view_layer if scene == bpy.context.scene else scene.view_layers[0]


def seen(layer: bpy.types.ViewLayer) -> set[bpy.types.Object]:
    """The objects of a view layer that are on in renders, as one of the collections is that hold them."""
    branches = [branch for branch in _rendered(compat.branches(layer)) if not branch.exclude]
    return {thing for branch in branches for thing in branch.collection.objects if not thing.hide_render}


def unseen(context: bpy.types.Context) -> set[Any]:
    """The other objects of the context's view layer, and what none but those instance, of what others show, too, their
    copies as (object, frozen matrix). Those in excluded collections are not in it: they show where instanced."""
    shown = seen(context.view_layer)
    hidden = set(context.view_layer.objects) - shown
    instanced, seen_too = _instanced(hidden), _instanced(shown) | shown
    return hidden | (instanced - seen_too) | _copies(context, hidden, instanced & seen_too)


def _copies(
    context: bpy.types.Context, instancers: set[bpy.types.Object], things: set[bpy.types.Object]
) -> set[tuple[bpy.types.Object, Matrix]]:
    """Where ``instancers`` alone show these things."""
    theirs: set[tuple[bpy.types.Object, Matrix]] = set()
    others: set[tuple[bpy.types.Object, Matrix]] = set()
    graph: Any = context.evaluated_depsgraph_get()
    for copy in graph.object_instances if things else ():
        if copy.is_instance and copy.object.original in things:
            place = (copy.object.original, copy.matrix_world.copy().freeze())
            (theirs if copy.parent.original in instancers else others).add(place)
    return theirs - others


def _instanced(things: Iterable[bpy.types.Object]) -> set[bpy.types.Object]:
    """What objects show of the collections that they instance."""
    collections = [thing.instance_collection for thing in things if thing.instance_type == "COLLECTION"]
    parts = {part for collection in filter(None, collections) for part in collection.all_objects}
    return parts | _instanced(parts) if parts else parts


def lamps(layer: bpy.types.ViewLayer) -> Iterator[tuple[bpy.types.Object, Matrix]]:
    """The lamps of a view layer that are on in renders, those in collections that it instances too, as they are in rigs
    of other files; each with where it is in the world."""
    return _lamps(seen(layer), Matrix())


def _lamps(things: Iterable[bpy.types.Object], above: Matrix) -> Iterator[tuple[bpy.types.Object, Matrix]]:
    for thing in things:
        shown = thing.instance_collection if thing.instance_type == "COLLECTION" else None
        if thing.hide_render:
            continue
        if thing.type == "LIGHT":
            yield thing, above @ thing.matrix_world
        elif shown is not None:
            offset = Matrix.Translation(-shown.instance_offset)
            yield from _lamps(shown.all_objects, above @ thing.matrix_world @ offset)


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


def is_placed(layer: bpy.types.ViewLayer, thing: bpy.types.Object) -> bool:
    """Whether Blender places an object: not while it is off in viewports or excluded with all that holds it."""
    return not thing.hide_viewport and any(not _off(way) for way in _ways(compat.branches(layer), thing))


def left_out(layer: bpy.types.ViewLayer, thing: bpy.types.Object) -> list[tuple[Any, str]]:
    """Which switches, of what, keep Blender from placing an object in a view layer that has one of its collections."""
    own = [(thing, "hide_viewport")] if thing.hide_viewport else []
    return own + _off(next(_ways(compat.branches(layer), thing), []))


def include(scene: bpy.types.Scene, thing: bpy.types.Object) -> None:
    """Let the view layer that the artist looks at have an object whose collections are all excluded from it."""
    looked_at = layer(scene)
    ends = [way[-1] for way in _ways(compat.branches(looked_at), thing)]
    if ends and all(end.exclude for end in ends):
        ends[0].exclude = False
        # Blender does not place what is excluded.
        looked_at.update()


def _ways(
    branch: bpy.types.LayerCollection, thing: bpy.types.Object
) -> Iterator[list[bpy.types.LayerCollection]]:
    """The branches that lead to an object, from the outermost, for each collection that holds it."""
    there = branch.collection.objects
    # Another file's object may have the same name.
    if thing.name in there and thing in there.values():
        yield [branch]
    for child in branch.children:
        yield from ([branch, *way] for way in _ways(child, thing))


def _off(way: list[bpy.types.LayerCollection]) -> list[tuple[Any, str]]:
    """Which switches of the branches to an object keep Blender from placing it."""
    off: list[tuple[Any, str]] = [(b.collection, "hide_viewport") for b in way if b.collection.hide_viewport]
    # To exclude one excludes all that is in it, but that may be taken in again by itself.
    return off + [(branch, "exclude") for branch in way[-1:] if branch.exclude]


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
