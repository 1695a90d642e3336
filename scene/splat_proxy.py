# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh that stands for a cloud where soft Gaussians do not serve: in shadows, and in light that it passes on.

It is the surface that the engine finds in the cloud, a child of the cloud, seen by nothing but rays for shadow and
diffuse light. What lies a little below the surface must not be shadowed by it, so a ray passes where it leaves the mesh
and is held where it enters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bmesh
import bpy
from mathutils import Matrix

from . import compat, own, splat_drawing
from .node_maths import Maths

NAME = "Limelight Splat Proxy"
_VERSION = 1
_COLOUR = "albedo"


def of(thing: bpy.types.Object) -> bpy.types.Object | None:
    """A cloud's proxy, if it has one."""
    return next((child for child in thing.children if splat_drawing.PROXY in child), None)


def add(thing: bpy.types.Object, path: Path) -> bpy.types.Object:
    """Give a cloud the mesh in a PLY, which is in the cloud's own axes, as its proxy; an earlier one goes.

    Raises ``RuntimeError`` with an artist's sentence.
    """
    earlier = of(thing)
    if earlier is not None:
        bpy.data.meshes.remove(earlier.data)
    made = _imported(path)
    made.name = made.data.name = f"{thing.name} proxy"
    made[splat_drawing.PROXY] = thing.name
    made.parent = thing
    for collection in list(made.users_collection):
        collection.objects.unlink(made)
    # Another file's collections, as those of an overridden cloud, take no objects.
    takes = [collection for collection in thing.users_collection if own.is_local(collection)]
    for collection in takes or [scene.collection for scene in thing.users_scene]:
        collection.objects.link(made)
    # EEVEE and the shader's own rule know less or more of these; together both engines skip what they can.
    for ray in ("camera", "glossy", "transmission", "volume_scatter"):
        setattr(made, f"visible_{ray}", False)
    made.display_type = "BOUNDS"
    made.hide_select = True
    made.data.materials.clear()
    made.data.materials.append(material())
    if "Shadow Mesh" in splat_drawing.inputs(thing):
        splat_drawing.set_input(thing, "Shadow Mesh", made)
    return made


def join(into: bpy.types.Object, others: list[bpy.types.Object]) -> None:
    """Make the proxies of clouds one, of the first cloud; where they lie."""
    proxies = [proxy for proxy in map(of, (into, *others)) if proxy is not None]
    if not any(proxy.parent != into for proxy in proxies):
        return
    edited = bmesh.new()
    for proxy in proxies:
        mesh, matrix = proxy.data.copy(), into.matrix_world.inverted_safe() @ proxy.matrix_world
        mesh.transform(matrix)
        if matrix.is_negative:
            mesh.flip_normals()
        edited.from_mesh(mesh)
        bpy.data.meshes.remove(mesh)
    first, *rest = proxies
    edited.to_mesh(first.data)
    edited.free()
    first.parent, first.matrix_parent_inverse, first.matrix_basis = into, Matrix(), Matrix()
    first[splat_drawing.PROXY] = into.name
    for proxy in rest:
        bpy.data.meshes.remove(proxy.data)
    if "Shadow Mesh" in splat_drawing.inputs(into):
        splat_drawing.set_input(into, "Shadow Mesh", first)


def _imported(path: Path) -> bpy.types.Object:
    before, view = set(bpy.data.objects), bpy.context.view_layer
    selected, active = list(view.objects.selected), view.objects.active
    bpy.ops.wm.ply_import(filepath=str(path), forward_axis="Y", up_axis="Z", import_colors="SRGB")
    made = [thing for thing in bpy.data.objects if thing not in before]
    for thing in made:
        thing.select_set(False, view_layer=view)
    for thing in selected:
        thing.select_set(True, view_layer=view)
    view.objects.active = active
    if len(made) != 1 or made[0].type != "MESH" or not len(made[0].data.polygons):
        for thing in made:
            bpy.data.objects.remove(thing)
        raise RuntimeError("The engine's mesh could not be read: make it again")
    colours = made[0].data.color_attributes
    if len(colours):
        colours[0].name = _COLOUR
    return made[0]


def material() -> bpy.types.Material:
    """The material of all proxies of a file, made once: of the cloud's colours, for the rays that are to see it."""
    for found in bpy.data.materials:
        if found.get(splat_drawing.PROXY) == _VERSION and not found.library:
            return found
    made = bpy.data.materials.new(NAME)
    made[splat_drawing.PROXY] = _VERSION
    tree = compat.node_tree(made)
    tree.nodes.clear()
    maths = Maths(tree)
    path = maths.node("ShaderNodeLightPath").outputs
    back = maths.node("ShaderNodeNewGeometry").outputs["Backfacing"]
    asked = maths.scalar("MAXIMUM", path["Is Shadow Ray"], path["Is Diffuse Ray"])
    diffuse = maths.node("ShaderNodeBsdfDiffuse")
    tree.links.new(maths.node("ShaderNodeAttribute", attribute_name=_COLOUR).outputs["Color"], diffuse.inputs[0])
    clear = maths.node("ShaderNodeBsdfTransparent")
    # Cycles looks from the surface to the lamp, EEVEE from the lamp: what one enters the other leaves.
    for target, solid in (("CYCLES", maths.subtract(1.0, back)), ("EEVEE", back)):
        mix: Any = maths.node("ShaderNodeMixShader")
        maths.put(mix.inputs[0], maths.multiply(asked, solid))
        tree.links.new(clear.outputs[0], mix.inputs[1])
        tree.links.new(diffuse.outputs[0], mix.inputs[2])
        output = maths.node("ShaderNodeOutputMaterial", target=target)
        tree.links.new(mix.outputs[0], output.inputs["Surface"])
    compat.let_through(made)
    # Both sides have a part to play.
    made.use_backface_culling = False
    return made
