# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that an artist puts into the estimated light in the window tests."""

import bpy


def material(name, colour, **inputs):
    """A principled surface; ``inputs`` by their names in lower case."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    surface = made.node_tree.nodes["Principled BSDF"]
    surface.inputs["Base Color"].default_value = (*colour, 1.0)
    for key, value in inputs.items():
        surface.inputs[key.capitalize()].default_value = value
    return made


def put(thing, surface, ground):
    """Give ``thing`` a surface and stand it on the ground."""
    thing.data.materials.append(surface)
    for face in thing.data.polygons:
        face.use_smooth = True
    thing.location.z = ground - min(corner[2] for corner in thing.bound_box)
    thing.select_set(False)


def stand_where(probe):
    """A clay monkey, a metal and a grey ball side by side on the ground where the probe is."""
    x, y, z = probe.location
    ground = z - probe.limelight.radius
    bpy.ops.mesh.primitive_monkey_add(size=0.95, location=(x - 0.1, y, z))
    monkey = bpy.context.active_object
    monkey.modifiers.new("Smooth", "SUBSURF").levels = 2
    put(monkey, material("Clay", (0.5, 0.2, 0.1), roughness=0.6), ground)
    for name, colour, side, inputs in (
        ("Metal", (0.9, 0.9, 0.9), -0.95, {"metallic": 1.0, "roughness": 0.05}),
        ("Grey", (0.5, 0.5, 0.5), 0.75, {"roughness": 1.0}),
    ):
        bpy.ops.mesh.primitive_uv_sphere_add(radius=0.32, location=(x + side, y, z), segments=64, ring_count=32)
        put(bpy.context.active_object, material(name, colour, **inputs), ground)
