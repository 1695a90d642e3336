# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes: Empties that mark where the light is wanted."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
from mathutils import Matrix, Vector

from . import keys, own, visible

COLLECTION = "Limelight"


def collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    """The scene's collection for what Limelight adds, made at the first call."""
    found = next(_ours(scene), None)
    if found is None:
        found = bpy.data.collections.new(COLLECTION)
        scene.collection.children.link(found)
    elif scene == bpy.context.scene:
        # Switched off in the view layer, what is added would neither show nor shine.
        _include(bpy.context.view_layer.layer_collection, found)
    return found


def light_collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    """As :func:`collection`, but no other scene's too, as in a linked copy: what shines in it would light both."""
    others = {c for other in bpy.data.scenes if other != scene for c in other.collection.children_recursive}
    ours = collection(scene)
    if ours not in others:
        return ours
    private = next((c for c in _ours(scene) if c not in others), None)
    if private is None:
        private = bpy.data.collections.new(COLLECTION)
        scene.collection.children.link(private)
    return private


def _ours(scene: bpy.types.Scene) -> Iterator[bpy.types.Collection]:
    """The scene's collections of this file that hold what Limelight adds."""
    named = (c for c in scene.collection.children_recursive if c.name.split(".")[0] == COLLECTION)
    return filter(own.is_local, named)


def _include(layer: bpy.types.LayerCollection, wanted: bpy.types.Collection) -> None:
    for child in layer.children:
        if child.collection == wanted and child.exclude:
            child.exclude = False
        _include(child, wanted)


def add_probe(
    scene: bpy.types.Scene, location: Vector | tuple[float, float, float], radius: float, name: str = "Probe"
) -> bpy.types.Object:
    """A new probe at a world position; ``radius`` of its sphere in scene units."""
    probe = bpy.data.objects.new(name, None)
    probe.empty_display_type = "SPHERE"
    probe.empty_display_size = radius
    probe.location = location
    probe.show_name = True
    probe.hide_render = True
    probe.limelight.is_probe = True
    probe.limelight.radius = radius
    collection(scene).objects.link(probe)
    return probe


def surface_point(location: Vector, normal: Vector, radius: float) -> Vector:
    """The centre of a sphere that lies on a surface: offset out of it by a little more than the radius."""
    return location + normal.normalized() * radius * 1.05


def is_probe(thing: bpy.types.Object) -> bool:
    """Whether this is a probe; a duplicated Empty is one too, one of another file is none."""
    return thing.type == "EMPTY" and thing.limelight.is_probe and own.is_local(thing)


def probes(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """All probes of the scene by name."""
    return sorted(filter(is_probe, scene.objects), key=lambda o: o.name)


def named(scene: bpy.types.Scene, name: str) -> bpy.types.Object | None:
    """The scene's probe of this name, if there is one."""
    thing = scene.objects.get(name)
    if thing is not None and is_probe(thing):
        return thing
    # Another file's objects may have the names of this one's, and come first.
    return next((probe for probe in probes(scene) if probe.name == name), None)


def used(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The probes whose light is wanted."""
    return [probe for probe in probes(scene) if probe.limelight.use]


def to_world(probe: bpy.types.Object) -> Matrix:
    """A probe's frame to world, also where collections are excluded or switched off in viewports.

    Blender does not place what those hold, and once the file was opened anew has it at the world's origin.
    """
    return probe.matrix_world if _is_told(probe) else _above(probe) @ probe.matrix_basis


def put(thing: bpy.types.Object, matrix: Matrix) -> None:
    """Give an object this frame to world, as :func:`to_world` tells it."""
    if _is_told(thing):
        thing.matrix_world = matrix
    else:
        # Blender would take the parent for standing where it last placed it.
        thing.matrix_basis = _above(thing).inverted_safe() @ matrix


def _is_told(thing: bpy.types.Object) -> bool:
    """Whether Blender tells where an object is, or nobody could."""
    return keys.constrain(thing) or thing.parent_type != "OBJECT" or _is_placed(thing)


def _above(thing: bpy.types.Object) -> Matrix:
    """What an object's own frame lies in, to world."""
    return Matrix() if thing.parent is None else to_world(thing.parent) @ thing.matrix_parent_inverse


def is_stuck(probe: bpy.types.Object) -> bool:
    """Whether nobody knows where a probe is: keys or the like say it, and Blender does not place it."""
    if _is_placed(probe):
        return False
    above = probe.parent
    return keys.hold(probe) or (above is not None and (probe.parent_type != "OBJECT" or is_stuck(above)))


def release(probe: bpy.types.Object) -> None:
    """Let viewports have a probe, so that Blender places it."""
    layer = bpy.context.view_layer
    for owner, name in visible.left_out(layer, probe):
        setattr(owner, name, False)
    moved: bpy.types.Object | None = probe
    while moved is not None:
        # What comes back is where its keys had it when it went.
        moved.update_tag(refresh={"TIME"})
        moved = moved.parent
    layer.update()


def _is_placed(thing: bpy.types.Object) -> bool:
    return visible.is_placed(bpy.context.view_layer, thing)


def move(probe: bpy.types.Object, location: Vector) -> None:
    """Put a probe's centre to a world position."""
    matrix = to_world(probe).copy()
    matrix.translation = location
    put(probe, matrix)


def radius_in_world(probe: bpy.types.Object) -> float:
    """The radius of a probe's sphere in scene units, its Empty's scale included."""
    return probe.limelight.radius * max(abs(s) for s in to_world(probe).to_scale())


def position_in_camera(probe: bpy.types.Object, camera: bpy.types.Object) -> Vector:
    """The probe's place in the camera's frame: x right, y up, looking along −z."""
    return camera.matrix_world.normalized().inverted() @ to_world(probe).translation
