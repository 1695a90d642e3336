# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine is shown: the picture, its depth, the camera and the probes, as files and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from . import camera as cameras
from . import compat, frames, own, pixels, probes, rays, renderer, visible

#: The scene is rendered for the engine at this many pixels on its longer side.
LONGEST_SIDE = 512
SAMPLES = 48
#: Depth by ray casting: pixels on the longer side.
DEPTH_SIDE = 256


def capture(context: bpy.types.Context, folder: Path) -> dict[str, Any]:
    """Write what the engine needs into ``folder``; the parameters of a ``light`` request for all probes in use.

    Raises ``ValueError`` with an artist's sentence if something is missing.
    """
    scene, camera = context.scene, context.scene.camera
    if camera is None:
        raise ValueError("the scene has no camera")
    wanted, unit = probes.used(scene), cameras.metres(scene)
    if not wanted:
        raise ValueError("no probe is switched on")
    spots = [
        {
            "name": probe.name,
            "position": list(probes.position_in_camera(probe, camera) * unit),
            "radius": probes.radius_in_world(probe) * unit,
        }
        for probe in wanted
    ]
    return request(context, folder, spots)


def request(context: bpy.types.Context, folder: Path, spots: list[dict[str, Any]]) -> dict[str, Any]:
    """As :func:`capture`, for spheres at any place: each a ``name``, a ``position`` in the camera's frame (x right,
    y up, looking along −z) and a ``radius``, in metres."""
    seen = view(context, folder)
    asked = {"images": [seen.pop("image")], **seen, "probes": spots}
    return {**asked, **wishes(context.scene), "out": str(folder / "result")}


def wishes(scene: bpy.types.Scene) -> dict[str, Any]:
    """What of a request the artist's settings say."""
    settings = scene.limelight
    return {
        "frame": "world",
        "quality": settings.quality.lower(),
        "size": int(settings.size),
        "seed": settings.seed,
        "take": settings.take,
        "front": settings.use_front,
        "model": settings.model,
    }


def view(context: bpy.types.Context, folder: Path) -> dict[str, Any]:
    """Write the picture that the engine sees, and its depth where it is not estimated, into ``folder``: ``image``,
    ``depth``, ``camera`` and ``camera_to_world`` of any request. Raises as :func:`capture` does."""
    scene, camera = context.scene, context.scene.camera
    if camera is None:
        raise ValueError("the scene has no camera")
    folder.mkdir(parents=True, exist_ok=True)
    picture, size, depth = (_plate if scene.limelight.source == "PLATE" else _render)(context, folder)
    return {
        "image": str(picture),
        "depth": None if depth is None else str(depth),
        "camera": cameras.seen(scene, camera, *size),
        "camera_to_world": cameras.placement(camera, cameras.metres(scene)),
    }


def _plate(context: bpy.types.Context, folder: Path) -> tuple[Path, tuple[int, int], Path | None]:
    settings = context.scene.limelight
    if settings.plate is None:
        raise ValueError("there is no photo")
    # The pixels that the artist sees, upright and at the current frame, rather than a file that may have moved.
    picture, size = frames.save_still(context.scene, folder)
    if settings.depth_source == "FILE":
        return picture, size, frames.numbered(settings.depth_file, context.scene.frame_current)
    if settings.depth_source == "GEOMETRY":
        depth = cast_depth(context, DEPTH_SIDE, size)
        if not np.isfinite(depth).any():
            raise ValueError("no geometry is in front of the camera; use the estimated depth instead")
        path = folder / "depth.exr"
        _write_depth(path, depth * cameras.metres(context.scene))
        return picture, size, path
    return picture, size, None


def _render(context: bpy.types.Context, folder: Path) -> tuple[Path, tuple[int, int], Path]:
    """Render the active camera's view, linear, and cast its depth."""
    scene = context.scene
    size = seen_size(scene)
    path = folder / "view.exr"
    with own.without_own(scene), settings_for_capture(scene, size, path, SAMPLES):
        renderer.render_still(scene)
    if own.lights(scene) and not _brightest(path):
        raise ValueError(
            "nothing but Limelight's own light falls on the scene, and an estimate leaves that out: "
            "add a lamp or a World, or press Bake from Scene"
        )
    depth_path = folder / "depth.exr"
    with visible.as_rendered(context.view_layer):
        depth = cast_depth(context, DEPTH_SIDE, size)
    _write_depth(depth_path, depth * cameras.metres(scene))
    return path, size, depth_path


def seen_size(scene: bpy.types.Scene) -> tuple[int, int]:
    """Width and height in pixels of the picture that the engine gets."""
    if scene.limelight.source == "PLATE" and scene.limelight.plate is not None:
        return frames.size(scene)
    width, height = cameras.picture_size(scene)
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    return max(16, round(width * scale)), max(16, round(height * scale))


def _brightest(path: Path) -> float:
    """The largest value of a picture's colours."""
    return float(pixels.read(path)[..., :3].max())


@contextmanager
def settings_for_capture(
    scene: bpy.types.Scene, size: tuple[int, int], path: Path, samples: int, display: bool = False
) -> Iterator[None]:
    """Small Cycles render to ``path``; every setting is put back, also after an error.

    Linear values in an EXR; with ``display`` plain sRGB values with alpha in a PNG, at the exposure that the scene has.
    """
    render, image = scene.render, scene.render.image_settings
    changes: list[tuple[Any, str, Any]] = [
        (render, "engine", "CYCLES"),
        (render, "resolution_x", size[0]),
        (render, "resolution_y", size[1]),
        (render, "resolution_percentage", 100),
        (render, "film_transparent", display),
        (render, "use_compositing", False),
        (render, "use_sequencer", False),
        (render, "use_border", False),
        (render, "use_file_extension", False),
        (render, "use_overwrite", True),
        (render, "use_placeholder", False),
        (render, "use_multiview", False),
        (render, "use_stamp", False),
        (scene.cycles, "film_exposure", 1.0),
        (scene.cycles, "samples", samples),
        (scene.cycles, "use_adaptive_sampling", True),
        (scene.cycles, "use_denoising", compat.denoises()),
    ]
    # Of several view layers the first would be the picture; depth is of the one that the artist looks at.
    looked_at = visible.layer(scene)
    changes += [(layer, "use", layer == looked_at) for layer in scene.view_layers]
    changes += _display(scene) if display else []
    # An output with colours of its own may be in another linear space; its name is empty where it never was chosen.
    if image.color_management == "OVERRIDE" and image.linear_colorspace_settings.name:
        changes.append((image.linear_colorspace_settings, "name", compat.LINEAR))
    with ExitStack() as restore:
        restore.enter_context(compat.output_kept(render))
        for owner, name, _value in changes:
            restore.callback(setattr, owner, name, getattr(owner, name))
        for owner, name, value in changes:
            setattr(owner, name, value)
        render.filepath = str(path)
        compat.set_still_format(image, "PNG" if display else "OPEN_EXR")
        image.color_mode, image.color_depth = ("RGBA", "8") if display else ("RGB", "32")
        yield


def _display(scene: bpy.types.Scene) -> list[tuple[Any, str, Any]]:
    """What makes pixels the sRGB values of the light and square; a look is chosen before its transform goes."""
    view, image = scene.view_settings, scene.render.image_settings
    changes: list[tuple[Any, str, Any]] = [
        (view, "look", "None"),
        (view, "view_transform", "Standard"),
        (view, "gamma", 1.0),
        (view, "use_curve_mapping", False),
        *[(view, name, False) for name in compat.WHITE_BALANCE],
        (scene.display_settings, "display_device", "sRGB"),
        (image, "color_management", "FOLLOW_SCENE"),
        (scene.render, "dither_intensity", 0.0),
        (scene.render, "pixel_aspect_x", 1.0),
        (scene.render, "pixel_aspect_y", 1.0),
        (scene.render, "use_motion_blur", False),
    ]
    return changes


def cast_depth(context: bpy.types.Context, side: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """Planar depth (H, W) float32 in scene units of what the engine sees through the active camera, rows from the top;
    +inf where nothing of the artist's is. ``side`` is its longer side, ``size`` the picture's (None: a render's).

    Rays against the evaluated geometry: exact, and much faster than a render.
    """
    scene, camera = context.scene, context.scene.camera
    if camera is None:
        raise ValueError("the scene has no camera")
    width, height = size or cameras.picture_size(scene)
    scale = side / max(width, height)
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    k = cameras.seen(scene, camera, columns, rows)
    matrix = camera.matrix_world.normalized()
    turn, origin = np.array(matrix.to_3x3()), matrix.translation
    x = (np.arange(columns) + 0.5 - k["cx"]) / k["fx"]
    y = (k["cy"] - np.arange(rows) - 0.5) / k["fy"]
    through = np.stack([*np.meshgrid(x, y), np.full((rows, columns), -1.0)], -1)
    lengths = np.linalg.norm(through, axis=-1)
    directions = (through / lengths[..., None]) @ turn.T
    depth = np.full((rows, columns), np.inf, np.float32)
    depsgraph = context.evaluated_depsgraph_get()
    # Meshes that stand for a photo are often kept out of renders; a scene is what its render shows.
    unseen = visible.unseen(context) if scene.limelight.source == "SCENE" else None
    near, far = cameras.clipped(scene, camera)
    for i in range(rows):
        for j in range(columns):
            direction = Vector(directions[i, j])
            hit = rays.first_hit(scene, depsgraph, origin + direction * near * lengths[i, j], direction, unseen=unseen)
            if hit is not None:
                depth[i, j] = (hit.point - origin).length / lengths[i, j]
    depth[depth > far] = np.inf
    return depth


def _write_depth(path: Path, depth: np.ndarray) -> None:
    """Write depth (H, W), rows from the top, as an EXR; infinity as 1e10, which readers take for the background."""
    pixels.write(path, np.where(np.isfinite(depth), depth, 1e10))
