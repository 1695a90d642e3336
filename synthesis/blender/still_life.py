# SPDX-License-Identifier: GPL-3.0-or-later
"""A small still life around a probe: mirror, glossy, matte and diffuse balls and one organic form."""

from __future__ import annotations

import bpy
from mathutils import Vector

from ...scene import compat
from . import materials, shapes

#: Name, roughness, metallic, colour; glossy and matte as in LIMO's sphere protocol.
BALLS = (
    ("Mirror", 0.0, 1.0, (1.0, 1.0, 1.0)),
    ("Glossy", 0.25, 1.0, (1.0, 1.0, 1.0)),
    ("Matte", 0.5, 1.0, (1.0, 1.0, 1.0)),
    ("Diffuse", 1.0, 0.0, (0.8, 0.8, 0.8)),
)


def add_still_life(
    scene: bpy.types.Scene, place: Vector, radius: float, camera: bpy.types.Object
) -> list[bpy.types.Object]:
    """Set the still life on the ground under ``place``, a probe's centre ``radius`` above it, facing the camera.

    The mirror stands where the probe is; all sizes follow the probe's radius.
    """
    right = camera.matrix_world.to_3x3().col[0].copy()
    right.z = 0.0
    right.normalize()
    ground = place.z - radius
    made = []
    for index, (name, roughness, metallic, colour) in enumerate(BALLS):
        material = materials.principled(name, colour, roughness=roughness, metallic=metallic)
        if name == "Diffuse":
            shader = next(node for node in compat.node_tree(material).nodes if node.type == "BSDF_PRINCIPLED")
            shader.inputs["Specular IOR Level"].default_value = 0.0
        center = place + right * (index - 1.5) * 2.3 * radius
        made.append(shapes.ball(scene, name, Vector((center.x, center.y, ground + radius)), radius, material))
    away = (place - camera.matrix_world.translation) * Vector((1, 1, 0))
    clay = materials.principled("Clay", (0.55, 0.27, 0.14), roughness=0.45)
    behind = place + away.normalized() * 2.6 * radius
    center = Vector((behind.x, behind.y, ground + 1.35 * radius))
    made.append(shapes.head(scene, "Head", center, 1.4 * radius, clay, camera.matrix_world.translation))
    return made
