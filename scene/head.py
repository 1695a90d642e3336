# SPDX-License-Identifier: GPL-3.0-or-later
"""A head from the engine as an object of the scene: built once for each face of a picture, then brought up to date."""

from __future__ import annotations

from pathlib import Path

import bpy

from . import camera as cameras
from . import head_eyes, head_light, head_material, head_mesh, heads, probes
from .head_file import HeadFile, read

_SMOOTH = "Smooth skin"
_STEM = 36


def build(
    scene: bpy.types.Scene, folder: Path, picture: bpy.types.Image, face: int, note: dict[str, object]
) -> bpy.types.Object:
    """The head in the engine's ``folder`` as the scene's object for this face of the picture; it is not placed yet.

    ``note`` is kept as how it was made (names as in ``HeadMemory``). Raises ``RuntimeError`` if the folder is damaged,
    ``ValueError`` if the artist made something else of the head's mesh; then nothing was changed.
    """
    fitted = read(folder)
    missing = [name for name in ("diffuse_albedo", "specular_albedo", "roughness", "normal", "eye")
               if not (folder / f"{name}.png").is_file()]  # fmt: skip
    if missing:
        raise RuntimeError(f"the engine left no {' and no '.join(missing)}.png; run it again, and see the engine's log")
    thing = heads.find(scene, picture, face)
    if thing is None:
        thing = _new(scene, picture)
    _leave_edit_mode(thing)
    head_mesh.check(thing, fitted)
    head_mesh.fill(thing, fitted)
    # Joining merges and adds slots; every part of the head had its material before.
    names = fitted.material_names if not head_mesh.is_joined(thing.data, fitted) else fitted.material_names[:1]
    eye = head_material.fill(thing, names, folder, cameras.metres(scene))
    head_eyes.fill(thing, fitted, eye)
    _remember(thing, fitted, picture, face, note)
    return thing


def _new(scene: bpy.types.Scene, picture: bpy.types.Image) -> bpy.types.Object:
    # As many bytes as leave room for what its parts are called.
    name = f"{Path(picture.name).stem.encode()[:_STEM].decode(errors='ignore')} head"
    thing = bpy.data.objects.new(name, bpy.data.meshes.new(name))
    probes.collection(scene).objects.link(thing)
    smooth = thing.modifiers.new(_SMOOTH, "SUBSURF")
    smooth.levels, smooth.render_levels = 1, 2
    return thing


def _leave_edit_mode(thing: bpy.types.Object) -> None:
    """What is being edited or sculpted, also by a linked duplicate, takes no new shape before that is left."""
    meshes = {part.data for part in (thing, *head_eyes.eyes(thing))}
    layer = bpy.context.view_layer
    for user in [other for other in bpy.data.objects if other.data in meshes and other.mode != "OBJECT"]:
        # Excluded meanwhile, it is no active object any more, by which Blender goes.
        if layer.objects.active is None and user in set(layer.objects):
            layer.objects.active = user
        with bpy.context.temp_override(active_object=user, object=user):
            bpy.ops.object.mode_set(mode="OBJECT")


def _remember(
    thing: bpy.types.Object, fitted: HeadFile, picture: bpy.types.Image, face: int, note: dict[str, object]
) -> None:
    memory = thing.limelight.head
    memory.is_head, memory.picture, memory.face = True, picture, face
    memory.rotation = [value for row in fitted.rotation.tolist() for value in row]
    memory.translation, memory.fov_deg = fitted.translation.tolist(), fitted.fov_x_deg
    memory.irradiance = [-1.0] * 3 if fitted.light is None else head_light.of_fit(fitted.light)
    for name, value in note.items():
        setattr(memory, name, value)
