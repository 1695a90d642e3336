# SPDX-License-Identifier: GPL-3.0-or-later
"""Skies, suns and lamps of the made places. Luminance in thousands of cd/m², irradiance in klx, so ratios are true."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Any

import bpy
from mathutils import Vector

from ...scene import compat
from ..blackbody import blackbody
from . import materials
from .group import Group, Triple
from .surfaces import Colour

#: Kelvin of the lamps of a mood.
TINTS = {"warm": (2600, 3300), "neutral": (3600, 4800), "cold": (5500, 9000)}


@dataclass
class Lighting:
    """What shines: the sun's lamp, the node of the air that scatters its light; the lamps' materials; words."""

    sky: str
    tint: str
    sun: bpy.types.Object | None = None
    air: Any = None
    lamps: list[bpy.types.Material] = field(default_factory=list)


def warmth(kelvin: float) -> Colour:
    """Colour of luminance 1."""
    red, green, blue = (float(c) for c in blackbody(kelvin))
    return red, green, blue


def lamp_tint(rng: random.Random, tint: str) -> Colour:
    """A lamp's colour: warm, neutral, cold, or of any temperature where the light is mixed."""
    low, high = TINTS[rng.choice(["warm", "warm", "cold"]) if tint == "mixed" else tint]
    return warmth(rng.uniform(low, high))


def glow(lighting: Lighting, colour: Colour, level: float) -> bpy.types.Material:
    """A lamp's material of a luminance, remembered so that its strength can change."""
    made = materials.emissive("Lamp", colour, level)
    lighting.lamps.append(made)
    return made


def add_sky(scene: bpy.types.Scene, rng: random.Random, sky: str, tint: str, towards: float) -> Lighting:
    """World and sun of a ``sky``: clear, golden, overcast, dusk or night. ``towards``: the sun's azimuth, radians."""
    lighting = Lighting(sky, tint)
    world = bpy.data.worlds.new("Sky")
    scene.world = world
    # A small map to sample the sky by: it is smooth, and the map is made anew for each picture.
    sampling: Any = world.cycles
    sampling.sampling_method, sampling.sample_map_resolution = "MANUAL", 128
    tree = compat.node_tree(world)
    tree.nodes.clear()
    background, output = tree.nodes.new("ShaderNodeBackground"), tree.nodes.new("ShaderNodeOutputWorld")
    tree.links.new(background.outputs[0], output.inputs["Surface"])
    if sky in ("clear", "golden"):
        height = rng.uniform(22, 65) if sky == "clear" else rng.uniform(4, 14)
        lighting.air = tree.nodes.new("ShaderNodeTexSky")
        compat.use_physical_sky(lighting.air)
        # Its luminance comes in thousands of cd/m² already.
        tree.links.new(lighting.air.outputs[0], background.inputs["Color"])
        kelvin = rng.uniform(5000, 5800) if sky == "clear" else rng.uniform(2400, 3600)
        level = rng.uniform(70, 95) if sky == "clear" else rng.uniform(8, 30)
        lighting.sun = _sun(scene, warmth(kelvin), level)
        up = math.radians(height)
        aim_sun(lighting, (math.cos(towards) * math.cos(up), math.sin(towards) * math.cos(up), math.sin(up)))
        return lighting
    level, zenith, horizon = {
        "overcast": (rng.uniform(1.5, 5), warmth(rng.uniform(6200, 7500)), 0.5),
        "dusk": (rng.uniform(0.02, 0.12), warmth(rng.uniform(12000, 22000)), 1.8),
        "night": (rng.uniform(1e-4, 8e-4), warmth(rng.uniform(9000, 16000)), 2.5),
    }[sky]
    _gradient(tree, background, zenith, horizon, level)
    return lighting


def _gradient(
    tree: bpy.types.NodeTree, background: bpy.types.Node, zenith: Colour, horizon: float, level: float
) -> None:
    """A sky of one colour whose luminance at the horizon is ``horizon`` times that at the zenith, dark below."""
    place, split = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeSeparateXYZ")
    ramp = tree.nodes.new("ShaderNodeMapRange")
    tree.links.new(place.outputs["Generated"], split.inputs[0])
    tree.links.new(split.outputs["Z"], ramp.inputs["Value"])
    ramp.inputs["From Min"].default_value, ramp.inputs["From Max"].default_value = 0.0, 1.0
    ramp.inputs["To Min"].default_value, ramp.inputs["To Max"].default_value = horizon * level, level
    background.inputs["Color"].default_value = (*zenith, 1)
    tree.links.new(ramp.outputs[0], background.inputs["Strength"])


def _sun(scene: bpy.types.Scene, colour: Colour, level: float) -> bpy.types.Object:
    data = bpy.data.lights.new("Sun", "SUN")
    data.energy, data.angle, data.color = level, math.radians(0.53), colour
    lamp = bpy.data.objects.new("Sun", data)
    scene.collection.objects.link(lamp)
    return lamp


def aim_sun(lighting: Lighting, towards: Triple) -> None:
    """Have the sun's lamp shine from a unit direction, world, and the sky be as it is then."""
    assert lighting.sun is not None and lighting.air is not None
    lighting.sun.rotation_euler = Vector(towards).to_track_quat("Z", "Y").to_euler()
    # The node counts its rotation from +Y, clockwise.
    lighting.air.sun_elevation, lighting.air.sun_rotation = math.asin(towards[2]), math.atan2(towards[0], towards[1])


def portal(scene: bpy.types.Scene, center: Triple, inward: Triple, size: tuple[float, float]) -> None:
    """Tell Cycles that the sky comes in through an opening (width, height)."""
    data = bpy.data.lights.new("Portal", "AREA")
    data.shape, data.size, data.size_y = "RECTANGLE", *size
    data.cycles.is_portal = True
    made = bpy.data.objects.new("Portal", data)
    made.location = center
    made.rotation_euler = Vector(inward).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(made)


def ceiling_lamp(
    scene: bpy.types.Scene, rng: random.Random, lighting: Lighting, spot: tuple[float, float], height: float
) -> None:
    """A panel, a pendant ball or a row of spots under the ceiling."""
    group = Group(scene, "Ceiling lamp", (*spot, height), rng.choice([0, math.pi / 2]))
    colour, kind = lamp_tint(rng, lighting.tint), rng.choice(["panel", "pendant", "spots"])
    body = materials.principled("Lamp body", (0.7,) * 3, roughness=0.4)
    if kind == "panel":
        group.box((0, 0, -0.02), (1.2, 0.32, 0.04), body)
        group.box((0, 0, -0.045), (1.14, 0.26, 0.012), glow(lighting, colour, rng.uniform(2, 6)))
    elif kind == "pendant":
        drop = rng.uniform(0.5, 0.9)
        group.round((0, 0, -drop / 2), (0.006, 0.006), drop, body)
        group.ball((0, 0, -drop - 0.14), rng.uniform(0.1, 0.2), glow(lighting, colour, rng.uniform(1, 4)))
    else:
        bulb = glow(lighting, colour, rng.uniform(15, 40))
        for x in (-1.1, -0.4, 0.4, 1.1):
            group.round((x, 0, -0.01), (0.065, 0.065), 0.02, body)
            group.round((x, 0, -0.024), (0.045, 0.045), 0.008, bulb)


def floor_lamp(scene: bpy.types.Scene, rng: random.Random, lighting: Lighting, spot: Triple, tall: float) -> None:
    """A standard or table lamp: pole, foot, and a shining shade."""
    group = Group(scene, "Standing lamp", spot)
    metal = materials.principled("Lamp metal", (0.25, 0.2, 0.15), roughness=0.3, metallic=1.0)
    wide = 0.06 + 0.06 * tall
    group.round((0, 0, tall / 2), (0.012, 0.012), tall, metal)
    group.round((0, 0, 0.01), (wide, wide), 0.02, metal)
    shade = glow(lighting, lamp_tint(rng, lighting.tint), rng.uniform(1.5, 6))
    group.round((0, 0, tall + wide * 0.6), (wide * 1.35, wide), wide * 1.7, shade)
