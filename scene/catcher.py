# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground of a photo: a plane that catches shadows and is otherwise invisible."""

from __future__ import annotations

import bpy
from mathutils import Vector

from . import own, probes, renderer, visible


def add_shadow_catcher(scene: bpy.types.Scene, probe: bpy.types.Object, size: float | None = None) -> bpy.types.Object:
    """A level shadow catcher under the probe's sphere; a second run moves the one that is there.

    Cycles renders then: EEVEE draws a catcher as a floor.
    """
    renderer.use_cycles(scene)
    radius = probes.radius_in_world(probe)
    half = (size or 40 * radius) / 2
    plane = next((o for o in scene.objects if o.get(own.CATCHER) and own.is_local(o)), None)
    if plane is None:
        mesh = bpy.data.meshes.new("Shadow catcher")
        plane = bpy.data.objects.new("Shadow catcher", mesh)
        plane[own.CATCHER] = True
        probes.collection(scene).objects.link(plane)
    visible.include(scene, plane)
    plane.data.clear_geometry()
    plane.data.from_pydata([(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)], [], [(0, 1, 2, 3)])
    # In the world: the artist may have given it a parent.
    plane.matrix_world.translation = probes.to_world(probe).translation - Vector((0, 0, radius))
    plane.is_shadow_catcher = True
    return plane
