# SPDX-License-Identifier: GPL-3.0-or-later
"""Views, panoramas, camera-only spheres and depth of a made place, by Cycles and by rays."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

from ...scene import compat, pixels
from . import materials, shapes

Sphere = tuple[Sequence[float], float]


def prepare(scene: bpy.types.Scene, size: tuple[int, int], threads: int) -> None:
    """Cycles for linear pictures of a size (width, height); ``threads`` 0 takes all cores."""
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = *size, 100
    render.use_compositing = render.use_sequencer = False
    # The geometry stays in memory from one picture of a place to the next.
    render.use_persistent_data = True
    if threads:
        render.threads_mode, render.threads = "FIXED", threads
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold = True, 0.02
    scene.cycles.use_denoising = True
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces = 10, 6
    scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False


def render_exr(scene: bpy.types.Scene, path: Path, samples: int, seed: int, *, alpha: bool = False) -> None:
    """Write a linear picture, 32 bits a channel."""
    settings = scene.render.image_settings
    compat.set_still_format(settings, "OPEN_EXR")
    settings.color_mode, settings.color_depth = "RGBA" if alpha else "RGB", "32"
    scene.render.film_transparent = alpha
    scene.render.filepath, scene.render.use_file_extension = str(path), False
    scene.cycles.samples, scene.cycles.seed = samples, seed % 2**31
    bpy.ops.render.render(write_still=True, scene=scene.name)


def pilot(scene: bpy.types.Scene, seed: int) -> np.ndarray:
    """A quick small picture (H, W, 3), to judge a view and to learn its exposure."""
    full = scene.render.resolution_percentage
    scene.render.resolution_percentage = max(
        10, round(6400 / max(scene.render.resolution_x, scene.render.resolution_y))
    )
    with tempfile.TemporaryDirectory(prefix="limelight-") as folder:
        path = Path(folder) / "pilot.exr"
        render_exr(scene, path, 8, seed)
        picture = pixels.read(path)
    scene.render.resolution_percentage = full
    return picture[..., :3]


def eye(scene: bpy.types.Scene) -> bpy.types.Object:
    """The scene's camera."""
    assert scene.camera is not None
    return scene.camera


def focal(scene: bpy.types.Scene) -> float:
    """Focal length in pixels; the camera's angle is across the picture's width."""
    return 0.5 * scene.render.resolution_x / math.tan(eye(scene).data.angle_x / 2)


def cast_depth(scene: bpy.types.Scene, size: tuple[int, int] | None = None) -> np.ndarray:
    """Planar depth (H, W) of the active camera, rows from the top, +inf sky; ``size`` (width, height)."""
    width, height = size or (scene.render.resolution_x, scene.render.resolution_y)
    matrix = eye(scene).matrix_world
    f = focal(scene) * width / scene.render.resolution_x
    x, y = (np.arange(width) + 0.5 - width / 2) / f, (height / 2 - np.arange(height) - 0.5) / f
    rays = np.stack([*np.meshgrid(x, y), np.full((height, width), -1.0)], -1)
    lengths = np.linalg.norm(rays, axis=-1)
    return _cast(scene, matrix.translation, rays @ np.array(matrix.to_3x3()).T) / lengths.astype(np.float32)


def cast_distances(scene: bpy.types.Scene, place: Vector, height: int) -> np.ndarray:
    """How far away is what surrounds a world position: (N, 2N) metres, +inf sky, in the frame of the scene's camera.

    Where the same surface is seen from another place follows from it: the true motion of what a mirror ball shows.
    """
    lon = ((np.arange(2 * height) + 0.5) / height - 1) * math.pi
    lat = (0.5 - (np.arange(height) + 0.5) / height)[:, None] * math.pi
    rays = np.stack([np.sin(lon) * np.cos(lat), np.sin(lat) + np.zeros_like(lon), -np.cos(lon) * np.cos(lat)], -1)
    return _cast(scene, place, rays @ np.array(eye(scene).matrix_world.to_3x3()).T)


def _cast(scene: bpy.types.Scene, origin: Vector, rays: np.ndarray) -> np.ndarray:
    """Lengths (H, W) to the first surface along world vectors (H, W, 3); +inf where there is none."""
    graph = bpy.context.evaluated_depsgraph_get()
    found = np.full(rays.shape[:2], np.inf, np.float32)
    for i, row in enumerate(rays):
        for j, ray in enumerate(row):
            hit, place, *_ = scene.ray_cast(graph, origin, Vector(ray))
            if hit:
                found[i, j] = (place - origin).length
    return found


def render_panorama(scene: bpy.types.Scene, path: Path, place: Vector, height: int, samples: int, seed: int) -> None:
    """What surrounds a world position, (N, 2N), in the frame of the scene's camera. Suns are not in it."""
    view, size = eye(scene), (scene.render.resolution_x, scene.render.resolution_y)
    data = bpy.data.cameras.new("Panorama")
    compat.see_all_around(data)
    data.clip_start = 1e-3
    camera = bpy.data.objects.new("Panorama", data)
    scene.collection.objects.link(camera)
    camera.matrix_world = view.matrix_world.copy()
    camera.location = place
    try:
        scene.camera = camera
        scene.render.resolution_x, scene.render.resolution_y = 2 * height, height
        render_exr(scene, path, samples, seed)
    finally:
        scene.camera = view
        scene.render.resolution_x, scene.render.resolution_y = size
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(data)


def ball_material(kind: str) -> bpy.types.Material:
    """A perfect ``mirror`` or a perfect white ``diffuse`` surface."""
    if kind == "mirror":
        return materials.principled("Mirror ball", (1, 1, 1), roughness=0.0, metallic=1.0)
    made = materials.principled("Diffuse ball", (1, 1, 1), roughness=1.0)
    shader = next(node for node in compat.node_tree(made).nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Specular IOR Level"].default_value = 0.0
    return made


@contextmanager
def only_balls_seen(scene: bpy.types.Scene, spheres: Sequence[Sphere], kind: str) -> Iterator[None]:
    """Spheres (camera frame) that the camera alone sees, and nothing else: no sphere lights, shades or mirrors another.

    The rest of the place still lights them and shows in the mirrors.
    """
    others = [thing for thing in scene.objects if thing.type not in ("CAMERA", "LIGHT") and thing.visible_camera]
    for thing in others:
        thing.visible_camera = False
    material, balls = ball_material(kind), []
    for centre, radius in spheres:
        ball = shapes.ball(scene, "Probe ball", eye(scene).matrix_world @ Vector(centre), radius, material)
        ball.modifiers.new("Round", "SUBSURF").render_levels = 1
        for ray in ("diffuse", "glossy", "transmission", "volume_scatter", "shadow"):
            setattr(ball, f"visible_{ray}", False)
        balls.append(ball)
    try:
        yield
    finally:
        for ball in balls:
            mesh = ball.data
            bpy.data.objects.remove(ball)
            bpy.data.meshes.remove(mesh)
        bpy.data.materials.remove(material)
        for thing in others:
            thing.visible_camera = True


def sun_seen(scene: bpy.types.Scene, sun: bpy.types.Object, place: Vector, rays: int = 24) -> float:
    """Share of the sun's disc that shines on a world position."""
    graph, frame = bpy.context.evaluated_depsgraph_get(), sun.matrix_world.to_3x3()
    radius, free = math.tan(sun.data.angle / 2), 0
    for i in range(rays):
        r, a = radius * math.sqrt((i + 0.5) / rays), i * 2.39996
        towards = frame @ Vector((r * math.cos(a), r * math.sin(a), 1.0))
        free += not scene.ray_cast(graph, place, towards)[0]
    return free / rays
