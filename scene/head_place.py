# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a head stands: in front of the scene's camera just as its photo shows it, with the photo behind."""

from __future__ import annotations

import bpy
from mathutils import Matrix, Vector

from . import camera as cameras
from . import plate

#: Radius of the probe that lights a head, and how far the tip of a nose is from between the eyes, in metres.
PROBE_RADIUS, _REACH = 0.08, 0.05
#: Moved by less than this, in metres, a head still counts as where it was put.
_STILL = 1e-3


def place(scene: bpy.types.Scene, head: bpy.types.Object) -> bpy.types.Object:
    """Match the scene's camera to the head's photo and stand the head in front of it; returns the camera.

    The camera stays where it is. Raises ``ValueError`` if it or the head belongs to another file or the photo is gone.
    """
    memory = head.limelight.head
    if head.library:
        raise ValueError(f"“{head.name}” is linked from another file: make it local or a library override first")
    if memory.picture is None:
        raise ValueError(f"the photo of “{head.name}” is not in this file any more")
    camera = plate.use_image(scene, memory.picture, memory.fov_deg)
    camera.data.type = "PERSP"
    # A view angle that was set for another photo would come before the camera's.
    scene.limelight.fov_override = 0.0
    head.matrix_world = seen_from(camera, head, cameras.metres(scene))
    return camera


def seen_from(camera: bpy.types.Object, head: bpy.types.Object, unit: float) -> Matrix:
    """Head frame (metres) to world: as the photo's camera saw the head; ``unit``: metres in a unit of the scene."""
    rows, away = head.limelight.head.rotation, head.limelight.head.translation
    turn = Matrix([rows[0:3], rows[3:6], rows[6:9]]).to_4x4()
    return camera.matrix_world.normalized() @ Matrix.Translation(Vector(away) / unit) @ turn @ Matrix.Scale(1 / unit, 4)


def stands_in_photo(scene: bpy.types.Scene, head: bpy.types.Object) -> bool:
    """Whether a head stands before the scene's camera where :func:`place` would put it: nobody moved either since."""
    if scene.camera is None:
        return False
    unit = cameras.metres(scene)
    wanted = seen_from(scene.camera, head, unit)
    apart = max(abs(a - b) for rows in zip(head.matrix_world, wanted, strict=True) for a, b in zip(*rows, strict=True))
    return apart * unit < _STILL


def is_placed(scene: bpy.types.Scene, head: bpy.types.Object) -> bool:
    """Whether the head's photo is what the engine sees through the scene's camera."""
    settings, picture = scene.limelight, head.limelight.head.picture
    return scene.camera is not None and settings.source == "PLATE" and picture is not None and settings.plate == picture


def light_spot(camera: bpy.types.Object, between: Vector, unit: float) -> Vector:
    """The world position towards the camera from ``between`` the eyes where the light that falls on it is estimated."""
    towards = (camera.matrix_world.translation - between).normalized()
    return between + towards * ((PROBE_RADIUS * 1.05 + _REACH) / unit)
