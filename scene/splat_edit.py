# SPDX-License-Identifier: GPL-3.0-or-later
"""Clouds that are in the scene, edited for good: Gaussians chosen and deleted, transforms applied, clouds merged."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix

from . import splat_bake, splat_data, splat_drawing, splat_nodes, splat_place, splat_proxy


def chosen(thing: bpy.types.Object, what: str, amount: float) -> np.ndarray:
    """Which Gaussians of a cloud are meant, (N,) bool.

    ``FAINT``: less opaque than ``amount``. ``LARGE``: more than ``amount`` times as large as usual. ``STRAY``: farther
    than ``amount`` times the usual distance from the middle. ``OUTSIDE``: outside of the crop box.
    Raises ``ValueError`` with an artist's sentence.
    """
    cloud = splat_data.read(thing)
    if what == "FAINT":
        return cloud.base[:, 3] < amount
    if what == "LARGE":
        size = cloud.scales.max(axis=1)
        return size > amount * np.median(size)
    if what == "STRAY":
        distance = np.linalg.norm(cloud.means - np.median(cloud.means, axis=0), axis=1)
        return distance > amount * np.median(distance)
    box = splat_drawing.value(thing, "Crop Box")
    if box is None:
        raise ValueError(f"“{thing.name}” has no crop box: add one first")
    bpy.context.view_layer.update()
    return ~splat_bake.inside(thing, box, cloud.means)


def delete(thing: bpy.types.Object, gone: np.ndarray) -> None:
    """Take Gaussians out of a cloud, (N,) bool; raises ``ValueError`` if none would be left."""
    _check_local(thing)
    if gone.all():
        raise ValueError(f"Nothing would be left of “{thing.name}”: choose less")
    splat_data.keep(thing.data, ~gone)


def select(thing: bpy.types.Object, which: np.ndarray) -> None:
    """Select these Gaussians, (N,) bool, and no others, for Edit Mode."""
    _check_local(thing)
    thing.data.vertices.foreach_set("select", which)
    thing.data.update()


def apply_transform(thing: bpy.types.Object) -> None:
    """Put an object's place, turn and size into its Gaussians, which Blender's own Apply does to their places alone."""
    _check_local(thing)
    bpy.context.view_layer.update()
    matrix = thing.matrix_world.copy()
    splat_data.fill(_own_mesh(thing), splat_place.placed(splat_data.read(thing), np.array(matrix)))
    thing.matrix_world = Matrix()
    thing[splat_drawing.AXES] = "Z_UP"
    for child in thing.children:
        _hold(child, matrix, thing)
    bpy.context.view_layer.update()


def merge(into: bpy.types.Object, others: list[bpy.types.Object]) -> None:
    """Move the Gaussians of other clouds into one, where and as they are seen; the others go.

    What hangs on them hangs on the one then, and their proxies become one. Raises ``ValueError`` with an artist's
    sentence if the clouds are drawn so differently that one cannot look as they do, nothing of them is seen, or the one
    hangs on another.
    """
    _check_local(into)
    # What another file's collection holds is there again when this file is opened.
    held = next((other for other in others if other.is_library_indirect), None)
    if held is not None:
        raise ValueError(splat_drawing.linked(held))
    bpy.context.view_layer.update()
    if abs(into.matrix_world.determinant()) < 1e-12:
        raise ValueError(f"“{into.name}” is scaled to nothing: give it a size first, or merge into another")
    above = into.parent
    while above is not None:
        if above in others:
            how = "merge into that, or clear the parent first, Object > Parent > Clear and Keep Transformation"
            raise ValueError(f"“{into.name}” hangs on “{above.name}”, which would go: {how}")
        above = above.parent
    things = [into, *others]
    shared, material = splat_bake.common(things), splat_bake.needs_material(things)
    whole = [splat_data.read(thing) for thing in things]
    kept = [splat_bake.shown(thing, cloud, shared) for thing, cloud in zip(things, whole, strict=True)]
    if not any(which.any() for which in kept):
        raise ValueError("Nothing is seen of these splats: move their crop boxes or lower Least Opacity first")
    first, *parts = (splat_bake.baked(thing, splat_place.part(cloud, which), shared, material)
                     for thing, cloud, which in zip(things, whole, kept, strict=True))  # fmt: skip
    inverse = into.matrix_world.inverted_safe()
    parts = [splat_place.placed(part, np.array(inverse @ other.matrix_world))
             for other, part in zip(others, parts, strict=True)]  # fmt: skip
    cloud, mesh = splat_place.merged([first, *parts]), _own_mesh(into)
    if not kept[0].all():
        splat_data.keep(mesh, kept[0])
    splat_data.fill(mesh, cloud)
    modifier = splat_drawing.modifier(into)
    assert modifier is not None
    modifier.node_group = splat_nodes.group(cloud.harmonics.shape[1])
    splat_proxy.join(into, others)
    for name, value in shared.items():
        if name != "Shadow Mesh":
            splat_drawing.set_input(into, name, value)
    for other in others:
        for child in other.children:
            _hold(child, other.matrix_world, into)
        _remove(other)


def _hold(child: bpy.types.Object, before: Matrix, parent: bpy.types.Object) -> None:
    """Hang a child on ``parent`` where it is, its keys too, ``before`` being the matrix of what it hangs on so far."""
    place, inverse = child.matrix_world.copy(), child.matrix_parent_inverse.copy()
    child.parent = parent
    if child.parent_type == "OBJECT":
        child.matrix_parent_inverse = parent.matrix_world.inverted_safe() @ before @ inverse
    else:
        child.parent_type = "OBJECT"
        child.matrix_world = place


def _check_local(thing: bpy.types.Object) -> None:
    told = splat_drawing.linked(thing, points=True)
    if told:
        raise ValueError(told)


def _own_mesh(thing: bpy.types.Object) -> bpy.types.Mesh:
    """An object's mesh, made its own first, so that linked duplicates stay as they are."""
    if thing.data.users > 1:
        thing.data = thing.data.copy()
    return thing.data


def _remove(thing: bpy.types.Object) -> None:
    mesh = thing.data
    bpy.data.objects.remove(thing)
    if not mesh.users:
        bpy.data.meshes.remove(mesh)
