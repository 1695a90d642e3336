# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine is given to relight a picture: the picture and the light that it shall have, as files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from . import bake, compat, light_frames, paths, pixels, rays, srgb, stills, visible
from . import camera as cameras
from .relight_problems import lit_probe

#: Width in pixels of the panorama that is rendered of the scene's lamps, and its samples: only soft light is read.
_LAMPS_WIDTH, _LAMPS_SAMPLES = 256, 64
#: A panorama is made smaller to about this width: the eight lamps that stand for it need no more.
_WIDEST = 1024
#: Metres in front of the camera, at most, where the lamps' light is taken.
_REACH = 3.0
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def request(context: bpy.types.Context, folder: Path, source: bpy.types.Image, take: int) -> dict[str, Any]:
    """Write source and reference into ``folder``; returns the parameters of a ``relight`` request.

    Raises ``ValueError`` with an artist's sentence if something cannot be read or no light is there.
    """
    scene, settings = context.scene, context.scene.limelight.relight
    written = save_picture(source, folder, "source")
    if settings.reference_type == "IMAGE":
        reference = save_picture(settings.reference, folder, "reference")
    else:
        reference = folder / "reference.exr"
        _save_light(context, reference)
    return {
        "source": str(written),
        "reference": str(reference),
        "reference_kind": "photo" if settings.reference_type == "IMAGE" else "hdri",
        # Of a picture with 8 bits more than 16 cannot come; what is linear stays linear and unclipped.
        "out": str(folder / f"relit{written.suffix}"),
        "ratio": str(folder / "ratio.exr") if settings.keep_ratio else None,
        "strength": settings.strength / 100,
        "model": str(paths.of_setting(settings.model)) if settings.model else "embedded",
        "quality": settings.quality.lower(),
        "seed": scene.limelight.relight.seed,
        "take": take,
    }


def reference_name(scene: bpy.types.Scene) -> str:
    """The light that is wanted, in words."""
    settings = scene.limelight.relight
    if settings.reference_type == "LAMPS":
        return "this scene's lamps"
    if settings.reference_type == "PROBE":
        probe = lit_probe(scene)
        return f"{probe.name}'s light" if probe is not None else "a probe's light"
    return settings.reference.name if settings.reference is not None else ""


def save_picture(image: bpy.types.Image, folder: Path, stem: str) -> Path:
    """Write an image as Blender holds it, saved or not, without loss: 8 bits of sRGB as PNG, all else as a linear EXR.

    Raises ``ValueError`` if it has no pixels.
    """
    if len(image.pixels) == 0:
        raise ValueError(f"“{image.name}” cannot be read any more")
    if _is_of_other_space(image):
        path = folder / f"{stem}.exr"
        stills.write_linear(bpy.context.scene, image, path)
        return path
    values = pixels.of(image)
    if values.shape[-1] < 3:
        values = np.repeat(values[..., :1], 3, -1)
    if image.is_float or image.colorspace_settings.name == compat.LINEAR:
        path = folder / f"{stem}.exr"
        pixels.write(path, values[::-1])
        return path
    path = folder / f"{stem}.png"
    pixels.write_png(path, values[::-1])
    return path


def _save_light(context: bpy.types.Context, path: Path) -> None:
    """Write the panorama (EXR, no frame in its header) whose centre is where the picture's camera looks."""
    scene, settings = context.scene, context.scene.limelight.relight
    if settings.reference_type == "LAMPS":
        bake_lamps(context, path)
        return
    if settings.reference_type == "HDRI":
        image, turn = settings.reference, settings.rotation
        if len(image.pixels) == 0 or image.size[0] != 2 * image.size[1]:
            width, height = image.size
            raise ValueError(f"“{image.name}” is no panorama: {width} × {height}, not twice as wide as high")
    else:
        probe = lit_probe(scene)
        if probe is None:
            raise ValueError("no probe holds estimated light")
        image = probe.limelight.environment
        # Its centre is the world's +X; a camera that looks there has a heading of −90°.
        turn = settings.rotation - (heading(scene.camera) + math.pi / 2 if scene.camera is not None else 0.0)
    panorama = smaller(_linear(image, path)[::-1])
    pixels.write(path, turned(panorama, turn))


def _linear(image: bpy.types.Image, path: Path) -> np.ndarray:
    """Linear Rec.709 (H, W, 3) of an image, rows from the bottom; ``path`` is for a file (.exr) on the way."""
    scene = bpy.context.scene
    if _is_of_other_space(image):
        stills.write_linear(scene, image, path)
        return pixels.read(path)[::-1, :, :3]
    values = light_frames.values(image, scene.frame_current)
    rgb = values[..., :3] if values.shape[-1] >= 3 else np.repeat(values[..., :1], 3, -1)
    if image.is_float or image.colorspace_settings.name == compat.LINEAR:
        return rgb
    return srgb.linear(rgb)


def _is_of_other_space(image: bpy.types.Image) -> bool:
    """Whether an image has 8 bits of Display P3 and the like, which a script is given as they are stored: only a file
    gets them out."""
    space = image.colorspace_settings
    return not (image.is_float or space.is_data or space.name in ("sRGB", compat.LINEAR) or image.source == "SEQUENCE")


def smaller(panorama: np.ndarray) -> np.ndarray:
    """A panorama (N, 2N, C) as means over whole blocks, about ``_WIDEST`` wide: as much light comes from everywhere."""
    height, width, channels = panorama.shape
    step = width // _WIDEST
    # A block must not reach over the edge: the largest step that divides both sides.
    step = next((s for s in range(step, 1, -1) if width % s == 0 and height % s == 0), 1)
    return panorama.reshape(height // step, step, width // step, step, channels).mean((1, 3))


def turned(panorama: np.ndarray, angle: float) -> np.ndarray:
    """A panorama (N, 2N, C) turned by ``angle`` radians counter-clockwise seen from above: to the left."""
    return np.roll(panorama, -round(angle / (2 * math.pi) * panorama.shape[1]), 1)


def heading(camera: bpy.types.Object) -> float:
    """Where a camera looks on the compass, in radians counter-clockwise from +Y; by its top if it looks up or down."""
    turn = camera.matrix_world.to_3x3().normalized()
    ahead = turn @ Vector((0.0, 0.0, -1.0))
    if math.hypot(ahead.x, ahead.y) < 1e-3:
        ahead = (turn @ Vector((0.0, 1.0, 0.0))) * (-1.0 if ahead.z > 0 else 1.0)
    return math.atan2(-ahead.x, ahead.y)


def bake_lamps(context: bpy.types.Context, path: Path) -> None:
    """Render the light of the scene in front of its camera as a level panorama; its centre is where the camera looks.

    Raises ``ValueError`` without a camera, if the render was cancelled, and if it is dark there.
    """
    scene, camera = context.scene, context.scene.camera
    if camera is None:
        raise ValueError("the scene has no camera")
    eye = camera.matrix_world.translation
    ahead = (camera.matrix_world.to_3x3() @ Vector((0.0, 0.0, -1.0))).normalized()
    reach = _REACH / cameras.metres(scene)
    # Through what is nearer, as the wall of a set, the camera looks.
    start = eye + ahead * camera.data.clip_start
    unseen = visible.unseen(context)
    hit = rays.first_hit(scene, context.evaluated_depsgraph_get(), start, ahead, unseen=unseen)
    if hit is not None:
        # Half-way to what the camera looks at: neither inside it nor in the camera's own shade.
        reach = min(reach, (hit.point - start).length / 2)
    place = start + ahead * reach
    bake.bake_panorama(scene, place, heading(camera), path, _LAMPS_WIDTH, _LAMPS_SAMPLES, lamps=True)
    if not path.is_file():
        raise ValueError("the render of the scene's light was cancelled")
    if float((pixels.read(path)[..., :3] @ _LUMINANCE).max()) < 1e-6:
        raise ValueError("no light reaches the place in front of the camera: add a lamp or a World")
