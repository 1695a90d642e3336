# SPDX-License-Identifier: GPL-3.0-or-later
"""A scanned mesh and its photos: written down for the engine, and dressed in the textures that it learns."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from . import compat, own, packed, splat_drawing, whole_file

#: Marks Limelight's material and images.
MARK = "limelight_textures"
UV_LAYER = "Limelight"
#: What each of the engine's maps drives, and whether it is colour.
_MAPS = {"albedo": ("Base Color", True), "metallic": ("Metallic", False), "roughness": ("Roughness", False)}


def problem(thing: bpy.types.Object | None, unwrap: bool) -> str:
    """What keeps textures from being learnt for the object, as a sentence; empty if nothing does."""
    if thing is None or thing.type != "MESH" or splat_drawing.is_splats(thing):
        return "The active object is no mesh: click the scan first"
    if not own.is_local(thing) or not own.is_local(thing.data):
        return f"“{thing.name}” is linked from another file: make it local first"
    if not len(thing.data.polygons):
        return f"“{thing.name}” has no faces: choose another mesh"
    if not is_fresh(thing, unwrap):
        return ""
    if thing.mode == "EDIT":
        return "Leave Edit Mode first: the mesh gets a new UV map"
    if any(modifier.show_viewport for modifier in thing.modifiers):
        return f"Apply the modifiers of “{thing.name}” first: its new UV map is for the mesh as it is seen"
    sides = np.empty(len(thing.data.polygons), np.int32)
    thing.data.polygons.foreach_get("loop_total", sides)
    if (sides == 3).all():
        return ""
    lacks = "cannot be unwrapped as it is" if len(thing.data.uv_layers) else "has no UV map"
    return f"“{thing.name}” {lacks}: triangulate it, or unwrap it by Smart UV Project in Edit Mode"


def is_fresh(thing: bpy.types.Object, unwrap: bool) -> bool:
    """Whether the mesh is to get a new UV map."""
    return unwrap or not len(thing.data.uv_layers)


def write(path: Path, context: bpy.types.Context, thing: bpy.types.Object, fresh: bool) -> None:
    """Write the mesh as it is seen, in its own axes, as a binary PLY of triangles with normals, and UVs if they are not
    to be ``fresh``; whole or not at all."""
    if thing.mode == "EDIT":
        thing.update_from_editmode()
    graph = context.evaluated_depsgraph_get()
    seen = thing.evaluated_get(graph)
    mesh = thing.data if fresh else seen.to_mesh(preserve_all_data_layers=True, depsgraph=graph)
    try:
        loops = _solid_corners(mesh)
        columns = [_values(mesh.vertices, "co", 3)[_numbers(mesh.loops, "vertex_index")[loops]]]
        columns.append(_values(*compat.corner_normals(mesh), 3)[loops])
        if not fresh:
            assert mesh.uv_layers.active is not None
            columns.append(_values(mesh.uv_layers.active.data, "uv", 2)[loops])
    finally:
        if not fresh:
            seen.to_mesh_clear()
    names = ["x", "y", "z", "nx", "ny", "nz", *([] if fresh else ["s", "t"])]
    faces = np.zeros(len(loops) // 3, [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, np.arange(len(loops)).reshape(-1, 3)
    lines = ["ply", "format binary_little_endian 1.0", "comment Limelight", f"element vertex {len(loops)}"]
    lines += [f"property float {name}" for name in names] + [f"element face {len(faces)}"]
    head = "\n".join([*lines, "property list uchar int vertex_indices", "end_header\n"]).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    whole_file.write(path, head + np.concatenate(columns, 1).astype("<f4").tobytes() + faces.tobytes())


def frames(thing: bpy.types.Object) -> list[list[list[float]]]:
    """Matrices from the mesh's own axes to those that its cameras may have: the scene's, or those of the file that the
    mesh came from, wherever the artist put it; each as it is and turned as programs' axes differ."""
    found: list[np.ndarray] = []
    for degrees in (0, 90, -90, 180):
        turn = Matrix.Rotation(math.radians(degrees), 4, "X")
        for matrix in (np.array(turn @ thing.matrix_world), np.array(turn)):
            if not any(np.allclose(matrix, other, atol=1e-5) for other in found):
                found.append(matrix)
    return [matrix.tolist() for matrix in found]


def wear(thing: bpy.types.Object, folder: Path, fresh: bool) -> None:
    """Dress the object in the maps in ``folder``, packed; ``fresh``: in a UV map of their own.

    Its mesh keeps the materials that it had: slots are linked to the object. ``RuntimeError`` with a sentence if the
    mesh is another one by now, or a map cannot be read.
    """
    layer = _unwrap(thing, folder) if fresh else thing.data.uv_layers.active.name
    there = [slot.material for slot in thing.material_slots]
    ours = [material for material in there if material is not None and MARK in material and own.is_local(material)]
    material = ours[0] if ours else _new(f"{thing.name} textures")
    for name, (_, colour) in _MAPS.items():
        packed.show(material, name, folder / f"{name}.png", f"{thing.name} {name}", MARK, data=not colour)
    place = compat.node_tree(material).nodes.get(UV_LAYER)
    if place is not None:
        place.uv_map = layer  # type: ignore[attr-defined]
    if not len(thing.material_slots):
        thing.data.materials.append(None)
    for slot in thing.material_slots:
        slot.link = "OBJECT"
        slot.material = material


def _unwrap(thing: bpy.types.Object, folder: Path) -> str:
    """Give the mesh the UV map that the engine made; its name."""
    if thing.mode == "EDIT":
        raise RuntimeError(f"leave Edit Mode of “{thing.name}”, then click again: the textures are there")
    uv = np.load(folder / "uv.npy", allow_pickle=False)
    mesh, loops = thing.data, _solid_corners(thing.data)
    if len(loops) != 3 * len(uv):
        raise RuntimeError(f"the mesh of “{thing.name}” was changed meanwhile: learn its textures from the start")
    layer = mesh.uv_layers.get(UV_LAYER) or mesh.uv_layers.new(name=UV_LAYER, do_init=False)
    if layer is None:
        raise RuntimeError(f"“{thing.name}” has as many UV maps as there can be: remove one, then click again")
    values = np.zeros((len(mesh.loops), 2), np.float32)
    values[loops] = uv.reshape(-1, 2)
    layer.data.foreach_set("uv", values.ravel())
    layer.active = layer.active_render = True
    return layer.name


def _solid_corners(mesh: bpy.types.Mesh) -> np.ndarray:
    """(3 F,): the loops of the corners of all triangles that have an area, which are those that the engine keeps."""
    mesh.calc_loop_triangles()
    loops = _numbers(mesh.loop_triangles, "loops", 3)
    corners = _values(mesh.vertices, "co", 3)[_numbers(mesh.loops, "vertex_index")[loops]].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return loops[np.linalg.norm(across, axis=1) > 0].ravel()


def _values(rows: bpy.types.bpy_prop_collection, name: str, size: int) -> np.ndarray:
    found = np.empty(size * len(rows), np.float32)
    rows.foreach_get(name, found)
    return found.reshape(-1, size)


def _numbers(rows: bpy.types.bpy_prop_collection, name: str, size: int = 1) -> np.ndarray:
    found = np.empty(size * len(rows), np.int32)
    rows.foreach_get(name, found)
    return found.reshape(-1, size) if size > 1 else found


def _new(name: str) -> bpy.types.Material:
    """A Principled surface that waits for its maps."""
    material = bpy.data.materials.new(name)
    material[MARK] = True
    tree = compat.node_tree(material)
    tree.nodes.clear()
    surface, output = tree.nodes.new("ShaderNodeBsdfPrincipled"), tree.nodes.new("ShaderNodeOutputMaterial")
    place = tree.nodes.new("ShaderNodeUVMap")
    place.name = place.label = UV_LAYER
    output.location, place.location = (300, 0), (-700, 0)
    tree.links.new(surface.outputs["BSDF"], output.inputs["Surface"])
    for row, (called, (socket, _)) in enumerate(_MAPS.items()):
        node = tree.nodes.new("ShaderNodeTexImage")
        node.name = node.label = called
        node.location, node.extension = (-400, 300 - 300 * row), "EXTEND"
        tree.links.new(place.outputs["UV"], node.inputs["Vector"])
        tree.links.new(node.outputs["Color"], surface.inputs[socket])
    return material
