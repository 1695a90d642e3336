# SPDX-License-Identifier: GPL-3.0-or-later
"""The four families of sequences, and stills: what moves is a sphere, the camera, the light, or the sun outdoors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ...scene import compat
from ..blackbody import LUMINANCE
from ..daylight import Course, sunlight
from ..sphere_grid import place_grid
from . import cycles, lights
from .cycles import Sphere
from .lights import Lighting

#: Sets the scene for a share of the time (0–1) and says where the spheres are, camera frame.
Motion = Callable[[float], Sequence[Sphere]]


def smooth(t: float) -> float:
    """From 0 to 1 without a jerk at either end."""
    return t * t * (3 - 2 * t)


def still(spheres: Sequence[Sphere]) -> Motion:
    """Nothing moves."""
    return lambda t: spheres


def moving_spheres(
    scene: bpy.types.Scene, depth: np.ndarray, grid: tuple[int, int], diameter: float, rng: np.random.Generator
) -> Motion:
    """Each sphere goes from one place in its cell of the picture to another, at a fixed size in metres."""
    f = cycles.focal(scene)
    starts, ends = (place_grid(depth, f, grid, diameter, rng, free_cells=True) for _ in range(2))

    def at(t: float) -> Sequence[Sphere]:
        s = smooth(t)
        return [
            ([(1 - s) * p + s * q for p, q in zip(a, b, strict=True)], min(r, k))
            for (a, r), (b, k) in zip(starts, ends, strict=True)
        ]

    return at


def moving_camera(
    scene: bpy.types.Scene, spheres: Sequence[Sphere], nearest: float, rng: np.random.Generator
) -> Motion:
    """The camera trucks, rises and pans a little; the spheres stay where they are in the world."""
    camera = cycles.eye(scene)
    start = camera.matrix_world.copy()
    reach = min(0.35, 0.3 * nearest)
    way = Vector((rng.uniform(-1, 1), rng.uniform(-0.4, 0.4), rng.uniform(-1, 0.4))) * reach
    pan, tilt = (math.radians(rng.uniform(-a, a)) for a in (9, 3))
    world = [(start @ Vector(centre), radius) for centre, radius in spheres]

    def at(t: float) -> Sequence[Sphere]:
        s = smooth(t)
        turn = Matrix.Rotation(pan * s, 4, "Y") @ Matrix.Rotation(tilt * s, 4, "X")
        camera.matrix_world = start @ Matrix.Translation(way * s) @ turn
        bpy.context.view_layer.update()
        back = camera.matrix_world.inverted()
        return [(list(back @ place), radius) for place, radius in world]

    return at


def moving_light(
    scene: bpy.types.Scene, lighting: Lighting, spheres: Sequence[Sphere], rng: np.random.Generator
) -> Motion:
    """The sun and its sky turn; lamps and other skies swell and fade, each in its own rhythm."""
    angle = math.radians(rng.uniform(25, 80)) * rng.choice([-1, 1])
    sun_start = lighting.sun.matrix_world.copy() if lighting.sun else None
    assert scene.world is not None
    nodes, sky = compat.node_tree(scene.world).nodes, lighting.air
    sky_start = sky.sun_rotation if sky else 0.0
    shining = [n for lamp in lighting.lamps for n in compat.node_tree(lamp).nodes if n.type == "EMISSION"]
    sockets = [node.inputs["Strength"] for node in shining]
    sockets += [n.inputs[f"To {end}"] for n in nodes if n.type == "MAP_RANGE" for end in ("Min", "Max")]
    levels = [socket.default_value for socket in sockets]
    swing, phase = rng.uniform(0.3, 0.9, len(sockets)), rng.uniform(0, 2 * math.pi, len(sockets))

    def at(t: float) -> Sequence[Sphere]:
        if lighting.sun is not None and sun_start is not None:
            lighting.sun.matrix_world = Matrix.Rotation(angle * t, 4, "Z") @ sun_start
        if sky is not None:
            sky.sun_rotation = sky_start - angle * t
        for socket, level, s, p in zip(sockets, levels, swing, phase, strict=True):
            socket.default_value = level * (1 + s * (math.sin(2 * math.pi * t + p) - math.sin(p)) / 2)
        bpy.context.view_layer.update()
        return spheres

    return at


def moving_sun(lighting: Lighting, spheres: Sequence[Sphere], rng: np.random.Generator) -> Motion:
    """Some hours of a clear day: the sun crosses the sky, and its strength, its colour and the sky are as it stands."""
    course = Course.drawn(rng)
    assert lighting.sun is not None
    lamp = lighting.sun.data

    def at(t: float) -> Sequence[Sphere]:
        x, y, z = (float(part) for part in course.towards(t))
        lights.aim_sun(lighting, (x, y, z))
        irradiance = sunlight(math.asin(z))
        lamp.energy = float(irradiance @ LUMINANCE)
        lamp.color = irradiance / lamp.energy
        bpy.context.view_layer.update()
        return spheres

    return at
