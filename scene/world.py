# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe's environment as the scene's World: right in space without any rotation, with the sliders artists expect.

The engine writes world-frame panoramas as Blender's Environment Texture reads them, so nothing is turned by default.
"""

from __future__ import annotations

import bpy

from . import compat, light_frames, origin, own

NAME = "Limelight"
_LIGHT, _BACKGROUND = "Limelight light", "Limelight background"
#: What stands behind these in the names of the nodes before each shader.
_PARTS = (" rotation", " image", " tint")


def apply_world(scene: bpy.types.Scene, probe: bpy.types.Object, *, fill: bool = False) -> bpy.types.World:
    """Light the scene with a probe's environment (or, with ``fill``, with what the lamps leave of it).

    The scene's Limelight world is updated if there is one; any other world stays in the file and is only unassigned.
    Raises ``ValueError`` if the probe has no light yet.
    """
    image = probe.limelight.fill if fill else probe.limelight.environment
    if image is None:
        raise ValueError(f"{probe.name} has no estimated light yet")
    clear_other_light(scene)
    world = _world_of(scene)
    own.assign_world(scene, world)
    world.limelight.probe, world.limelight.token = probe.name, origin.token(scene, probe)
    show(world, image)
    return world


def _world_of(scene: bpy.types.Scene) -> bpy.types.World:
    """The scene's Limelight world, made at the first call; a world that another scene shows is never it."""
    others = [other for other in bpy.data.scenes if other != scene]
    # After local domes the scene shows a dark world; its Limelight world is remembered, with its settings.
    for world in (scene.limelight.world, scene.world):
        shared = any(world in (other.world, other.limelight.world) for other in others)
        if world is not None and own.is_own_world(world) and world.limelight.probe and not shared:
            break
    else:
        world = bpy.data.worlds.new(NAME)
    scene.limelight.world = world
    return world


def clear_other_light(scene: bpy.types.Scene) -> None:
    """Remove the lamps and domes that Limelight made: one way of lighting at a time, so that nothing counts twice."""
    from . import domes, lamps

    domes.remove_domes(scene)
    lamps.remove_lamps(scene)


def show(world: bpy.types.World, image: bpy.types.Image) -> None:
    """Let the world show an image; its settings are kept, and what the artist added to its nodes, too."""
    tree = compat.node_tree(world)
    made = [tree.nodes.get(f"{name}{part}") for name in (_LIGHT, _BACKGROUND) for part in ("", *_PARTS)]
    if not all(made):
        _build(tree)
    for name in (_LIGHT, _BACKGROUND):
        texture = tree.nodes[f"{name} image"]
        texture.image = image  # type: ignore[attr-defined]
        light_frames.count(texture)
    update(world)


def _build(tree: bpy.types.NodeTree) -> None:
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputWorld")
    choose = tree.nodes.new("ShaderNodeMixShader")
    path = tree.nodes.new("ShaderNodeLightPath")
    place = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(path.outputs["Is Camera Ray"], choose.inputs[0])
    for row, name in enumerate((_LIGHT, _BACKGROUND)):
        turn = tree.nodes.new("ShaderNodeMapping")
        turn.name = f"{name} rotation"
        # Type Texture turns the picture, not the lookup: positive is counter-clockwise seen from above.
        turn.vector_type = "TEXTURE"
        texture = tree.nodes.new("ShaderNodeTexEnvironment")
        texture.name = f"{name} image"
        tint = tree.nodes.new("ShaderNodeVectorMath")
        tint.name, tint.operation = f"{name} tint", "MULTIPLY"
        shader = tree.nodes.new("ShaderNodeBackground")
        shader.name = name
        tree.links.new(place.outputs["Generated"], turn.inputs["Vector"])
        tree.links.new(turn.outputs["Vector"], texture.inputs["Vector"])
        tree.links.new(texture.outputs["Color"], tint.inputs[0])
        tree.links.new(tint.outputs["Vector"], shader.inputs["Color"])
        tree.links.new(shader.outputs["Background"], choose.inputs[1 + row])
        for column, node in enumerate((turn, texture, tint, shader)):
            node.location = (-900 + 220 * column, 200 - 320 * row)
    place.location, path.location, choose.location, output.location = (-1120, 60), (-20, 420), (220, 200), (440, 200)
    tree.links.new(choose.outputs["Shader"], output.inputs["Surface"])


def update(world: bpy.types.World) -> None:
    """Bring the world's nodes, and the lamps made from the same estimate, in line with its Limelight settings.

    Does nothing to other worlds.
    """
    from . import lamps

    tree, settings = world.node_tree, world.limelight
    if tree is None or tree.nodes.get(_LIGHT) is None:
        return
    apart = settings.separate_background
    looks = (
        (_LIGHT, settings.strength_ev, settings.rotation),
        (
            _BACKGROUND,
            settings.background_strength_ev if apart else settings.strength_ev,
            settings.background_rotation if apart else settings.rotation,
        ),
    )
    for name, ev, rotation in looks:
        # The artist may have taken any of them away: the others, and the lamps, follow all the same.
        shader, turn, tint = (tree.nodes.get(f"{name}{part}") for part in ("", " rotation", " tint"))
        if shader is not None:
            shader.inputs["Strength"].default_value = 2.0**ev
        if turn is not None:
            turn.inputs["Rotation"].default_value[2] = rotation
        if tint is not None:
            tint.inputs[1].default_value = settings.tint
    for scene in bpy.data.scenes:
        if scene.world == world:
            lamps.follow(scene)
