# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe's environment as an asset: a World with a thumbnail made from the map itself, well exposed."""

from __future__ import annotations

import bpy
import numpy as np

from . import compat, light_frames, origin, own, packed
from . import world as worlds

_SIDE = 256


def mark_asset(scene: bpy.types.Scene, probe: bpy.types.Object) -> bpy.types.World:
    """Make (or update) a World of the probe's environment and mark it as an asset with tags and thumbnail.

    It has a map of its own, so that it stays as it is while the probe gets other light. Raises ``ValueError`` without
    light, ``RuntimeError`` if its file is gone.
    """
    image = probe.limelight.environment
    if image is None:
        raise ValueError(f"{probe.name} has no estimated light yet")
    shown = thumbnail(light_frames.values(image, scene.frame_current))
    made = (w for w in bpy.data.worlds if w.asset_data and not w.library and origin.probe_of(w) == probe)
    world = next(made, None) or bpy.data.worlds.new(f"{probe.name} environment")
    world.limelight.probe, world.limelight.token = probe.name, origin.token(scene, probe)
    world[own.ASSET] = True
    earlier = {node.image for node in compat.node_tree(world).nodes if node.type == "TEX_ENVIRONMENT"}
    kept = image.copy()
    kept.name = f"{world.name} map"
    if kept.packed_file is not None:
        packed.name_file(kept, ".exr")
    worlds.show(world, kept)
    for before in earlier:
        if before is not None and not before.users:
            bpy.data.images.remove(before)
    world.asset_mark()
    assert world.asset_data is not None
    world.asset_data.description = f"HDR environment estimated at {probe.name}"
    for tag in ("HDRI", "Limelight"):
        world.asset_data.tags.new(tag, skip_if_exists=True)
    preview = world.preview_ensure()
    preview.image_size = (_SIDE, _SIDE)
    preview.image_pixels_float.foreach_set(shown.ravel())
    return world


def thumbnail(values: np.ndarray) -> np.ndarray:
    """(256, 256, 4) display values of a panorama (H, W, C): its median brightness becomes a middle grey."""
    rgb = values[..., :3]
    height, width = rgb.shape[:2]
    rgb = rgb[np.arange(_SIDE) * height // _SIDE][:, np.arange(_SIDE) * width // _SIDE]
    exposed = rgb * (0.18 / max(float(np.median(rgb)), 1e-6))
    # A soft shoulder keeps lamps from being white blots; the square root stands in for a display's curve.
    shown = np.sqrt(exposed / (1 + exposed))
    return np.concatenate([shown, np.ones((_SIDE, _SIDE, 1), np.float32)], -1).astype(np.float32)
