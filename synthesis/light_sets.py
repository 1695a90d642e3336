# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of rooms rendered once per light source, so that any mixture of the pictures is an exact new lighting.

Light is additive: with a picture of each source alone, a sum with non-negative weights of any colour is the room under
those sources. Eight sources form a rig: they stand in the same directions about the middle of every view and shine
there equally, so that two rooms with the same weights have the same light. Two more are the room's own: its daylight
and its lamps.

``python bridge/launch.py synthesis.light_sets --out DIR --first 0 --count N [--hdris DIR]``
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..backend.console import TerminalReport
from ..backend.luminet.rig import RIG
from ..backend.optics.camera import Camera
from . import tracer
from .arithmetic import RECT, SKY
from .cameras import pose
from .denoise import denoise
from .rooms import make_room
from .samples import planar, write_seeds
from .scene import REC709, SceneBuilder
from .sky import hdri_files
from .viewpoint import Viewpoint, camera_corners, clearance, place_camera

#: The room's own sources, after the rig's.
OWN = ("daylight", "lamps")
SLOTS = (*RIG, *OWN)
#: Metres from the camera to the middle at most, and from there to a lamp: what is behind stays out of the picture.
_MIDDLE, _NEAREST, _FARTHEST = 2.0, 0.3, 3.2
#: Radii in metres of the rig's lamps.
RADII = (0.06, 0.22)
#: Column of a rectangle that tells a window from a lamp (scene.py).
_WINDOW = 15
#: Bounces of a path; fewer than a probe's panorama needs, as each source is only a part of the light.
_BOUNCES = 4


def make_light_set(
    seed: int, *, size: int = 128, samples: int = 8, hdris: list[Path], threads: int | None = None, device: str = "cpu"
) -> dict[str, Any]:
    """One view of a room under each source of :data:`SLOTS`; the same arguments give the same numbers.

    Returns ``lights`` (10, S, S, 3) float32, linear radiance under each source alone (a source that the room lacks is
    black), of one exposure: the rig's lamps together bring the 95th percentile of luminance to 0.95; the room's own
    are scaled to the mean of one lamp of the rig. ``albedo``, ``normal`` (S, S, 3) in the camera frame, ``depth``
    (S, S) planar metres, ``camera``, ``camera_to_world`` (4, 4), and ``middle`` (3,) metres, camera frame.
    """
    for attempt in range(20):
        rng = np.random.default_rng([seed, attempt])
        builder = make_room(rng, hdris)
        whole = builder.build()
        view = _square(place_camera(rng, whole, size), size, float(rng.uniform(45, 85)))
        middle = _middle(whole, view)
        if middle is not None:
            break
    else:
        raise RuntimeError(f"Seed {seed} gave no usable room in 20 tries; use another seed.")
    radius = float(rng.uniform(*RADII))
    rig = [_with_lamp(builder, whole, view, middle, *where, radius) for where in RIG.values()]
    own = [_dark(builder, daylight=False), _dark(builder, lamps=False)]
    rendered = render_lights([*rig, *own], view, samples, seed, threads, device)
    return {
        **rendered,
        "camera": view.camera.to_dict(),
        "camera_to_world": view.camera_to_world.astype(np.float32),
        "middle": ((middle - view.camera_to_world[:3, 3]) @ view.camera_to_world[:3, :3]).astype(np.float32),
    }


def grey_room(*, size: int = 96, samples: int = 256) -> np.ndarray:
    """A plain grey room with a few grey things under each lamp of the rig: (8, S, S, 3), exposed as a light set's.

    Its pictures mix to what a room looks like under a given light, where there is no picture of one, but an HDRI.
    """
    builder = SceneBuilder()
    wall, thing = builder.material((0.6, 0.6, 0.6)), builder.material((0.45, 0.45, 0.45), roughness=0.3, specular=0.04)
    builder.set_room((-2.4, -2.4, 0.0), (2.4, 2.4, 2.7), [wall] * 6)
    builder.group([((-0.5, -0.35, 0.0), (0.5, 0.35, 0.7), thing)], (0.3, 0.9, 0), 0.4)
    builder.group([((-0.2, -0.2, 0.0), (0.2, 0.2, 1.5), wall)], (-1.3, 1.6, 0), 0.2)
    builder.sphere((0.3, 0.9, 0.9), 0.2, wall)
    builder.sphere((1.4, 1.4, 0.4), 0.4, thing)
    view = Viewpoint(Camera.from_fov(size, size, 70.0), pose(np.array([0.0, -2.0, 1.4]), math.pi / 2, -0.1, 0.0))
    middle, whole = np.array([0.0, 0.0, 1.2]), builder.build()
    rig = [_with_lamp(builder, whole, view, middle, *where, 0.12) for where in RIG.values()]
    return render_lights(rig, view, samples, 0, None, "cpu")["lights"]


def render_lights(
    builders: list[SceneBuilder], view: Viewpoint, samples: int, seed: int, threads: int | None, device: str
) -> dict[str, np.ndarray]:
    """One view of a room lit in different ways, the rig's lamps first: ``lights``, ``albedo``, ``normal``, ``depth``."""
    corners = camera_corners(view.camera)
    turned = corners @ view.camera_to_world[:3, :3].T
    pictures = []
    for number, lit in enumerate(builders):
        traced = tracer.trace(
            lit.build(), view.camera_to_world[:3, 3], turned, samples=samples, seed=seed * 16 + number,
            bounces=_BOUNCES, clamp=clamp_of(number), threads=threads, device=device,
        )  # fmt: skip
        pictures.append(denoise(traced, wrap=False))
    lights = exposed(np.stack(pictures))
    normal = traced.normal @ view.camera_to_world[:3, :3]
    return {"lights": lights, "albedo": traced.albedo, "normal": normal, "depth": planar(traced.distance, corners)}


def exposed(pictures: np.ndarray) -> np.ndarray:
    """Lights (L, S, S, 3) of one exposure, as :func:`make_light_set` tells, the rig's first; float32."""
    lights = pictures.astype(np.float32)
    rig = lights[: len(RIG)]
    rig *= 0.95 / max(float(np.percentile(rig.sum(0) @ REC709, 95)), 1e-6)
    mean = float((rig @ REC709).mean())
    for own in lights[len(RIG) :]:
        level = float((own @ REC709).mean())
        own *= mean / level if level > 1e-4 else 0.0
    return lights


def clamp_of(number: int) -> float:
    """Indirect light of one vertex; the rig's lamps give irradiance 1 at the middle, the room's own are in klx."""
    return 1.5 if number < len(RIG) else 12.0


def _square(view: Viewpoint, size: int, fov: float) -> Viewpoint:
    """The same place and heading with a square picture and hardly any tilt."""
    forward = -view.camera_to_world[:3, 2]
    yaw, pitch = math.atan2(forward[1], forward[0]), math.asin(float(np.clip(forward[2], -1, 1)))
    return Viewpoint(
        Camera.from_fov(size, size, fov),
        pose(view.camera_to_world[:3, 3], yaw, 0.6 * pitch, 0.0),
    )


def _middle(scene: Any, view: Viewpoint) -> np.ndarray | None:
    """A point (3,) in free space, half way to what the middle of the view shows, about which the rig stands."""
    place, forward = view.camera_to_world[:3, 3], -view.camera_to_world[:3, 2]
    level = forward * np.array([1, 1, 0])
    level /= np.linalg.norm(level)
    reach = tracer.first_hit(scene, place, level)
    if not 1.0 < reach < 12:
        return None
    for share in (0.55, 0.45, 0.65, 0.35):
        point = place + min(share * reach, _MIDDLE) * level
        point[2] = np.clip(point[2], 0.9, 1.4)
        if clearance(scene, point) > 0.15:
            return point
    return None


def _with_lamp(
    builder: SceneBuilder, scene: Any, view: Viewpoint, middle: np.ndarray, right: float, up: float, radius: float
) -> SceneBuilder:
    """The room in the dark but for one white lamp in the given direction, whose irradiance at the middle is 1."""
    forward = -view.camera_to_world[:3, 2]
    heading = math.atan2(forward[1], forward[0]) - math.radians(right)
    towards = np.array([*(math.cos(math.radians(up)) * np.array([math.cos(heading), math.sin(heading)])),
                        math.sin(math.radians(up))])  # fmt: skip
    reach = tracer.first_hit(scene, middle, towards)
    distance = float(np.clip(0.85 * reach, _NEAREST, _FARTHEST))
    radius = min(radius, 0.12 * distance)
    dark = _dark(builder)
    # E = L · π r² / d².
    lamp = dark.material((0.8, 0.8, 0.8), radiance=np.full(3, (distance / radius) ** 2 / math.pi))
    dark.sphere(middle + distance * towards, radius, lamp)
    return dark


def _dark(builder: SceneBuilder, *, daylight: bool = True, lamps: bool = True) -> SceneBuilder:
    """A copy of a room with its ``daylight`` or its ``lamps`` switched off."""
    dark = copy.copy(builder)
    dark.materials, dark.solids, dark.spheres = [list(m) for m in builder.materials], list(builder.solids), []
    if daylight:
        dark.sky, dark.sun = np.zeros((2, 4, 3), np.float32), SceneBuilder().sun
    if lamps:
        for material in dark.materials:
            material[11:15] = [0.0] * 4
    else:
        dark.spheres = list(builder.spheres)
    kept = [i for i, rect in enumerate(builder.rects) if rect[_WINDOW] or not lamps]
    dark.rects, dark.lights = [builder.rects[i] for i in kept], []
    for kind, place, power in builder.lights:
        index = int(place)
        from_outside = kind == SKY or (kind == RECT and builder.rects[index][_WINDOW])
        if not (daylight if from_outside else lamps):
            dark.lights.append([kind, kept.index(index) if kind == RECT else index, power])
    return dark


def write_light_sets(
    folder: Path,
    first_seed: int,
    count: int,
    workers: int = 1,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    hdri_folder: Path | None = None,
    **options: Any,
) -> None:
    """Write ``sample_<seed>.npz`` for ``count`` seeds; existing files are kept, so a broken run resumes.

    ``workers`` above 1 renders so many rooms at once, each on one thread. ``options`` go to :func:`make_light_set`.
    """
    seeds = range(first_seed, first_seed + count)
    write_seeds(folder, seeds, make_light_set, workers, progress, hdris=hdri_files(hdri_folder), **options)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Render rooms once per light source.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--hdris", type=Path)
    given = parser.parse_args()
    with TerminalReport() as report:
        write_light_sets(
            given.out, given.first, given.count, given.workers, report.progress, given.hdris, size=given.size,
            samples=given.samples, threads=given.threads,
        )  # fmt: skip


if __name__ == "__main__":
    main()
