# SPDX-License-Identifier: GPL-3.0-or-later
"""Rays into the scene that meet what the artist made, never what Limelight added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
from mathutils import Vector

from . import own

# A ray that met what does not count goes on from a little behind it; this many of them may lie in a row.
_STEP = 1e-4
_MOST = 64


@dataclass(frozen=True)
class Hit:
    """Where a ray meets a surface: point and normal in world space, and whose surface it is."""

    point: Vector
    normal: Vector
    thing: bpy.types.Object


def first_hit(
    scene: bpy.types.Scene,
    depsgraph: bpy.types.Depsgraph,
    origin: Vector,
    direction: Vector,
    *,
    catcher: bool = False,
    unseen: set[Any] | None = None,
) -> Hit | None:
    """The first of the artist's surfaces on a ray.

    With ``catcher``, Limelight's shadow catcher counts as ground; with ``unseen``, which :func:`visible.unseen` tells,
    only what a render shows counts.
    """
    for _ in range(_MOST):
        hit, point, normal, _face, thing, matrix = scene.ray_cast(depsgraph, origin, direction)
        if not hit:
            return None
        ours = own.is_own(thing) and not (catcher and own.CATCHER in thing)
        hidden = unseen is not None and (
            thing in unseen or (thing, matrix.freeze()) in unseen or thing.hide_render or not thing.visible_camera
        )
        if not ours and not hidden:
            return Hit(point, normal, thing)
        origin = point + direction * (_STEP * max(1.0, (point - origin).length))
    return None
