# SPDX-License-Identifier: GPL-3.0-or-later
"""Rays into the scene that meet what the artist made, never what Limelight added."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
from mathutils import Vector

from . import own

# A ray that met one of Limelight's objects goes on from a little behind it; this many of them may lie in a row.
_STEP = 1e-4
_MOST = 64


@dataclass(frozen=True)
class Hit:
    """Where a ray meets a surface: point and normal in world space, and whose surface it is."""

    point: Vector
    normal: Vector
    thing: bpy.types.Object


def first_hit(
    scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, origin: Vector, direction: Vector, *, catcher: bool = False
) -> Hit | None:
    """The first of the artist's surfaces on a ray; ``catcher`` lets the shadow catcher count as ground."""
    for _ in range(_MOST):
        hit, point, normal, _face, thing, _matrix = scene.ray_cast(depsgraph, origin, direction)
        if not hit:
            return None
        if not own.is_own(thing) or (catcher and own.CATCHER in thing):
            return Hit(point, normal, thing)
        origin = point + direction * (_STEP * max(1.0, (point - origin).length))
    return None
