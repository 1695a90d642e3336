# SPDX-License-Identifier: GPL-3.0-or-later
"""Ground truth: the panorama that really falls on a probe, rendered from the scene with Cycles."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import bpy
from mathutils import Vector

from . import camera as cameras
from . import compat, lamp_lens, pixels, probes, renderer, suns, visible
from .results import load_image

SAMPLES = 256
_SUN_SAMPLES = 64


def bake_truth(
    context: bpy.types.Context, probe: bpy.types.Object, size: int = 512, samples: int = SAMPLES
) -> bpy.types.Image:
    """Render the panorama (``size`` wide) at a probe in the world frame and keep it, packed, as the probe's truth.

    It is rendered in a scene of its own that shares the objects, so no setting of the artist's scene changes.
    """
    with tempfile.TemporaryDirectory(prefix="limelight-") as folder:
        path = Path(folder) / "truth.exr"
        # The centre of the picture looks along +X: Blender's camera looks along −z.
        bake_panorama(context.scene, probes.to_world(probe).translation, math.radians(-90), path, size, samples)
        image = load_image(probe.limelight.truth, path, f"{probe.name} truth")
    probe.limelight.truth = image
    return image


def bake_panorama(
    source: bpy.types.Scene,
    place: Vector,
    heading: float,
    path: Path,
    size: int,
    samples: int = SAMPLES,
    *,
    lamps: bool = False,
) -> None:
    """Render the panorama (``size`` wide) at a world position into an EXR, level, its centre towards ``heading``.

    ``heading`` in radians counter-clockwise from +Y, as a level camera's rotation about Z. With ``lamps``, lamps of
    every kind are in it, and noise too; else of the lamps only Suns are.
    """
    stage = bpy.data.scenes.new("Limelight bake")
    data = bpy.data.cameras.new("Limelight bake")
    camera = bpy.data.objects.new("Limelight bake", data)
    try:
        stage.world = source.world
        for child in source.collection.children:
            stage.collection.children.link(child)
        for single in source.collection.objects:
            stage.collection.objects.link(single)
        visible.match(stage.view_layers[0], visible.layer(source))
        stage.collection.objects.link(camera)
        stage.camera = camera
        compat.see_all_around(data)
        unit = cameras.metres(source)
        data.clip_start, data.clip_end = 1e-3, suns.CLIP_END / unit
        camera.location = place
        camera.rotation_euler = (math.radians(90), 0.0, heading)
        _configure(stage, size)
        # Rays that end early would make splats black.
        stage.cycles.transparent_max_bounces = source.cycles.transparent_max_bounces
        # A disc smaller than a pixel would be all noise: it is drawn larger and as much darker.
        least = 1.5 * math.pi / size
        if lamps:
            with lamp_lens.lens(stage, camera.location, least):
                # The denoiser would take lamps for noise.
                _render(stage, path, samples, denoise=False)
            return
        with suns.discs(stage, camera.location, least, suns.DISTANCE / unit) as discs:
            _render(stage, path, samples, denoise=True)
            if discs:
                _add_suns(stage, discs, path)
    finally:
        bpy.data.scenes.remove(stage)
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(data)


def _configure(stage: bpy.types.Scene, size: int) -> None:
    render = stage.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = size, size // 2, 100
    render.film_transparent = render.use_compositing = render.use_sequencer = False
    render.use_file_extension = False
    compat.set_still_format(render.image_settings, "OPEN_EXR")
    render.image_settings.color_mode, render.image_settings.color_depth = "RGB", "32"
    # Whatever colours the file works in.
    render.image_settings.color_management = "OVERRIDE"
    render.image_settings.linear_colorspace_settings.name = compat.LINEAR
    stage.cycles.sample_clamp_indirect = stage.cycles.sample_clamp_direct = 0.0


def _render(stage: bpy.types.Scene, path: Path, samples: int, *, denoise: bool) -> None:
    stage.render.filepath = str(path)
    stage.cycles.samples, stage.cycles.use_denoising = samples, denoise and compat.denoises()
    renderer.render_still(stage)


def _add_suns(stage: bpy.types.Scene, discs: list[bpy.types.Object], path: Path) -> None:
    """Add what the discs change to the picture at ``path``: the denoiser would take their light for noise."""
    stage.cycles.use_adaptive_sampling = False
    pictures = []
    for hidden in (False, True):
        for disc in discs:
            disc.hide_render = hidden
        part = path.with_name(f"suns_{hidden:d}.exr")
        _render(stage, part, _SUN_SAMPLES, denoise=False)
        pictures.append(pixels.read(part))
    image = bpy.data.images.load(str(path), check_existing=False)
    compat.keep_values(image)
    # The seed is the same, so wherever no disc is seen the two are equal.
    image.pixels.foreach_set((pixels.of(image) + (pictures[0] - pictures[1])[::-1]).ravel())
    image.save()
    bpy.data.images.remove(image)
