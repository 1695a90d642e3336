# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects of a scene are heads that were made of portraits, and of which face."""

from __future__ import annotations

import bpy

from . import own, probes


def is_head(thing: bpy.types.Object | None) -> bool:
    """Whether Limelight made this object from a portrait."""
    return thing is not None and thing.type == "MESH" and thing.limelight.head.is_head


def is_foreign(head: bpy.types.Object) -> bool:
    """Whether a head, its mesh or what it is made of is another file's, so that it can take no new shape or maps."""
    parts = [head, head.data, *(material for material in head.data.materials if material is not None)]
    return not all(map(own.is_local, parts))


def heads(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """All heads of the scene by name; one of another file is none."""
    return sorted((o for o in scene.objects if is_head(o) and not is_foreign(o)), key=lambda o: o.name)


def named(scene: bpy.types.Scene, name: str) -> bpy.types.Object | None:
    """The scene's head of this name; another file's only if this one has none."""
    made = [thing for thing in scene.objects if thing.name == name and is_head(thing)]
    return min(made, key=lambda thing: thing.library is not None, default=None)


def find(scene: bpy.types.Scene, picture: bpy.types.Image | None, face: int) -> bpy.types.Object | None:
    """The head that was made of a face of a picture; of several copies the active one, else the first."""
    made = [o for o in heads(scene) if o.limelight.head.picture == picture and o.limelight.head.face == face]
    active = bpy.context.view_layer.objects.active
    return active if active in made else next(iter(made), None)


def probe_of(scene: bpy.types.Scene, head: bpy.types.Object) -> bpy.types.Object | None:
    """The scene's probe that holds the light of a head's photo; None if there is none, or not any more."""
    kept, there = head.limelight.head.probe, probes.probes(scene)
    return kept if kept in there else next((probe for probe in there if probe.limelight.lit_head == head), None)


def keep_probe(head: bpy.types.Object, probe: bpy.types.Object) -> None:
    """Let a head remember the probe that holds the light of its photo."""
    if own.is_local(head):
        head.limelight.head.probe = probe
    else:
        # What is given to another file's head is forgotten when this file is opened again.
        probe.limelight.lit_head = head


def shown(context: bpy.types.Context) -> bpy.types.Object | None:
    """The head that buttons work on: the active object if it is one, else that of the chosen portrait's chosen face."""
    from . import face

    active, picture = context.view_layer.objects.active, context.scene.limelight.face.picture
    if is_head(active):
        return active
    return None if picture is None else find(context.scene, picture, face.chosen_index(picture))
