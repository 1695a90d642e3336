# SPDX-License-Identifier: GPL-3.0-or-later
"""Keyframes written in one go, scaled, and taken away again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from . import compat

#: Where an object is, how it is turned and how large.
_PLACE = (
    *("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle", "scale"),
    *("delta_location", "delta_rotation_euler", "delta_rotation_quaternion", "delta_scale"),
)


def animate(thing: Any, path: str, frames: Sequence[float], values: Sequence[Sequence[float] | float]) -> None:
    """Let a property of a datablock have ``values`` at ``frames``, straight in between.

    What never changes is set and not keyed. A vector's values are sequences, one a frame. Earlier keys go.
    """
    rows = [list(value) if isinstance(value, Sequence) else [value] for value in values]
    whole = isinstance(values[0], Sequence)
    setattr(thing, path, rows[0] if whole else rows[0][0])
    for index, column in enumerate(zip(*rows, strict=True)):
        place = index if whole else -1
        _clear(thing, path, max(place, 0))
        if max(column) - min(column) > 1e-6 * max(1e-3, *map(abs, column)):
            _write(thing, path, place, frames, column)


def times(scene: bpy.types.Scene, frames: Sequence[float]) -> list[float]:
    """Where the keys of a scene's frames lie: elsewhere if the scene stretches time, which images do not follow."""
    render = scene.render
    return [frame * render.frame_map_old / render.frame_map_new for frame in frames]


def _write(thing: Any, path: str, index: int, frames: Sequence[float], values: Sequence[float]) -> None:
    if thing.animation_data is None:
        thing.animation_data_create()
    animation = thing.animation_data
    if animation.action is None:
        animation.action = bpy.data.actions.new(f"{thing.name} over frames")
    curve = compat.new_curve(animation.action, thing, path, max(index, 0))
    points = curve.keyframe_points
    points.add(len(frames))
    points.foreach_set("co", [number for pair in zip(frames, values, strict=True) for number in pair])
    linear = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items["LINEAR"].value  # type: ignore[attr-defined]
    points.foreach_set("interpolation", [linear] * len(frames))
    curve.update()


def scale(thing: Any, path: str, factors: Sequence[float]) -> None:
    """Multiply what a property is and all its keys, a factor for each of its numbers."""
    now = getattr(thing, path)
    if hasattr(now, "__len__"):
        setattr(thing, path, [a * b for a, b in zip(now, factors, strict=True)])
    else:
        setattr(thing, path, now * factors[0])
    for curve in compat.curves(thing):
        if curve.data_path != path:
            continue
        for point in curve.keyframe_points:
            for place in (point.co, point.handle_left, point.handle_right):
                place[1] *= factors[curve.array_index]
        curve.update()


def are(thing: Any, *paths: str) -> bool:
    """Whether any of these properties has keys."""
    return any(curve.data_path in paths for curve in compat.curves(thing))


def hold(thing: bpy.types.Object) -> bool:
    """Whether keys, drivers, strips or constraints put an object where it is, so that moving it would not last."""
    if are(thing, *_PLACE) or constrain(thing):
        return True
    animation = thing.animation_data
    if animation is None:
        return False
    driven = any(driver.data_path in _PLACE for driver in animation.drivers)
    return driven or any(not track.mute for track in animation.nla_tracks)


def constrain(thing: bpy.types.Object) -> bool:
    """Whether constraints put an object where it is."""
    return any(c.enabled and c.influence > 0 for c in thing.constraints)


def _clear(thing: Any, path: str, index: int) -> None:
    for curve in [c for c in compat.curves(thing) if (c.data_path, c.array_index) == (path, index)]:
        compat.remove_curve(thing, curve)


def forget(thing: Any) -> None:
    """Take a datablock's action away, and out of the file if nothing else uses it."""
    animation = thing.animation_data
    action = None if animation is None else animation.action
    if animation is None or action is None:
        return
    animation.action = None
    if not action.users:
        bpy.data.actions.remove(action)
