# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the artist works: the collection that takes what is made, and what is selected then."""

from __future__ import annotations

import bpy

from . import own


def collection(context: bpy.types.Context) -> bpy.types.Collection:
    """The active collection, or the scene's where that is another file's, which takes no objects."""
    active = context.collection
    return active if active is not None and own.is_local(active) else context.scene.collection


def select_alone(context: bpy.types.Context, thing: bpy.types.Object) -> None:
    """Make an object the only selected one, and the active one, of the context's view layer.

    Nothing changes where it is not in that view layer, or where the artist is at work in a mode: another active object
    would leave the one that is edited in its mode, out of reach.
    """
    layer = context.view_layer
    # A view layer sees what is new, or was just moved to another collection, from now on.
    layer.update()
    active = layer.objects.active
    if (active is not None and active.mode != "OBJECT") or thing not in set(layer.objects):
        return
    # The context's selected objects are those of the window, which may show another scene.
    for other in list(layer.objects.selected):
        other.select_set(False, view_layer=layer)
    thing.select_set(True, view_layer=layer)
    layer.objects.active = thing
