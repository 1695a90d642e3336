# SPDX-License-Identifier: GPL-3.0-or-later
"""Clouds that are in the scene, edited for good: Gaussians chosen and deleted, transforms applied, clouds merged."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from . import splat_data, splat_drawing, splat_nodes, splat_place


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
    matrix = np.array(box.matrix_world.inverted_safe() @ thing.matrix_world)
    return (np.abs(cloud.means @ matrix[:3, :3].T + matrix[:3, 3]) >= 1).any(axis=1)


def delete(thing: bpy.types.Object, gone: np.ndarray) -> None:
    """Take Gaussians out of a cloud, (N,) bool; raises ``ValueError`` if none would be left."""
    if gone.all():
        raise ValueError(f"Nothing would be left of “{thing.name}”: choose less")
    splat_data.keep(thing.data, ~gone)


def select(thing: bpy.types.Object, which: np.ndarray) -> None:
    """Select these Gaussians, (N,) bool, and no others, for Edit Mode."""
    thing.data.vertices.foreach_set("select", which)
    thing.data.update()


def apply_transform(thing: bpy.types.Object) -> None:
    """Put an object's place, turn and size into its Gaussians, which Blender's own Apply does to their places alone."""
    bpy.context.view_layer.update()
    placed = splat_place.placed(splat_data.read(thing), np.array(thing.matrix_world))
    splat_data.replace(_own_mesh(thing), placed)
    children = {child: child.matrix_world.copy() for child in thing.children}
    thing.matrix_world = thing.matrix_world.Identity(4)
    thing[splat_drawing.AXES] = "Z_UP"
    bpy.context.view_layer.update()
    for child, matrix in children.items():
        child.matrix_world = matrix


def merge(into: bpy.types.Object, others: list[bpy.types.Object]) -> None:
    """Move the Gaussians of other clouds into one, where and as they are seen; the others go, with their proxies."""
    bpy.context.view_layer.update()
    inverse = into.matrix_world.inverted_safe()
    parts = [splat_place.placed(splat_data.read(other), np.array(inverse @ other.matrix_world)) for other in others]
    cloud = splat_place.merged([splat_data.read(into), *parts])
    splat_data.replace(_own_mesh(into), cloud)
    modifier = splat_drawing.modifier(into)
    assert modifier is not None
    values: dict[str, Any] = {name: splat_drawing.value(into, name) for name in splat_nodes.INPUTS}
    modifier.node_group = splat_nodes.group(cloud.harmonics.shape[1])
    for name, value in values.items():
        splat_drawing.set_input(into, name, value)
    for other in others:
        for child in list(other.children):
            if splat_drawing.PROXY in child:
                _remove(child)
        _remove(other)


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
