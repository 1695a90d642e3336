# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian splats as an object of the scene: point attributes as Blender 5.3 names them, and nodes that draw them."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from . import compat, selection, splat_data, splat_drawing, splat_file, splat_nodes

#: Turns about x that bring a file's axes into Blender's.
TURNS = {"Y_DOWN": -math.pi / 2, "Y_UP": math.pi / 2, "Z_UP": 0.0}


def add(context: bpy.types.Context, path: Path, name: str, axes: str = "AUTO") -> tuple[bpy.types.Object, int]:
    """Put the splats of a plain PLY into the scene, selected and active, and how many had to be left out.

    ``axes``: one of TURNS, or AUTO for what the file says, y down if it says nothing. Raises ``ValueError`` with an
    artist's sentence. The cloud keeps its numbers; the object turns it.
    """
    cloud = splat_file.read(path)
    if axes == "AUTO":
        axes = splat_file.axes(path)
    # Blender's own splats take no light.
    native = compat.NATIVE_SPLATS and not cloud.material
    thing = _native(context, path, cloud) if native else None
    if thing is None:
        thing = _with_nodes(context, cloud, name)
    thing.name = name
    thing[splat_drawing.MARK], thing[splat_drawing.AXES] = path.name, axes
    thing.rotation_euler.x = TURNS[axes]
    selection.select_alone(context, thing)
    splat_drawing.let_rays_through(context.scene)
    return thing, cloud.left_out


def add_crop_box(context: bpy.types.Context, thing: bpy.types.Object) -> bpy.types.Object:
    """An Empty cube about a cloud, outside of which nothing is drawn; selected and active, to be moved.

    Raises ``ValueError`` with an artist's sentence if the cloud has no Gaussians.
    """
    if not splat_drawing.count(thing):
        raise ValueError(f"“{thing.name}” has no Gaussians left to put a box about: undo that, or import it again")
    points = np.empty(3 * len(thing.data.vertices), np.float32)
    thing.data.vertices.foreach_get("co", points)
    # A few Gaussians lie far out in most scans.
    low, high = np.quantile(points.reshape(-1, 3), [0.01, 0.99], axis=0)
    box = bpy.data.objects.new(f"{thing.name} crop", None)
    box.empty_display_type = "CUBE"
    selection.collection(context).objects.link(box)
    half = np.maximum((high - low) / 2, 1e-3)
    box.matrix_world = thing.matrix_world @ Matrix.LocRotScale(Vector((low + high) / 2), None, Vector(half))
    splat_drawing.set_input(thing, "Crop Box", box)
    selection.select_alone(context, box)
    return box


def _native(context: bpy.types.Context, path: Path, cloud: splat_file.Cloud) -> bpy.types.Object | None:
    """The splats as Blender itself brings them in, with our material added; None if it made something else of them."""
    before = set(bpy.data.objects)
    bpy.ops.wm.ply_import(filepath=str(path), forward_axis="Y", up_axis="Z")
    made = [thing for thing in bpy.data.objects if thing not in before]
    if len(made) == 1 and made[0].type == "POINTCLOUD":
        if len(made[0].data.points) == len(cloud.means):
            splat_data.store_material(made[0].data, cloud)
        return made[0]
    for thing in made:
        bpy.data.objects.remove(thing)
    return None


def _with_nodes(context: bpy.types.Context, cloud: splat_file.Cloud, name: str) -> bpy.types.Object:
    """The splats as points with a geometry nodes modifier that draws them."""
    mesh = bpy.data.meshes.new(name)
    splat_data.fill(mesh, cloud)
    thing = bpy.data.objects.new(name, mesh)
    modifier = thing.modifiers.new(splat_nodes.NAME, "NODES")
    modifier.node_group = splat_nodes.group(cloud.harmonics.shape[1])
    selection.collection(context).objects.link(thing)
    return thing
