# SPDX-License-Identifier: GPL-3.0-or-later
"""One sample of a seed, in bpy: views, depth, sphere renders and panoramas, as raw files for the engine to finish.

``bridge/launch.py synthesis.blender.sphere_stage JOB.json``, in a Python that has bpy. The job is what
``synthesis/sphere_sample.py`` writes; ``raw.json`` comes last.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..sphere_grid import place_grid
from . import assets, cycles, motion, places, probe_spots
from .cycles import Sphere
from .leaving import leave, leave_with_owner
from .places import Place

#: Indirect light of one path is clamped to this many display whites.
FIREFLY = 12.0


def main(job: dict[str, Any]) -> None:
    """Make the sample."""
    out, seed = Path(job["out"]), int(job["seed"])
    scene, place = make_place(job)
    depth = cycles.cast_depth(scene)
    levels: list[float] = []
    if job["kind"] == "probes":
        spots = probe_spots.find_spots(scene, depth, job["probes"], seed)
        levels = [level for _, level in spots]
        move = motion.still([sphere for sphere, _ in spots])
    else:
        move = choose_motion(scene, place, depth, job)
    count = job["frames"] if job["family"] != "still" else 1
    frames = [make_frame(scene, place, move, i, count, depth, job, out) for i in range(count)]
    write_raw(out, place, frames, levels)


def make_place(job: dict[str, Any]) -> tuple[bpy.types.Scene, Place]:
    """The job's place in an empty file, with a camera, ready to render without fireflies."""
    # Not the factory's settings: a user's asset libraries are among their preferences.
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    found = assets.find(job["assets"])
    add = (lambda scene, rng, inside: assets.scatter(scene, rng, inside, found)) if found else None
    place = places.build(scene, job["seed"], job["width"], job["threads"], add, sunny=job["family"] == "sun")
    quick = cycles.pilot(scene, job["seed"])
    luminance = float(np.percentile(quick @ [0.2126, 0.7152, 0.0722], 95))
    scene.cycles.sample_clamp_indirect = FIREFLY * max(luminance, 1e-6) / 0.95
    return scene, place


def write_raw(out: Path, place: Place, frames: list[dict[str, Any]], levels: Sequence[float] = ()) -> None:
    """``raw.json``, which tells the engine that all files of the sample are there."""
    raw = {"blender": bpy.app.version_string, "words": place.words(), "levels": list(levels), "frames": frames}
    (out / "raw.json").write_text(json.dumps(raw), encoding="utf-8")


def choose_motion(scene: bpy.types.Scene, place: Place, depth: np.ndarray, job: dict[str, Any]) -> motion.Motion:
    """The job's family of sequence, or a still grid."""
    rng = np.random.default_rng(job["seed"])
    grid, diameter = tuple(job["grid"]), job["diameter"] * job["width"]
    if job["family"] == "sphere":
        return motion.moving_spheres(scene, depth, grid, diameter, rng)
    spheres = place_grid(depth, cycles.focal(scene), grid, diameter, rng)
    if job["family"] == "camera":
        return motion.moving_camera(scene, spheres, float(depth.min()), rng)
    if job["family"] == "light":
        return motion.moving_light(scene, place.lighting, spheres, rng)
    if job["family"] == "sun":
        return motion.moving_sun(place.lighting, spheres, rng)
    return motion.still(spheres)


def make_frame(
    scene: bpy.types.Scene, place: Place, move: motion.Motion, index: int, count: int, depth: np.ndarray,
    job: dict[str, Any], out: Path,
) -> dict[str, Any]:  # fmt: skip
    """The raw files of one frame, and its description."""
    folder, spp = out / f"frame_{index:04d}", job["samples"]
    folder.mkdir(parents=True, exist_ok=True)
    spheres = move(index / max(count - 1, 1))
    if index and job["family"] == "sphere":
        # Only the spheres moved, and the view does not show them.
        shutil.copy(out / "frame_0000" / "view.exr", folder / "view.exr")
    else:
        cycles.render_exr(scene, folder / "view.exr", spp, job["seed"])
    np.save(folder / "depth.npy", cycles.cast_depth(scene) if index and job["family"] == "camera" else depth)
    for kind in ("mirror", "diffuse") if job["balls"] else ():
        with cycles.only_balls_seen(scene, spheres, kind):
            cycles.render_exr(scene, folder / f"{kind}.exr", spp, job["seed"] + 1, alpha=True)
    matrix = cycles.eye(scene).matrix_world
    for i, (centre, _) in enumerate(spheres):
        where = matrix @ cycles.Vector(centre)
        cycles.render_panorama(scene, folder / f"env_{i}.exr", where, job["panorama"], spp, job["seed"] + 2 + i)
        if job["kind"] == "sequences":
            np.save(folder / f"distance_{i}.npy", cycles.cast_distances(scene, where, job["panorama"]))
    return describe(scene, spheres, describe_sun(scene, place, spheres))


def describe(
    scene: bpy.types.Scene, spheres: Sequence[Sphere] = (), sun: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What ``raw.json`` says of a view by the scene's camera, as it is now, with the spheres that stand in it."""
    return {
        "width": scene.render.resolution_x,
        "height": scene.render.resolution_y,
        "focal": cycles.focal(scene),
        "camera_to_world": [list(row) for row in cycles.eye(scene).matrix_world],
        "spheres": list(spheres),
        "sun": sun,
    }


def describe_sun(scene: bpy.types.Scene, place: Place, spheres: Sequence[Sphere]) -> dict[str, Any] | None:
    """Direction (camera frame), irradiance, and the share of the disc that each sphere's centre sees."""
    sun, matrix = place.lighting.sun, cycles.eye(scene).matrix_world
    if sun is None:
        return None
    towards = matrix.to_3x3().inverted() @ sun.matrix_world.to_3x3().col[2]
    return {
        "towards": list(towards.normalized()),
        "irradiance": [c * sun.data.energy for c in sun.data.color],
        "seen": [cycles.sun_seen(scene, sun, matrix @ cycles.Vector(centre)) for centre, _ in spheres],
    }


if __name__ == "__main__":
    leave_with_owner()
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    leave()
