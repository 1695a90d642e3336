# SPDX-License-Identifier: GPL-3.0-or-later
"""The concentrated lights of a sequence as lamps with keyframes: each light one lamp, dark where it was not found."""

from __future__ import annotations

import itertools
import math

import bpy
from mathutils import Vector

from . import keys, lamp_tracks, origin, own, probes
from .lamp_tracks import LampTrack
from .light_frames import Track

#: A tint of 0 could not be taken back from keys: each is multiplied, so that the artist's own changes stay.
_DARKEST = 1e-4
#: What of the World's sliders the keys of a lamp show already: strength in stops, tint.
SHOWN = "limelight_shown"


def add(scene: bpy.types.Scene, probe: bpy.types.Object, track: Track, distance: float) -> list[bpy.types.Object]:
    """Lamps for all lights of a probe's track, ``distance`` scene units away from where the probe was.

    They are children of an Empty that goes where the probe went, so that turning it turns all.
    """
    found = lamp_tracks.follow(track.lamps)
    if not found:
        return []
    centre = bpy.data.objects.new(f"{probe.name} lamps", None)
    centre.empty_display_type, centre.empty_display_size = "SINGLE_ARROW", probe.limelight.radius
    centre[own.LAMP] = origin.token(scene, probe)
    probes.light_collection(scene).objects.link(centre)
    times = keys.times(scene, track.frames)
    keys.animate(centre, "location", times, track.places)
    return [
        _lamp(scene, centre, one, times, distance, f"{probe.name} {one.kind} {number}")
        for number, one in enumerate(found, start=1)
    ]


def _lamp(
    scene: bpy.types.Scene, centre: bpy.types.Object, one: LampTrack, frames: list[float], distance: float, name: str
) -> bpy.types.Object:
    from .lamps import disc_power

    count, sun = len(frames), one.kind == "sun"
    directions = [Vector(d) for d in one.directions(count)]
    irradiances = one.irradiances(count)
    angles = [math.radians(a) for a in one.angles(count)]
    strengths = [max(e) for e in irradiances]
    data = bpy.data.lights.new(name, "SUN" if sun else "AREA")
    data[SHOWN] = [0.0, 1.0, 1.0, 1.0]
    keys.animate(data, "color", frames, _colours(irradiances))
    if sun:
        keys.animate(data, "angle", frames, angles)
        keys.animate(data, "energy", frames, strengths)
    else:
        data.shape = "DISK"  # type: ignore[attr-defined]
        sizes = [2 * distance * math.tan(min(a, math.radians(150)) / 2) for a in angles]
        keys.animate(data, "size", frames, sizes)
        powers = [disc_power(e, s / 2, distance) for e, s in zip(strengths, sizes, strict=True)]
        keys.animate(data, "energy", frames, powers)
    lamp = bpy.data.objects.new(name, data)
    lamp[own.LAMP] = centre[own.LAMP]
    lamp.parent = centre
    lamp.rotation_mode = "QUATERNION"
    probes.light_collection(scene).objects.link(lamp)
    keys.animate(lamp, "rotation_quaternion", frames, _rotations(directions))
    keys.animate(lamp, "location", frames, [list(d * (0.1 if sun else 1.0) * distance) for d in directions])
    return lamp


def _colours(irradiances: list[tuple[float, ...]]) -> list[list[float]]:
    """Colours (largest channel 1); in the dark, the nearest frame's, so that a light comes up in its own colour."""
    lit = [i for i, e in enumerate(irradiances) if max(e) > 0]
    if not lit:
        return [[1.0, 1.0, 1.0]] * len(irradiances)
    nearest = [irradiances[min(lit, key=lambda k, i=i: abs(k - i))] for i in range(len(irradiances))]  # type: ignore[misc]
    return [[value / max(e) for value in e] for e in nearest]


def _rotations(directions: list[Vector]) -> list[list[float]]:
    """Rotations (w, x, y, z) that turn +Z to each direction, each the shortest way from the one before."""
    turned = [directions[0].to_track_quat("Z", "Y")]
    for before, after in itertools.pairwise(directions):
        turned.append(before.rotation_difference(after) @ turned[-1])
    return [[q.w, q.x, q.y, q.z] for q in turned]


def follow(lamp: bpy.types.Object, ev: float, tint: list[float], rotation: float) -> None:
    """Let a lamp of :func:`add` have this strength in stops, tint and turn; its own keys are kept in proportion."""
    data = lamp.data
    before, *tinted = data[SHOWN]
    keys.scale(data, "energy", [2.0 ** (ev - before)])
    wanted = [max(channel, _DARKEST) for channel in tint]
    keys.scale(data, "color", [new / max(old, _DARKEST) for new, old in zip(wanted, tinted, strict=True)])
    data[SHOWN] = [ev, *wanted]
    if lamp.parent is not None and own.LAMP in lamp.parent:
        lamp.parent.rotation_euler[2] = rotation


def is_over_frames(lamp: bpy.types.Object) -> bool:
    """Whether a lamp was made by :func:`add`."""
    return lamp.parent is not None and own.LAMP in lamp.parent


def centres(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The Empties of lamps in this file."""
    return [o for o in scene.objects if o.type == "EMPTY" and own.LAMP in o and own.is_local(o)]
