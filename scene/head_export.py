# SPDX-License-Identifier: GPL-3.0-or-later
"""A head as glTF, by Blender's own exporter: mesh, eyes, maps, shape keys."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import head_eyes


def write(context: bpy.types.Context, head: bpy.types.Object, path: Path) -> None:
    """Export a head with its eyes to a .glb or .gltf file; the selection is put back.

    Raises ``RuntimeError`` with a sentence if Blender's exporter is switched off or refuses.
    """
    if "gltf" not in dir(bpy.ops.export_scene):
        raise RuntimeError("Blender's exporter is switched off: switch on Preferences > Add-ons > glTF 2.0 format")
    wanted = [head, *head_eyes.eyes(head)]
    layer = context.view_layer
    absent = [thing.name for thing in wanted if thing.name not in layer.objects]
    if absent:
        raise RuntimeError(f"“{absent[0]}” is in a collection that this view layer leaves out: switch it on")
    selected, active = list(context.selected_objects), layer.objects.active
    hidden = [thing for thing in wanted if thing.hide_get()]
    try:
        for thing in selected:
            thing.select_set(False)
        for thing in wanted:
            thing.hide_set(False)
            thing.select_set(True)
        layer.objects.active = head
        kind = "GLB" if path.suffix.lower() == ".glb" else "GLTF_SEPARATE"
        # Modifiers cannot be applied to a mesh with shape keys; the file has the mesh as it was fitted.
        bpy.ops.export_scene.gltf(
            filepath=str(path), export_format=kind, use_selection=True, export_apply=False, export_morph=True
        )
    finally:
        for thing in wanted:
            thing.select_set(False)
        for thing in hidden:
            thing.hide_set(True)
        for thing in selected:
            thing.select_set(True)
        layer.objects.active = active
