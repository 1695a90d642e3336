# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's camera as the engine's: a pinhole with pixel focal lengths and principal point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bpy
from mathutils import Matrix, Vector

#: What of a camera's settings changes what it sees.
LENS = ("lens", "sensor_width", "sensor_height", "sensor_fit", "shift_x", "shift_y", "clip_start", "clip_end")


def metres(scene: bpy.types.Scene) -> float:
    """Metres in one unit of the scene; the engine and its files count in metres."""
    units = scene.unit_settings
    return units.scale_length if units.system != "NONE" else 1.0


def add(scene: bpy.types.Scene) -> bpy.types.Object:
    """A camera that the scene looks through from now on, which cuts off what is as near or far whatever the unit."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.clip_start /= metres(scene)
    camera.data.clip_end /= metres(scene)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def flaw(camera: bpy.types.Object) -> str:
    """What keeps the engine from seeing through what a scene looks through, as a sentence; empty if nothing does."""
    if camera.type != "CAMERA":
        return f"The scene looks through “{camera.name}”, which is no camera"
    if camera.data.type != "PERSP":
        return f"“{camera.name}” is no perspective camera"
    return "" if is_rigid(camera.matrix_world) else f"The scale of “{camera.name}” or its parents distorts its view"


def is_rigid(to_world: Matrix) -> bool:
    """Whether a camera so placed sees as in the world: neither mirrored nor sheared, however large it is."""
    axes = to_world.to_3x3().normalized()
    product = axes.transposed() @ axes
    off = max(abs(product[i][j] - (i == j)) for i in range(3) for j in range(3))
    return off < 1e-2 and axes.determinant() > 0


def undistorted(to_world: Matrix) -> Matrix:
    """Where a camera so placed stands and looks, and what is up for it, without mirroring, shear or scale."""
    back = to_world.col[2].xyz.normalized()
    right = to_world.col[1].xyz.cross(back).normalized()
    turn = Matrix((right, back.cross(right), back)).transposed()
    return Matrix.Translation(to_world.translation) @ turn.to_4x4()


@contextmanager
def only(scene: bpy.types.Scene, camera: bpy.types.Object) -> Iterator[None]:
    """The scene seen by this camera alone inside this block: a render goes by its markers before its active camera."""
    before, cuts = scene.camera, [(marker, marker.camera) for marker in scene.timeline_markers if marker.camera]
    for marker, _camera in cuts:
        marker.camera = None
    scene.camera = camera
    try:
        yield
    finally:
        for marker, cut in cuts:
            marker.camera = cut
        scene.camera = before


@dataclass(frozen=True)
class Pose:
    """Where a camera stood, and its lens."""

    to_world: Matrix
    lens: tuple[Any, ...]

    @classmethod
    def of(cls, camera: bpy.types.Object) -> Pose:
        """The pose of a camera now."""
        return cls(camera.matrix_world.copy().freeze(), tuple(getattr(camera.data, name) for name in LENS))


@contextmanager
def posed(scene: bpy.types.Scene, pose: Pose) -> Iterator[None]:
    """The scene seen as its camera stood then, wherever that was moved since, inside this block.

    Raises ``ValueError`` if the camera is gone.
    """
    if scene.camera is None:
        raise ValueError("the scene has no camera any more")
    if Pose.of(scene.camera) == pose:
        yield
        return
    data = scene.camera.data.copy()
    data.animation_data_clear()
    for name, value in zip(LENS, pose.lens, strict=True):
        setattr(data, name, value)
    eye = bpy.data.objects.new("Limelight view", data)
    try:
        scene.collection.objects.link(eye)
        eye.matrix_world = pose.to_world
        with only(scene, eye):
            yield
    finally:
        bpy.data.objects.remove(eye)
        bpy.data.cameras.remove(data)


def clipped(scene: bpy.types.Scene, camera: bpy.types.Object) -> tuple[float, float]:
    """The planar depths between which what the engine is shown of a scene lies; a photo is cut off nowhere."""
    shown = scene.limelight.source == "SCENE"
    return (camera.data.clip_start, camera.data.clip_end) if shown else (0.0, math.inf)


def picture_size(scene: bpy.types.Scene) -> tuple[int, int]:
    """The render's size in pixels, percentage included."""
    render = scene.render
    # Whole numbers as in Blender: in floating point, 29 % of 100 pixels would be 28.
    width, height = (side * render.resolution_percentage // 100 for side in (render.resolution_x, render.resolution_y))
    return max(1, width), max(1, height)


def intrinsics(scene: bpy.types.Scene, camera: bpy.types.Object, width: int, height: int) -> dict[str, float]:
    """``{width, height, fx, fy, cx, cy}`` in pixels of a picture of this size that the camera would render.

    Field of view, sensor fit, shift and pixel aspect are all in Blender's own view frame, so it is asked rather than
    rebuilt. Raises ``ValueError`` for what is no perspective camera.
    """
    if camera.type != "CAMERA" or camera.data.type != "PERSP":
        raise ValueError(flaw(camera))
    corners = camera.data.view_frame(scene=scene)
    left, right = min(c.x / -c.z for c in corners), max(c.x / -c.z for c in corners)
    low, high = min(c.y / -c.z for c in corners), max(c.y / -c.z for c in corners)
    return {
        "width": width,
        "height": height,
        "fx": width / (right - left),
        "fy": height / (high - low),
        "cx": -left * width / (right - left),
        "cy": high * height / (high - low),
    }


def seen(scene: bpy.types.Scene, camera: bpy.types.Object, width: int, height: int) -> dict[str, float]:
    """Like :func:`intrinsics`, but with the view angle that the artist gave the photo, if there is one: what the engine
    is told, and what everything that is measured for it must agree with."""
    view, settings = intrinsics(scene, camera, width, height), scene.limelight
    if settings.source == "PLATE" and settings.fov_override > 0:
        focal = width / 2 / math.tan(settings.fov_override / 2)
        # Shift and pixel aspect stay the camera's.
        view |= {"fx": focal, "fy": focal * view["fy"] / view["fx"]}
    return view


def project(scene: bpy.types.Scene, camera: bpy.types.Object, point: Vector) -> tuple[float, float, float]:
    """Where the engine sees a world position: (u, v), 0 to 1 inside the picture from its top left, and planar depth.

    Behind the camera the depth is negative and (u, v) means nothing.
    """
    view = seen(scene, camera, *picture_size(scene))
    x, y, z = camera.matrix_world.normalized().inverted() @ point
    away = -z if abs(z) > 1e-9 else 1e-9
    u, v = view["cx"] + view["fx"] * x / away, view["cy"] - view["fy"] * y / away
    return u / view["width"], v / view["height"], -z


def unproject(scene: bpy.types.Scene, camera: bpy.types.Object, u: float, v: float, depth: float) -> Vector:
    """The world position that the engine sees at (u, v) at planar ``depth``: the inverse of :func:`project`."""
    view = seen(scene, camera, *picture_size(scene))
    through = ((u * view["width"] - view["cx"]) / view["fx"], (view["cy"] - v * view["height"]) / view["fy"], -1.0)
    return camera.matrix_world.normalized() @ (Vector(through) * depth)


def placement(camera: bpy.types.Object, unit: float = 1.0) -> list[list[float]]:
    """Camera-to-world as four rows, scale removed: columns are the camera's axes and its position times ``unit``.

    Raises ``ValueError`` for what has a :func:`flaw`.
    """
    if wrong := flaw(camera):
        raise ValueError(wrong)
    to_world = camera.matrix_world.normalized()
    to_world.translation *= unit
    return [list(row) for row in to_world]
