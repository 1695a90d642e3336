# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that knows how Blender versions differ (verified on 4.2, 4.5, 5.0 and 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from typing import Any

import bpy

#: The colour space of linear images; its name before 4.0 was "Linear".
LINEAR = "Linear Rec.709" if bpy.app.version >= (4, 0, 0) else "Linear"


#: Options of a path that may begin at the .blend's folder; since 4.5 Blender makes all others absolute.
RELATIVE_PATH = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()

#: The kind of attribute that holds four numbers a point; before 5.2 a colour is the only one.
FOUR_FLOATS = "FLOAT4" if bpy.app.version >= (5, 2, 0) else "FLOAT_COLOR"

#: The switch of a scene's white balance, where there is one.
WHITE_BALANCE = ("use_white_balance",) if bpy.app.version >= (4, 3, 0) else ()

#: Whether saving a file with layers as a plain picture saves the finished one; 5.0 saves another pass, 5.1 may well.
SAVES_FINISHED = not (5, 0, 0) <= bpy.app.version < (5, 2, 0)

#: Whether the nodes are there that draw splats, and whether Blender draws splats itself when it imports their PLY.
SPLATS, NATIVE_SPLATS = bpy.app.version >= (4, 2, 0), bpy.app.version >= (5, 3, 0)


def node_tree(owner: bpy.types.World | bpy.types.Material | bpy.types.Light) -> bpy.types.NodeTree:
    """The shader nodes of a world, material or light, made if they are not there yet."""
    if bpy.app.version < (5, 0, 0) or owner.node_tree is None:
        owner.use_nodes = True
    assert owner.node_tree is not None
    return owner.node_tree


def compositor(scene: bpy.types.Scene, name: str, mark: str) -> tuple[bpy.types.NodeTree, bpy.types.Node]:
    """A compositor tree for the scene, without nodes that carry the custom property ``mark``, and its output node.

    What the artist composited stays in the file: since 5.0 as a node group, before that as nodes beside ours.
    """
    if hasattr(scene, "compositing_node_group"):
        tree = _node_group(scene, name)
        tree.nodes.clear()
        if not any(item.in_out == "OUTPUT" for item in tree.interface.items_tree):
            tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        output = tree.nodes.new("NodeGroupOutput")
    else:
        # Blender puts two nodes of its own into a tree that it makes.
        fresh = scene.node_tree is None
        scene.use_nodes = True
        assert scene.node_tree is not None
        tree = scene.node_tree
        for node in [node for node in tree.nodes if fresh or mark in node]:
            tree.nodes.remove(node)
        output = tree.nodes.new("CompositorNodeComposite")
        # Of several outputs the active one is rendered.
        tree.nodes.active = output
    switch_on_compositor(scene)
    return tree, output


def switch_on_compositor(scene: bpy.types.Scene) -> None:
    """Let renders go through the scene's compositor; since 5.0 nodes have no switch of their own."""
    scene.render.use_compositing = True
    if not hasattr(scene, "compositing_node_group"):
        scene.use_nodes = True


def _node_group(scene: bpy.types.Scene, name: str) -> bpy.types.NodeTree:
    """The scene's own compositing group of this name, made unless it has one that no other scene shows."""
    # The stubs are of 4.2, where there are no such groups.
    group = attrgetter("compositing_node_group")
    tree = group(scene)
    ours = tree is not None and tree.library is None and tree.name.partition(".")[0] == name
    if ours and not any(group(other) == tree for other in bpy.data.scenes if other != scene):
        return tree
    if tree is not None and not ours:
        tree.use_fake_user = True
    return bpy.data.node_groups.new(name, "CompositorNodeTree")


def compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The tree of the scene's compositor, if it has one; since 5.0 other scenes may have the same."""
    return scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree


def compositor_nodes(scene: bpy.types.Scene) -> list[bpy.types.Node]:
    """The nodes of the scene's compositor; none if it has no tree."""
    tree = compositor_tree(scene)
    return [] if tree is None else list(tree.nodes)


def use_physical_sky(texture: bpy.types.ShaderNodeTexSky) -> None:
    """Let a sky texture scatter light as air does, in the way that this version has; no disc of the sun."""
    # The name changed in 5.0; the stubs are of 4.2.
    texture.sky_type = "NISHITA" if bpy.app.version < (5, 0, 0) else "SINGLE_SCATTERING"  # type: ignore[assignment]
    texture.sun_disc = False


def branches(layer: bpy.types.ViewLayer) -> bpy.types.LayerCollection:
    """The tree of a view layer's collections; 5.2 makes a new layer's only when its active one is asked for."""
    _made = layer.active_layer_collection
    return layer.layer_collection


def strips(editor: bpy.types.SequenceEditor) -> bpy.types.SequencesTopLevel:
    """The strips of a sequencer; they were called sequences before 4.4."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def set_still_format(settings: bpy.types.ImageFormatSettings, file_format: str) -> None:
    """Choose a still image's file format; 5.x wants the kind of media first."""
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = file_format


@contextmanager
def output_kept(render: bpy.types.RenderSettings) -> Iterator[None]:
    """Put a scene's output path and kind of file back at the end, however it ends."""
    image = render.image_settings
    formats = ("media_type", "file_format", "color_mode", "color_depth", "exr_codec", "use_preview")
    with ExitStack() as restore:
        restore.callback(setattr, render, "filepath", render.filepath)
        # The stack goes on with the rest if one setting cannot be put back, as an engine that is switched off by now.
        # The kind of file comes first when it is unwound, because it decides what the others may be.
        for name in reversed([name for name in formats if hasattr(image, name)]):
            restore.callback(setattr, image, name, getattr(image, name))
        yield


def denoises() -> bool:
    """Whether Cycles has its denoiser; a render that asks for one ends with an error in Debian's builds without it."""
    try:
        import _cycles
    except ImportError:
        return False
    return bool(_cycles.with_openimagedenoise)


def let_through(material: bpy.types.Material) -> None:
    """Let EEVEE draw a material's transparency in any order of surfaces, as Cycles does, and cast such shadows."""
    if hasattr(material, "surface_render_method"):
        material.surface_render_method = "DITHERED"
        material.use_transparent_shadow = True
    else:
        material.blend_method, material.shadow_method = "HASHED", "HASHED"
    material.use_backface_culling = True


def modifier_input(modifier: bpy.types.NodesModifier, name: str) -> tuple[Any, str]:
    """Where a geometry nodes modifier keeps its input ``name``: the owner, and the property as layouts name it."""
    assert modifier.node_group is not None
    # The stubs know of no items of an interface.
    sockets: Any = modifier.node_group.interface.items_tree
    identifier = next(item.identifier for item in sockets if item.name == name and item.in_out == "INPUT")
    # Since 5.2 inputs are properties of their own; before, they were custom properties of the modifier.
    inputs = getattr(getattr(modifier, "properties", None), "inputs", None)
    return (modifier, f'["{identifier}"]') if inputs is None else (getattr(inputs, identifier), "value")


def curves(thing: Any) -> list[bpy.types.FCurve]:
    """The animation curves of a datablock; since 5.0 they lie in the layers of its action."""
    animation = thing.animation_data
    if animation is None or animation.action is None:
        return []
    bag = _channels(animation)
    return [] if bag is None else list(bag.fcurves)


def _channels(animation: bpy.types.AnimData) -> Any:
    """What holds a datablock's curves: the action itself before 5.0, then its bag of the datablock's slot."""
    action: Any = animation.action
    if hasattr(action, "fcurves"):
        return action
    bags = (bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags)
    slot: Any = attrgetter("action_slot_handle")(animation)
    return next((bag for bag in bags if bag.slot_handle == slot), None)


def new_curve(action: Any, thing: bpy.types.ID, path: str, index: int) -> bpy.types.FCurve:
    """A curve of an action that is assigned to the datablock."""
    if hasattr(action, "fcurve_ensure_for_datablock"):
        return action.fcurve_ensure_for_datablock(thing, path, index=index)  # type: ignore[no-any-return]
    return action.fcurves.new(path, index=index)  # type: ignore[no-any-return]


def remove_curve(thing: Any, curve: bpy.types.FCurve) -> None:
    """Take a curve away from a datablock's action."""
    assert thing.animation_data is not None
    _channels(thing.animation_data).fcurves.remove(curve)


def see_all_around(camera: bpy.types.Camera) -> None:
    """Let Cycles render an equirectangular panorama through a camera."""
    camera.type = "PANO"
    # The projection moved from Cycles' settings to the camera itself in 5.0.
    owner = camera if hasattr(camera, "panorama_type") else camera.cycles
    owner.panorama_type = "EQUIRECTANGULAR"


def keep_values(image: bpy.types.Image) -> None:
    """Let ``image.save()`` write a float image's numbers as they are.

    From an image that is marked linear, 4.2 to 5.2 write display values into an EXR; only data is left alone.
    """
    image.colorspace_settings.name = "Non-Color"


#: What inputs of a Principled shader were called before 4.0.
_EARLIER = {
    "Subsurface Weight": "Subsurface",
    "Specular IOR Level": "Specular",
    "Coat Weight": "Clearcoat",
    "Coat Roughness": "Clearcoat Roughness",
}


def principled_input(node: bpy.types.Node, name: str) -> bpy.types.NodeSocket:
    """The input of a Principled shader that has this name since 4.0."""
    return node.inputs[name if name in node.inputs else _EARLIER[name]]


def set_subsurface(node: bpy.types.Node, paths: tuple[float, ...]) -> None:
    """Let all diffuse light scatter below a Principled surface, ``paths`` scene units far on average in each colour."""
    # Of Cycles' methods this one takes the radius for the diffuse mean free path, whatever the colour of the surface.
    node.subsurface_method = "RANDOM_WALK"  # type: ignore[attr-defined]
    principled_input(node, "Subsurface Weight").default_value = 1.0
    longest = max(paths)
    if "Subsurface Scale" in node.inputs:
        node.inputs["Subsurface Scale"].default_value = longest
        node.inputs["Subsurface Radius"].default_value = tuple(path / longest for path in paths)
    else:
        node.inputs["Subsurface Radius"].default_value = paths


def subsurface_colour(node: bpy.types.Node) -> bpy.types.NodeSocket | None:
    """The input for the colour that is scattered, where a Principled shader does not take the base colour for it."""
    return node.inputs.get("Subsurface Color")


def corner_normals(mesh: bpy.types.Mesh) -> tuple[bpy.types.bpy_prop_collection, str]:
    """Where a mesh's normals at its corners are, and what the attribute is called."""
    if bpy.app.version >= (4, 1, 0):
        return mesh.corner_normals, "vector"
    mesh.calc_normals_split()  # type: ignore[attr-defined]
    return mesh.loops, "normal"
