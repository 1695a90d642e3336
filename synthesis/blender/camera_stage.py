# SPDX-License-Identifier: GPL-3.0-or-later
"""One place of a seed from several cameras, in bpy: pictures and depth, no probes, for learning depth and lens.

``bridge/launch.py synthesis.blender.camera_stage JOB.json``, in a Python that has bpy. The job is what
``synthesis/sphere_sample.py`` writes; ``raw.json`` comes last.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..cameras import random_lens, random_pose
from . import cycles
from .leaving import leave, leave_with_owner
from .places import Place
from .sphere_stage import describe, make_place, write_raw

#: Tries for one camera: in a place of little room most look at a wall.
TRIES = 30
#: No nearer to anything than this, metres; spread of the log distances below which a view shows a wall alone.
NEAREST, FLAT = 0.25, 0.12


def main(job: dict[str, Any]) -> None:
    """Make the sample: the place's own camera, then as many others as there are to be."""
    out = Path(job["out"])
    scene, place = make_place(job)
    frames = [_shoot(scene, out, 0, job)]
    for index, _ in enumerate(_cameras(scene, place, job), 1):
        frames.append(_shoot(scene, out, index, job))
    write_raw(out, place, frames)


def _cameras(scene: bpy.types.Scene, place: Place, job: dict[str, Any]) -> Iterator[None]:
    """Sets the scene's camera and picture size to one after the other of so many that see something."""
    rng = np.random.default_rng(job["seed"])
    low, high = (np.array(place.inside[corner], float) for corner in ("low", "high"))
    tallest = min(2.4, place.inside["height"] - 0.25)
    camera, render = cycles.eye(scene), scene.render
    camera.data.sensor_fit = "HORIZONTAL"
    for _ in range(job["views"] - 1):
        for _ in range(TRIES):
            width, height, focal = random_lens(rng)
            # Pixels are drawn for lenses of another size.
            share = math.sqrt(0.75 * job["width"] ** 2 / (width * height))
            render.resolution_x, render.resolution_y = round(share * width), round(share * height)
            camera.data.angle_x = 2 * math.atan(0.5 * width / focal)
            camera.matrix_world = Matrix(random_pose(rng, low, high, tallest, middle=0.5).tolist())
            bpy.context.view_layer.update()
            if _tells(cycles.cast_depth(scene, (12, 9))):
                yield
                break


def _tells(seen: np.ndarray) -> bool:
    """Whether a view of depth (H, W) shows more than sky or one wall, and nothing stands before the lens."""
    solid = seen[np.isfinite(seen)]
    if solid.size < 0.25 * seen.size or solid.min() < NEAREST:
        return False
    return bool(np.log(solid.clip(max=60.0)).std() > FLAT)


def _shoot(scene: bpy.types.Scene, out: Path, index: int, job: dict[str, Any]) -> dict[str, Any]:
    """The raw files of one camera, and its description."""
    folder = out / f"camera_{index:04d}"
    folder.mkdir()
    cycles.render_exr(scene, folder / "view.exr", job["samples"], job["seed"] + index)
    np.save(folder / "depth.npy", cycles.cast_depth(scene))
    return describe(scene)


if __name__ == "__main__":
    leave_with_owner()
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    leave()
