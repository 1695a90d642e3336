# SPDX-License-Identifier: GPL-3.0-or-later
"""Local domes: every probe lights the objects nearest to it, all in one render, by light linking (Blender 4.0+)."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix, Vector

from . import compat, keys, light_frames, origin, own, probes, renderer, visible, world

_LIT = {"MESH", "CURVE", "SURFACE", "META", "FONT", "VOLUME", "POINTCLOUD", "CURVES"}


def apply_domes(scene: bpy.types.Scene, lit: list[bpy.types.Object]) -> list[bpy.types.Object]:
    """One emissive dome a probe in ``lit``, linked to the objects nearest to that probe; earlier domes are replaced.

    The World stops lighting (it would count twice), and Cycles renders: EEVEE sees no light of a mesh. Raises
    ``RuntimeError`` where Blender has no light linking, or there is nothing to light.
    """
    if "light_linking" not in bpy.types.Object.bl_rna.properties:
        raise RuntimeError("Local domes need the light linking of Blender 4.0 or newer")
    layer = visible.layer(scene)
    with visible.as_rendered(layer):
        # What viewports leave out, Blender does not place.
        layer.update()
        corners = {o: found for o in scene.objects if (found := _corners(o))}
    if not corners:
        raise RuntimeError("Local domes light objects, and a render shows none: add one first")
    renderer.use_cycles(scene)
    world.clear_other_light(scene)
    places = {probe: probes.to_world(probe).translation for probe in lit}
    nearest = {o: _nearest(found, places) for o, found in corners.items()}
    reach = ((corner - place).length for o in corners for corner in corners[o] for place in places.values())
    size = 4 * max([1.0, *reach])
    domes = []
    for probe in lit:
        if probe not in nearest.values():
            # A dome whose list of receivers is empty would light everything.
            continue
        dome = _dome(scene, probe, size)
        receivers = bpy.data.collections.new(f"{probe.name} receivers")
        for o in corners:
            if nearest[o] == probe:
                receivers.objects.link(o)
        dome.light_linking.receiver_collection = receivers
        domes.append(dome)
    _darken(scene)
    return domes


def remove_domes(scene: bpy.types.Scene) -> None:
    """Delete the domes of this file and what belongs to them.

    A linked copy of the scene loses them, too: the light of one of their probes becomes its World, or it would be dark.
    """
    made = [o for o in scene.objects if o.get(own.DOME) and own.is_local(o)]
    lit = next((p for p in map(origin.probe_of, made) if p is not None and p.limelight.environment is not None), None)
    dark = [other for other in bpy.data.scenes if other.world is not None and own.DARK in other.world]
    copies = [other for other in dark if other != scene and any(o in made for o in other.objects)]
    # Linked duplicates share all that is theirs, and all go with it.
    links = [dome.light_linking.receiver_collection for dome in made]
    receivers = {collection for collection in links if collection is not None}
    meshes = {dome.data for dome in made}
    materials = {material for mesh in meshes for material in mesh.materials} - {None}
    for dome in made:
        keys.forget(dome)
    for collection in receivers:
        bpy.data.collections.remove(collection)
    for mesh in meshes:
        bpy.data.meshes.remove(mesh)
    for material in materials:
        if not material.users:
            bpy.data.materials.remove(material)
    if lit is not None:
        for copy in copies:
            world.apply_world(copy, lit)


def _corners(thing: bpy.types.Object) -> list[Vector]:
    """World corners of the boxes about all that a dome would light of an object, or of the collection it instances."""
    # Domes of another file stay, around all of it.
    if thing.hide_render or own.DOME in thing:
        return []
    instanced = thing.instance_collection if thing.instance_type == "COLLECTION" else None
    if thing.type == "EMPTY" and instanced is not None:
        put = thing.matrix_world @ Matrix.Translation(-instanced.instance_offset)
        return [put @ corner for part in instanced.all_objects for corner in _corners(part)]
    if thing.type not in _LIT:
        return []
    # Without dimensions, Blender knows of no box.
    box = thing.bound_box if any(thing.dimensions) else [(0.0, 0.0, 0.0)]
    return [thing.matrix_world @ Vector(corner) for corner in box]


def _nearest(corners: list[Vector], places: dict[bpy.types.Object, Vector]) -> bpy.types.Object:
    """The probe that is nearest to the middle of what has these corners."""
    box = np.array(corners)
    middle = Vector((box.min(0) + box.max(0)) / 2)
    return min(places, key=lambda probe: (middle - places[probe]).length)


def _dome(scene: bpy.types.Scene, probe: bpy.types.Object, radius: float) -> bpy.types.Object:
    import bmesh

    mesh = bpy.data.meshes.new(f"{probe.name} dome")
    shape = bmesh.new()
    bmesh.ops.create_icosphere(shape, subdivisions=4, radius=radius)
    shape.to_mesh(mesh)
    shape.free()
    mesh.materials.append(_material(probe))
    dome = bpy.data.objects.new(f"{probe.name} dome", mesh)
    dome[own.DOME] = origin.token(scene, probe)
    dome.location = probes.to_world(probe).translation
    track = light_frames.track(probe)
    if track is not None:
        keys.animate(dome, "location", keys.times(scene, track.frames), track.places)
    dome.visible_camera = dome.visible_shadow = False
    # What a shadow catcher would get without the objects, Cycles learns from rays that meet catchers alone: if they did
    # not meet the dome, too, shadows would come out too weak.
    dome.is_shadow_catcher = True
    dome.hide_select = True
    dome.display_type = "BOUNDS"
    probes.light_collection(scene).objects.link(dome)
    return dome


def _material(probe: bpy.types.Object) -> bpy.types.Material:
    material = bpy.data.materials.new(f"{probe.name} dome")
    tree = compat.node_tree(material)
    tree.nodes.clear()
    place = tree.nodes.new("ShaderNodeTexCoord")
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = probe.limelight.environment
    light_frames.count(texture)
    emission = tree.nodes.new("ShaderNodeEmission")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    # The dome is centred on the probe: a point of it, in object space, is the direction it stands for.
    tree.links.new(place.outputs["Object"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], emission.inputs["Color"])
    # Rays on their way to another probe's dome must pass through this one.
    through, both = tree.nodes.new("ShaderNodeBsdfTransparent"), tree.nodes.new("ShaderNodeAddShader")
    tree.links.new(emission.outputs["Emission"], both.inputs[0])
    tree.links.new(through.outputs[0], both.inputs[1])
    tree.links.new(both.outputs[0], output.inputs["Surface"])
    return material


def _darken(scene: bpy.types.Scene) -> None:
    dark = next((w for w in bpy.data.worlds if own.DARK in w and own.is_local(w)), None)
    dark = dark or bpy.data.worlds.new("Limelight dark")
    background = next((n for n in compat.node_tree(dark).nodes if n.type == "BACKGROUND"), None)
    if background is not None:
        background.inputs["Strength"].default_value = 0.0
    dark[own.DARK] = True
    own.assign_world(scene, dark)
