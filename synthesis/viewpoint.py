# SPDX-License-Identifier: GPL-3.0-or-later
"""Where cameras and probes stand in a synthetic scene."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..backend.optics.camera import Camera
from . import tracer
from .cameras import pose
from .scene import Scene
from .sphere_grid import depth_share

#: Width and height shares of the longer side.
ASPECTS = ((1, 1), (1, 3 / 4), (1, 2 / 3), (1, 9 / 16), (3 / 4, 1), (2 / 3, 1))
#: Sky and far surfaces count as this far when a probe is placed, metres.
FARTHEST = 12.0


class Viewpoint(NamedTuple):
    """A camera and its pose: ``camera_to_world`` (4, 4), columns = camera axes in the world."""

    camera: Camera
    camera_to_world: np.ndarray


def clearance(scene: Scene, point: np.ndarray) -> float:
    """Distance in metres from ``point`` (3,) to the nearest surface; negative inside one or outside the room.

    Rounded solids count as their boxes.
    """
    gaps = [np.inf]
    if len(scene.solids):
        local = np.einsum("nij,nj->ni", scene.solids[:, 6:15].reshape(-1, 3, 3), point - scene.solids[:, :3])
        outside = abs(local) - scene.solids[:, 3:6]
        gaps.append(float((np.linalg.norm(np.maximum(outside, 0), axis=1) + np.minimum(outside.max(1), 0)).min()))
    for sphere in scene.spheres:
        gaps.append(float(np.linalg.norm(point - sphere[:3]) - sphere[3]))
    if scene.room[0, 6] > 0:
        gaps.append(float(np.minimum(point - scene.room[0, :3], scene.room[0, 3:6] - point).min()))
    return min(gaps)


def camera_corners(camera: Camera) -> np.ndarray:
    """Directions of the pixel corners at planar depth 1: (H+1, W+1, 3), camera frame."""
    x = (np.arange(camera.width + 1) - camera.cx) / camera.fx
    y = -(np.arange(camera.height + 1) - camera.cy) / camera.fy
    grid_x, grid_y = np.meshgrid(x, y)
    return np.stack([grid_x, grid_y, -np.ones_like(grid_x)], -1)


def panorama_corners(height: int) -> np.ndarray:
    """Unit directions of the texel corners of a camera-frame panorama: (N+1, 2N+1, 3)."""
    lon = np.linspace(-math.pi, math.pi, 2 * height + 1)[None]
    lat = np.linspace(math.pi / 2, -math.pi / 2, height + 1)[:, None]
    return np.stack([np.sin(lon) * np.cos(lat), np.sin(lat) + 0 * lon, -np.cos(lon) * np.cos(lat)], -1)


def place_camera(rng: np.random.Generator, scene: Scene, size: int) -> Viewpoint:
    """A camera at eye height or below that sees into the open: the best of several tries.

    ``size``: pixels of the longer side. Horizontal field of view 35–95°, pitch within ±20°, roll a few degrees.
    """
    share = ASPECTS[rng.choice(len(ASPECTS), p=[0.25, 0.2, 0.15, 0.15, 0.15, 0.1])]
    width, height = round(size * share[0]), round(size * share[1])
    camera = Camera.from_fov(width, height, float(rng.uniform(35, 95 if width >= height else 70)))
    indoors = scene.room[0, 6] > 0
    low, high = (scene.room[0, :3], scene.room[0, 3:6]) if indoors else (np.full(3, -2.5), np.full(3, 2.5))
    best, best_score = None, -np.inf
    for _ in range(24):
        position = np.array([*rng.uniform(low[:2] + 0.35, high[:2] - 0.35), rng.uniform(0.7, 1.9)])
        yaw = rng.uniform(0, 2 * math.pi)
        if indoors and rng.random() < 0.7:
            target = (low + high)[:2] / 2 + rng.normal(0, 0.6, 2)
            yaw = math.atan2(target[1] - position[1], target[0] - position[0])
        pitch = float(np.clip(rng.normal(-0.08, 0.14), -0.35, 0.35))
        matrix = pose(position, yaw, pitch, float(np.clip(rng.normal(0, 0.03), -0.09, 0.09)))
        score = _score(scene, camera, matrix) + 0.3 * rng.random()
        if score > best_score:
            best, best_score = matrix, score
        if score > 1.75:
            break
    assert best is not None
    return Viewpoint(camera, best)


def _score(scene: Scene, camera: Camera, matrix: np.ndarray) -> float:
    """How usable a view is: penalises narrow spots and things before the lens."""
    if clearance(scene, matrix[:3, 3]) < 0.2:
        return -10.0
    coarse = camera.resized(12, 12)
    directions = camera_corners(coarse)[1:-1, 1:-1].reshape(-1, 3) @ matrix[:3, :3].T
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    seen = np.array([tracer.first_hit(scene, matrix[:3, 3], d) for d in directions[::3]])
    near = np.minimum(seen, 8.0)
    # A bare wall has one slope of depths; a view with things in it, many.
    variety = min(float(np.std(np.diff(np.log(near), 2))) / 0.5, 1.0)
    room = min(np.median(near) / 1.6, 1.0) + min(near.min() / 0.45, 1.0)
    return float(room + 0.8 * variety - 0.9 - (np.mean(np.isinf(seen)) > 0.8))


def place_probe(
    rng: np.random.Generator, scene: Scene, view: Viewpoint, depth: np.ndarray
) -> tuple[np.ndarray, float] | None:
    """A sphere in free space: (position (3,) camera frame, radius), or nothing after too many tries.

    ``depth``: planar depth (H, W) of the view. Image diameter 6–24 % of the width (radius 3–12 %); its depth follows
    LIMO's law on the least depth within its bounding square.
    """
    camera, matrix = view
    for _ in range(40):
        u, v = rng.uniform(0.08, 0.92) * camera.width, rng.uniform(0.15, 0.92) * camera.height
        radius = rng.uniform(0.03, 0.12) * camera.width
        top, left = max(0, int(v - radius)), max(0, int(u - radius))
        region = depth[top : int(v + radius) + 1, left : int(u + radius) + 1]
        nearest = min(float(region.min()), FARTHEST)
        d = float(depth_share(rng.random())) * nearest
        size = radius / camera.fx * d
        position = np.array([(u - camera.cx) / camera.fx * d, -(v - camera.cy) / camera.fy * d, -d])
        if d > 0.15 and clearance(scene, matrix[:3, :3] @ position + matrix[:3, 3]) > 1.02 * size:
            return position, float(size)
    return None
