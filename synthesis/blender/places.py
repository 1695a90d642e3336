# SPDX-License-Identifier: GPL-3.0-or-later
"""A place of a seed: room or exterior, its light, and a camera that sees something."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Euler

from . import cycles
from .exteriors import BY_DAY, build_exterior
from .lights import Lighting
from .rooms import build_room

#: Height as a share of the width.
ASPECTS = (3 / 4, 2 / 3, 1.0, 9 / 16)


@dataclass
class Place:
    """A scene ready to render, and words about it."""

    lighting: Lighting
    inside: dict[str, Any]
    indoors: bool
    rng: random.Random

    def words(self) -> dict[str, Any]:
        """What the sample's description says."""
        said = {"place": self.inside["room"], "indoors": self.indoors}
        said |= {"sky": self.lighting.sky, "lamps": self.lighting.tint}
        return said | ({"assets": self.inside["assets"]} if "assets" in self.inside else {})


def build(scene: bpy.types.Scene, seed: int, width: int, threads: int, extra: Any = None, sunny: bool = False) -> Place:
    """Fill an empty scene from a seed: two rooms to one exterior, all moods in turn; ``sunny``: an exterior by day.

    ``extra(scene, rng, inside)`` may add a user's assets before the camera is placed.
    """
    rng = random.Random(seed)
    indoors = seed % 3 != 2 and not sunny
    mood = BY_DAY if sunny else seed // 3 * (2 if indoors else 1) + seed % 3 % 2
    lighting, inside = (build_room if indoors else build_exterior)(scene, rng, mood)
    if extra is not None:
        extra(scene, rng, inside)
    cycles.prepare(scene, (width, max(16, round(width * rng.choice(ASPECTS)))), threads)
    _place_camera(scene, rng, inside, indoors)
    return Place(lighting, inside, indoors, rng)


def _place_camera(scene: bpy.types.Scene, rng: random.Random, inside: dict[str, Any], indoors: bool) -> None:
    data = bpy.data.cameras.new("Camera")
    camera = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    low, high = inside["low"], inside["high"]
    best: tuple[float, Any] = (-math.inf, None)
    for _ in range(24):
        x = rng.uniform(low[0] + 0.35, high[0] - 0.35)
        y = low[1] + rng.uniform(0.3, 0.25 * (high[1] - low[1]) + 0.3)
        # Towards the far half of the place, a little down.
        aim = (rng.uniform(low[0], high[0]) * 0.7, rng.uniform(0.1, 0.9) * high[1])
        yaw = math.atan2(aim[1] - y, aim[0] - x) - math.pi / 2
        pitch = math.radians(rng.uniform(74, 90) if indoors else rng.uniform(80, 94))
        camera.location = (x, y, rng.uniform(1.1, 1.75))
        camera.rotation_euler = Euler((pitch, 0, yaw))
        data.angle_x = math.radians(rng.uniform(55, 82))
        bpy.context.view_layer.update()
        seen = cycles.cast_depth(scene, (18, 12))
        near = np.minimum(seen, 8.0)
        score = (
            min(float(np.median(near)) / 1.6, 1.2)
            + min(float(near.min()) / 0.6, 1.0)
            - float(np.isinf(seen).mean() > 0.6)
        )
        if score > best[0]:
            best = (score, (camera.matrix_world.copy(), data.angle_x))
    camera.matrix_world, data.angle_x = best[1]
    bpy.context.view_layer.update()
