# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo's depth as a mesh that can be seen, measured, mended, and clicked: what "Geometry" reads depth from.

The mesh is a grid of the photo's pixels, torn where the depth jumps, with the photo on it; it is kept out of renders.
"""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Matrix, Vector

from . import camera as cameras
from . import compat, frames, keys, own, probes, visible

#: The custom property that marks the mesh, and vertices along the photo's longer side.
MARK, SIDE = "limelight_depth", 192
#: Neighbours that differ by more than this factor belong to different things.
_TEAR = 1.12
#: A face counts as ground if it is level to within this angle, in radians; the plane may pass it at this share of the
#: camera's height. Less than this share of all that the camera sees is no ground.
_LEVEL, _NEAR, _LEAST = math.radians(20), 0.04, 1e-3


def find(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The scene's depth mesh, if there is one."""
    return next((o for o in scene.objects if MARK in o and o.type == "MESH" and own.is_local(o)), None)


def edited(scene: bpy.types.Scene) -> str:
    """What to do first where the depth mesh is in Edit Mode, or another: Blender gives it no other mesh then."""
    thing = find(scene)
    if thing is None or thing.mode == "OBJECT":
        return ""
    if thing in set(visible.layer(scene).objects):
        return "the depth mesh is being edited: go back to Object Mode first"
    return (
        "the depth mesh was excluded while it was edited: include its collection again, select it and go back to "
        "Object Mode first"
    )


def show(scene: bpy.types.Scene, depth: np.ndarray, frame: int | None = None) -> bpy.types.Object:
    """Make planar ``depth`` (H, W), rows from the top, scene units, +inf sky, seen by the camera, the depth mesh.

    An earlier one is replaced. On it is the photo's picture at ``frame``, None: the current one. Raises ``ValueError``
    if nothing of the depth is finite, while the earlier one is edited, and if the photo has no such picture.
    """
    camera = scene.camera
    if camera is None:
        raise ValueError("the scene has no camera")
    if told := edited(scene):
        raise ValueError(told)
    points, uv, faces = grid(scene, camera, depth)
    if not len(faces):
        raise ValueError("the depth shows nothing but sky")
    mesh = bpy.data.meshes.new("Photo depth")
    mesh.from_pydata(points.tolist(), [], faces.tolist())
    layer = mesh.uv_layers.new(name="Photo")
    layer.data.foreach_set("uv", uv[faces.ravel()].astype(np.float32).ravel())
    thing, material = find(scene), None
    if thing is None:
        thing = bpy.data.objects.new("Photo depth", mesh)
        thing[MARK] = True
        probes.collection(scene).objects.link(thing)
    else:
        old, material = thing.data, thing.active_material
        thing.data = mesh
        if not old.users:
            bpy.data.meshes.remove(old)
    visible.include(scene, thing)
    frame = scene.frame_current if frame is None else frame
    mesh.materials.append(_show_photo(scene, material or bpy.data.materials.new("Photo depth"), frame))
    thing.matrix_world = camera.matrix_world.normalized()
    thing.hide_render = True
    return thing


def grid(
    scene: bpy.types.Scene, camera: bpy.types.Object, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (P, 3) in the camera's frame, their place on the photo (P, 2) from its bottom left, and faces (F, 4)."""
    stride = max(1, math.ceil(max(depth.shape) / SIDE))
    depth = depth[stride // 2 :: stride, stride // 2 :: stride]
    rows, columns = depth.shape
    view = cameras.seen(scene, camera, columns, rows)
    u, v = _to_the_edges(columns), _to_the_edges(rows)
    rays = np.stack(
        [*np.meshgrid((u - view["cx"]) / view["fx"], (view["cy"] - v) / view["fy"]), -np.ones(depth.shape)], -1
    )
    places = np.stack(np.meshgrid(u / columns, 1 - v / rows), -1).reshape(-1, 2)
    finite = (depth > 0) & (depth < 1e9)
    far = np.where(finite, depth, 1.0).ravel()
    number = np.arange(rows * columns).reshape(rows, columns)
    corners = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1).reshape(-1, 4)
    corners = corners[finite.ravel()[corners].all(1)]
    at = far[corners]
    torn = at.max(1) >= _TEAR * at.min(1)
    # Between a near thing and a far one lies the far one: such faces get corners of their own at its depth.
    own = corners[torn].ravel()
    points = np.concatenate(
        [rays.reshape(-1, 3) * far[:, None], rays.reshape(-1, 3)[own] * at[torn].max(1).repeat(4)[:, None]]
    )
    places = np.concatenate([places, places[own]])
    faces = np.concatenate([corners[~torn], rows * columns + np.arange(len(own)).reshape(-1, 4)])
    # Only what some face uses stays.
    used = np.unique(faces)
    renumbered = np.full(len(points), -1)
    renumbered[used] = np.arange(len(used))
    return points[used], places[used], renumbered[faces]


def _to_the_edges(count: int) -> np.ndarray:
    """Centres of so many pixels, in pixels; the first and the last lie on the picture's edges, so that none is bare."""
    centres = np.arange(count) + 0.5
    centres[0], centres[-1] = 0.0, count
    return centres


def _show_photo(scene: bpy.types.Scene, material: bpy.types.Material, frame: int) -> bpy.types.Material:
    """Make a material the photo as it is at a frame, shining by itself."""
    tree = compat.node_tree(material)
    tree.nodes.clear()
    picture = tree.nodes.new("ShaderNodeTexImage")
    picture.image = scene.limelight.plate
    if picture.image is not None:
        frames.hold(scene, picture.image, picture, frame)
    shine = tree.nodes.new("ShaderNodeEmission")
    out = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(picture.outputs["Color"], shine.inputs["Color"])
    tree.links.new(shine.outputs["Emission"], out.inputs["Surface"])
    return material


def rescale(scene: bpy.types.Scene, factor: float) -> None:
    """Make everything that was measured in the photo ``factor`` times as far and large: the mesh and the probes.

    From the camera it all looks as before. Raises ``ValueError`` for a factor that is not positive and finite, or if
    one of them would not stay where it is put.
    """
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError("the distance must be larger than zero")
    camera = scene.camera
    assert camera is not None
    eye = camera.matrix_world.translation
    about = Matrix.Translation(eye) @ Matrix.Scale(factor, 4) @ Matrix.Translation(-eye)
    thing, spots = find(scene), probes.probes(scene)
    instead = "parent mesh and probes to an Empty where the camera is, and scale that"
    moved = [*spots] if thing is None else [thing, *spots]
    _refuse_held(moved, instead)
    _carry(moved, about)
    for probe in spots:
        probe.limelight.radius *= factor


def _refuse_held(moved: list[bpy.types.Object], instead: str) -> None:
    """Raise ``ValueError`` with a sentence if one of these would not stay where it is put."""
    for thing in moved:
        if keys.hold(thing):
            why = "because it has keyframes, drivers or constraints"
            raise ValueError(f"“{thing.name}” would not stay there, {why}; clear them, or {instead}")


def _carry(moved: list[bpy.types.Object], by: Matrix) -> None:
    """Move these by a matrix in the world; of probes the places alone."""
    goals = {thing: probes.to_world(thing).copy() for thing in moved}
    for thing, goal in goals.items():
        if probes.is_probe(thing):
            goal.translation = by @ goal.translation
        else:
            goals[thing] = by @ goal
    # What hangs on another, it may have taken along.
    for thing in sorted(moved, key=_generation):
        probes.put(thing, goals[thing])
        bpy.context.view_layer.update()


def _generation(thing: bpy.types.Object) -> int:
    return 0 if thing.parent is None else 1 + _generation(thing.parent)


def ground(
    points: np.ndarray, triangles: np.ndarray, rounds: int = 300, seed: int = 0
) -> tuple[np.ndarray, float] | None:
    """The largest level surface below the eye: unit normal (3,) and its distance under the origin, or None.

    points (P, 3) relative to the camera's place, z up; triangles (T, 3). RANSAC over the triangles that look up,
    weighted by area, then least squares.
    """
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1)
    normals = normals / np.maximum(area, 1e-12)[:, None]
    middle = corners.mean(1)
    # Seen from far a face is large; what counts is how much of the picture it fills.
    weight = area / np.maximum((middle**2).sum(1), 1e-9)
    level = (np.abs(normals[:, 2]) > math.cos(2 * _LEVEL)) & (middle[:, 2] < 0)
    if weight[level].sum() <= _LEAST * weight.sum():
        return None
    # The middles of its sides stand for a triangle: exact in least squares, and one triangle alone is a plane.
    places = (corners[level] + np.roll(corners[level], 1, axis=1)).reshape(-1, 3) / 2
    weight = weight[level].repeat(3)
    chosen = np.random.default_rng(seed).choice(len(places), (rounds, 3), p=weight / weight.sum())
    best, inside = -1.0, None
    for p, q, r in places[chosen]:
        normal = np.cross(q - p, r - p)
        length = np.linalg.norm(normal)
        if length < 1e-9:
            continue
        normal *= np.sign(normal[2]) / length
        if normal[2] < math.cos(_LEVEL):
            continue
        near = np.abs((places - p) @ normal) < _NEAR * abs(p @ normal)
        score = float(weight[near].sum())
        if score > best:
            best, inside = score, near
    if inside is None:
        return None
    centre = np.average(places[inside], axis=0, weights=weight[inside])
    spread = (places[inside] - centre) * np.sqrt(weight[inside])[:, None]
    normal = np.linalg.svd(spread, full_matrices=False)[2][-1]
    normal = normal * np.sign(normal[2])
    return normal, float(-centre @ normal)


def snap_to_ground(scene: bpy.types.Scene) -> float:
    """Turn and lift the camera, with the mesh and the probes, so that the photo's ground lies at z = 0; its height.

    Raises ``ValueError`` without a mesh or any ground in it, or if one of them would not stay where it is put.
    """
    thing, camera = find(scene), scene.camera
    if thing is None or camera is None:
        raise ValueError("there is no depth mesh: press Depth as Mesh first")
    instead = "parent camera, mesh and probes to an Empty and turn and lift that"
    moved = [camera, thing, *probes.probes(scene)]
    _refuse_held(moved, instead)
    thing.update_from_editmode()
    matrix, mesh = np.array(thing.matrix_world), thing.data
    corners = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", corners)
    eye = camera.matrix_world.translation.copy()
    points = corners.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3] - np.array(eye)
    # Whoever edits the mesh may make triangles and faces of any number of corners.
    mesh.calc_loop_triangles()
    triangles = np.empty(len(mesh.loop_triangles) * 3, np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles)
    found = ground(points, triangles.reshape(-1, 3))
    if found is None:
        raise ValueError("no level ground was found in the photo; turn the camera roughly upright, or use Geometry")
    normal, height = found
    turn = Vector(normal.tolist()).rotation_difference(Vector((0, 0, 1))).to_matrix().to_4x4()
    place = Vector((eye.x, eye.y, height))
    move = Matrix.Translation(place) @ turn @ Matrix.Translation(-eye)
    _carry(moved, move)
    return height
