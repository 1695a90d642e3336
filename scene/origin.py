# SPDX-License-Identifier: GPL-3.0-or-later
"""Which probe a World, a lamp or a dome was made from: certain over new names, duplicates, copies and other files.

A pointer to the probe would drag it, and all that it hangs on, into every file that its World is appended to. So what
is made carries a token, and its scene knows the probe that the token stands for.
"""

from __future__ import annotations

import uuid

import bpy

from . import own


def token(scene: bpy.types.Scene, probe: bpy.types.Object) -> str:
    """What stands for a probe in what is made from it in a scene: always the same, and none of its duplicates'."""
    known = scene.limelight.tokens
    for index in reversed(range(len(known))):
        # A probe that was deleted would stay in the file for this alone.
        if known[index].probe is None or not known[index].probe.users_scene:
            known.remove(index)
    entry = next((entry for entry in known if entry.probe == probe), None)
    if entry is None:
        entry = known.add()
        entry.name, entry.probe = uuid.uuid4().hex, probe
    return entry.name


def held(scene: bpy.types.Scene, token: str) -> bpy.types.Object | None:
    """The probe of a scene that a token stands for; None if it is not there or not known."""
    entry = scene.limelight.tokens.get(token)
    return None if entry is None or entry.probe is None or scene not in entry.probe.users_scene else entry.probe


def probe_of(made: bpy.types.World | bpy.types.Object) -> bpy.types.Object | None:
    """The probe that a World, lamp or dome was made from; None if it is gone, or in another file."""
    if isinstance(made, bpy.types.World):
        name = made.limelight.token
        users = [scene for scene in bpy.data.scenes if made in (scene.world, scene.limelight.world)]
    else:
        name, users = made.get(own.DOME) or made.get(own.LAMP, ""), list(made.users_scene)
    # A full copy of a scene has copies of the probes under the tokens of the first ones.
    for scene in (*users, *bpy.data.scenes):
        entry = scene.limelight.tokens.get(name)
        if entry is not None:
            return entry.probe
    return None
