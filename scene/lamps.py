# SPDX-License-Identifier: GPL-3.0-or-later
"""The concentrated lights of an environment as Blender lamps; the World keeps the rest."""

from __future__ import annotations

import json
import math

import bpy
from mathutils import Matrix, Vector

from . import camera as cameras
from . import keys, lamp_frames, light_frames, origin, own, probes, world

#: Area lamps stand this many metres from the probe: far, so that objects around it are lit alike.
_DISTANCE = 10.0
# What of the World's sliders a lamp shows already: strength and tint in its data, which copies may share, and rotation
# in the object. Only what changes is applied, so that the artist's own changes to a lamp stay.
_SHOWN, _COLOUR, _TURNED, _CENTRE = (f"limelight_{name}" for name in ("shown", "colour", "turned", "centre"))


def apply_lamps(scene: bpy.types.Scene, probe: bpy.types.Object) -> list[bpy.types.Object]:
    """Make the probe's lights Sun or Area lamps and light the rest by its fill map; a second run replaces the lamps.

    A lamp's irradiance on a surface facing it equals that of the texels it replaces (map radiance × steradian).
    Of light over frames, each lamp has keyframes.
    """
    track = light_frames.track(probe)
    if track is not None:
        world.apply_world(scene, probe, fill=any(track.lamps))
        made = lamp_frames.add(scene, probe, track, _DISTANCE / cameras.metres(scene))
        follow(scene)
        return made
    entries = json.loads(probe.limelight.lamps or "[]")
    world.apply_world(scene, probe, fill=bool(entries))
    made = [_lamp(scene, probe, entry, f"{probe.name} {entry['kind']} {i + 1}") for i, entry in enumerate(entries)]
    follow(scene)
    return made


def renew(scene: bpy.types.Scene, probe: bpy.types.Object) -> None:
    """Make a probe's lamps anew after an estimate, where they light the scene together with its World."""
    shown = scene.world
    if shown is None or not own.is_own_world(shown) or origin.probe_of(shown) != probe:
        return
    if any(origin.probe_of(lamp) == probe for lamp in _made(scene)):
        apply_lamps(scene, probe)


def follow(scene: bpy.types.Scene) -> None:
    """Let the lamps have the strength, rotation and tint of the scene's World, which shows the rest of their light."""
    if scene.world is None or not scene.world.limelight.probe:
        return
    look = scene.world.limelight
    for lamp in _made(scene):
        if lamp_frames.is_over_frames(lamp):
            lamp_frames.follow(lamp, look.strength_ev, list(look.tint), look.rotation)
            continue
        data = lamp.data
        ev, *tint = data.get(_SHOWN, (0.0, 1.0, 1.0, 1.0))
        whole = data.get(_COLOUR, data.color)
        data.energy *= 2.0 ** (look.strength_ev - ev)
        # A channel that was tinted away has to start anew from the light's own colour.
        data.color = [
            now * wanted / before if before > 0 else full * wanted
            for now, full, before, wanted in zip(data.color, whole, tint, look.tint, strict=True)
        ]
        data[_SHOWN] = [look.strength_ev, *look.tint]
        centre = Vector(lamp.get(_CENTRE, lamp.location))
        turn = Matrix.Rotation(look.rotation - lamp.get(_TURNED, 0.0), 4, "Z")
        lamp.matrix_basis = Matrix.Translation(centre) @ turn @ Matrix.Translation(-centre) @ lamp.matrix_basis
        lamp[_TURNED] = look.rotation


def remove_lamps(scene: bpy.types.Scene) -> None:
    """Delete the lamps that were made from probes of this file.

    A linked copy of the scene loses them, too: its World shows the whole map then.
    """
    made = _made(scene)
    copies = [other for other in bpy.data.scenes if other != scene and any(o in made for o in other.objects)]
    for lamp in made:
        keys.forget(lamp)
    # Linked duplicates share their light, and all go with it.
    for data in {lamp.data for lamp in made}:
        keys.forget(data)
        bpy.data.lights.remove(data)
    for centre in lamp_frames.centres(scene):
        keys.forget(centre)
        bpy.data.objects.remove(centre)
    for shown in {copy.world for copy in copies}:
        probe = origin.probe_of(shown) if shown is not None and own.is_own_world(shown) else None
        if shown is not None and probe is not None and probe.limelight.environment is not None:
            world.show(shown, probe.limelight.environment)


def _made(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The lamps of this file that were made from probes; linked ones belong to another."""
    return [o for o in scene.objects if o.type == "LIGHT" and o.get(own.LAMP) and own.is_local(o.data)]


def _lamp(scene: bpy.types.Scene, probe: bpy.types.Object, entry: dict, name: str) -> bpy.types.Object:
    direction, irradiance = Vector(entry["direction"]).normalized(), Vector(entry["irradiance"])
    strength = max(irradiance)
    angle = math.radians(entry["angle_deg"])
    sun, distance = entry["kind"] == "sun", _DISTANCE / cameras.metres(scene)
    data = bpy.data.lights.new(name, "SUN" if sun else "AREA")
    data.color = irradiance / strength if strength > 0 else (1.0, 1.0, 1.0)
    if sun:
        data.energy, data.angle = strength, angle
    else:
        data.shape = "DISK"
        data.size = 2 * distance * math.tan(min(angle, math.radians(150)) / 2)
        data.energy = disc_power(strength, data.size / 2, distance)
    lamp = bpy.data.objects.new(name, data)
    lamp[own.LAMP] = origin.token(scene, probe)
    data[_COLOUR], lamp[_CENTRE] = list(data.color), list(probes.to_world(probe).translation)
    lamp.rotation_euler = direction.to_track_quat("Z", "Y").to_euler()
    lamp.location = probes.to_world(probe).translation + direction * (0.1 if sun else 1.0) * distance
    probes.light_collection(scene).objects.link(lamp)
    return lamp


def disc_power(irradiance: float, radius: float, distance: float) -> float:
    """Watts of a disc lamp that gives ``irradiance`` on its axis: E = πL·r²/(r² + d²), Φ = π²r²·L."""
    return irradiance * math.pi * (radius**2 + distance**2)
