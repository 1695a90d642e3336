# SPDX-License-Identifier: GPL-3.0-or-later
"""A head as glTF, by Blender's own exporter: mesh, eyes, maps, shape keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bpy

from . import head_eyes


def write(context: bpy.types.Context, head: bpy.types.Object, path: Path) -> None:
    """Export a head with its eyes, hidden or not, and the artist's armature that moves it, to a .glb or .gltf file; the
    selection is put back.

    Raises ``RuntimeError`` with a sentence if Blender's exporter is switched off or refuses.
    """
    if "gltf" not in dir(bpy.ops.export_scene):
        raise RuntimeError("Blender's exporter is switched off: switch on Preferences > Add-ons > glTF 2.0 format")
    kind = "GLB" if path.suffix.lower() == ".glb" else "GLTF_SEPARATE"
    rig = head.find_armature()
    with _selected(context, [head, *head_eyes.eyes(head), *([rig] if rig is not None else [])]):
        # Modifiers cannot be applied to a mesh with shape keys; the file has the mesh as it was fitted. What is
        # selected in other scenes would come along.
        bpy.ops.export_scene.gltf(
            filepath=str(path),
            export_format=kind,
            use_selection=True,
            use_active_scene=True,
            export_apply=False,
            export_morph=True,
        )


@contextmanager
def _selected(context: bpy.types.Context, wanted: list[bpy.types.Object]) -> Iterator[None]:
    """Inside this nothing but these objects is selected, whatever hides them or keeps them from being selected."""
    layer, root = context.view_layer, context.scene.collection
    selected, active = list(context.selected_objects), layer.objects.active
    # Here they can be seen and selected, whatever the collections are set to that they are in.
    stage = bpy.data.collections.new("Limelight export")
    with ExitStack() as restore:
        restore.callback(bpy.data.collections.remove, stage)
        root.children.link(stage)
        for thing in wanted:
            stage.objects.link(thing)
            for switch in ("hide_viewport", "hide_select"):
                restore.callback(setattr, thing, switch, getattr(thing, switch))
                setattr(thing, switch, False)
        layer.update()
        for thing in wanted:
            restore.callback(thing.hide_set, thing.hide_get())
            thing.hide_set(False)
        for thing in selected:
            thing.select_set(False)
        for thing in wanted:
            thing.select_set(True)
        layer.objects.active = wanted[0]
        try:
            yield
        finally:
            for thing in wanted:
                thing.select_set(False)
            for thing in selected:
                thing.select_set(True)
            layer.objects.active = active
