# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes for evaluation: one where the light falls, one in the shade, the rest in between, all in one view."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bpy
import numpy as np

from ...scene import pixels
from . import cycles
from .cycles import Sphere

#: Radius of a probe as a share of its depth: a ball of about 7 % of the picture's width.
SIZE = 0.05


def find_spots(scene: bpy.types.Scene, depth: np.ndarray, count: int, seed: int) -> list[tuple[Sphere, float]]:
    """``count`` spheres (camera frame) in free space near surfaces, with the luminance of a white ball there.

    The first stands in much light, the last in little. The light is measured: a white ball in each cell of a
    grid is rendered, quickly.
    """
    rng = np.random.default_rng(seed)
    height, width = depth.shape
    f = cycles.focal(scene)
    columns, rows = 8, max(3, round(8 * height / width) - 1)
    spheres: list[Sphere] = []
    for row in range(rows):
        for column in range(columns):
            u = (0.08 + 0.84 * (column + rng.uniform(0.35, 0.65)) / columns) * width
            v = height - (row + rng.uniform(0.35, 0.65)) * height / rows * 0.85
            radius = SIZE * f
            region = depth[max(0, int(v - radius)) : int(v + radius) + 2, max(0, int(u - radius)) : int(u + radius) + 2]
            nearest = float(region.min())
            if nearest > 14 or nearest < 0.5:
                continue
            d = nearest * rng.uniform(0.8, 0.96)
            spheres.append(([(u - width / 2) / f * d, -(v - height / 2) / f * d, -d], SIZE * d))
    levels = _measure(scene, spheres, seed)
    order = np.argsort(-levels)
    # Not the very first and last: those touch a lamp, or stick in a corner.
    ends = (len(order) - 1) * np.linspace(0.08, 0.95, count)
    picked = [int(order[round(end)]) for end in ends] if len(order) else []
    return [(spheres[i], float(levels[i])) for i in dict.fromkeys(picked)]


def _measure(scene: bpy.types.Scene, spheres: list[Sphere], seed: int) -> np.ndarray:
    full, scene.render.resolution_percentage = scene.render.resolution_percentage, 50
    with tempfile.TemporaryDirectory(prefix="limelight-") as folder, cycles.only_balls_seen(scene, spheres, "diffuse"):
        path = Path(folder) / "levels.exr"
        cycles.render_exr(scene, path, 8, seed, alpha=True)
        picture = pixels.read(path)
    scene.render.resolution_percentage = full
    height, width = picture.shape[:2]
    f = cycles.focal(scene) * width / scene.render.resolution_x
    levels = []
    for (x, y, z), radius in spheres:
        u, v, r = width / 2 - f * x / z, height / 2 + f * y / z, max(1.0, 0.7 * f * radius / -z)
        patch = picture[max(0, int(v - r)) : int(v + r) + 1, max(0, int(u - r)) : int(u + r) + 1]
        inside = patch[..., 3] > 0.9
        levels.append(float((patch[..., :3] @ [0.2126, 0.7152, 0.0722])[inside].mean()) if inside.any() else 0.0)
    return np.array(levels)
