# SPDX-License-Identifier: GPL-3.0-or-later
"""The rendered objects and their shadows over the photo."""

from __future__ import annotations

from typing import Any

import bpy

from . import compat, frames, own, problems, visible

NAME = "Limelight composite"


def setup_composite(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """Lay the render over the plate in the compositor: transparent film, the photo's own colours kept.

    The view transform becomes Standard, without curves or white balance: all else would change the photo. Renders are
    not cropped to the region, see :func:`spoilt`. Raises ``ValueError`` without a plate.
    """
    plate = scene.limelight.plate
    if plate is None:
        raise ValueError("there is no photo to composite over")
    scene.render.film_transparent = True
    scene.render.use_crop_to_border = False
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0.0, 1.0
    for name in ("use_curve_mapping", *compat.WHITE_BALANCE):
        setattr(scene.view_settings, name, False)
    tree = _made_before(scene)
    if tree is None:
        return _build(scene, plate)
    compat.switch_on_compositor(scene)
    for photo in (node for node in tree.nodes if node.type == "IMAGE" and own.NODE in node):
        photo.image = plate  # type: ignore[attr-defined]
        frames.count(scene, plate, photo)
    return tree


def spoilt(scene: bpy.types.Scene) -> problems.Problem | None:
    """That renders would not show a composite as it is: strips stand in for it, or its photo would be squeezed into the
    render region, as nodes know of no part of a frame."""
    render, strips = scene.render, scene.sequence_editor
    if not render.use_compositing or _made_before(scene) is None:
        return None
    if render.use_sequencer and strips is not None and len(compat.strips(strips)):
        text = "Renders show the strips of the video sequencer instead of the composite"
        tip = "Switch Sequencer off in the post-processing of renders; the strips stay"
        return problems.setting(text, "Render the composite", "scene.render.use_sequencer", False, tip)
    if render.use_border and render.use_crop_to_border:
        text = "Crop to Render Region squeezes the photo of the composite into the region"
        tip = "Switch Crop to Render Region off; only the region is rendered all the same"
        return problems.setting(text, "Do not crop", "scene.render.use_crop_to_border", False, tip)
    return None


def _made_before(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The scene's own tree with all of Limelight's nodes: how the artist went on with them stays."""
    tree = compat.compositor_tree(scene)
    if tree is None or any(compat.compositor_tree(other) == tree for other in bpy.data.scenes if other != scene):
        return None
    made = {node.type for node in tree.nodes if own.NODE in node}
    return tree if made >= {"IMAGE", "SCALE", "R_LAYERS", "ALPHAOVER"} else None


def _build(scene: bpy.types.Scene, plate: bpy.types.Image) -> bpy.types.NodeTree:
    tree, output = compat.compositor(scene, NAME, own.NODE)
    below = min((node.location.y - 600 for node in tree.nodes if node != output), default=0.0)
    photo = tree.nodes.new("CompositorNodeImage")
    photo.image = plate
    frames.count(scene, plate, photo)
    fit = tree.nodes.new("CompositorNodeScale")
    _fit_to_render(fit)
    render = tree.nodes.new("CompositorNodeRLayers")
    render.scene, render.layer = scene, _shown(scene).name
    over = tree.nodes.new("CompositorNodeAlphaOver")
    # Of a picture with layers the finished one.
    shown = next((s for s in map(photo.outputs.get, ("Image", "Combined")) if s is not None), photo.outputs[0])
    tree.links.new(shown, fit.inputs[0])
    pictures = [s for s in over.inputs if s.type == "RGBA"]
    tree.links.new(fit.outputs[0], pictures[0])
    tree.links.new(render.outputs["Image"], pictures[1])
    tree.links.new(over.outputs[0], output.inputs[0])
    for column, node in enumerate((photo, fit, over, output)):
        node.location = (260 * column, below)
    render.location = (130, below - 320)
    for node in (photo, fit, over, output, render):
        node[own.NODE] = True
    return tree


def _shown(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The view layer that the artist looks at, or where that is not rendered, the first that is."""
    layer = visible.layer(scene)
    return layer if layer.use else next((other for other in scene.view_layers if other.use), layer)


def _fit_to_render(scale: Any) -> None:
    """The photo fills the render, whatever the percentage."""
    if hasattr(scale, "space"):
        scale.space, scale.frame_method = "RENDER_SIZE", "STRETCH"
        return
    scale.inputs["Type"].default_value = "Render Size"
    if "Frame Type" in scale.inputs:
        scale.inputs["Frame Type"].default_value = "Stretch"
