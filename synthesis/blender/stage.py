# SPDX-License-Identifier: GPL-3.0-or-later
"""What both of the demo's Blender stages need: Limelight registered in an empty file, a quick Cycles, a picture."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="limelight-user-"))

import bpy
import limelight

from ...scene import compat


def begin() -> bpy.types.Scene:
    """An empty scene for Cycles with Limelight registered."""
    limelight.register()
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 64, True
    scene.cycles.use_adaptive_sampling = True
    scene.view_settings.view_transform = "Standard"
    return scene


def render(scene: bpy.types.Scene, path: Path) -> None:
    """Render a PNG."""
    compat.set_still_format(scene.render.image_settings, "PNG")
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True, scene=scene.name)
