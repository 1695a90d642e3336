# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the engine sees a probe, or something stands between it and the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from mathutils import Vector

from . import camera as cameras
from . import frames, probes, rays, visible

if TYPE_CHECKING:
    # Only a depth file needs it, so the panels' first look at a scene stays quick.
    import numpy as np

# Depth maps are noisy: what stands this share nearer than the probe's centre does not hide it yet.
_SLACK = 0.01
# A sphere is kept off the surface by a little more than its radius, but never goes more than half the way back.
_CLEARANCE, _FARTHEST_BACK = 1.05, 0.5
_DEPTH_SIDE = 512
# A probe that comes back into the picture stays this share of it away from the edge, and so many radii from the camera.
_MARGIN, _NEAREST = 0.1, 8
# The depth file that was read last, with its time of change: a check follows every change of the scene.
_read: dict[tuple[str, int], np.ndarray | None] = {}


@dataclass(frozen=True)
class Cover:
    """What hides a probe, as a phrase, and where on the same line of sight its sphere would stand free of it."""

    what: str
    free: Vector


def covers(context: bpy.types.Context, wanted: Sequence[bpy.types.Object]) -> dict[bpy.types.Object, Cover]:
    """What hides the centres of probes in the depth that the engine will be given, of those that something hides.

    A photo whose depth the engine estimates hides nothing: what stands in the scene is not in the photo.
    """
    scene, settings = context.scene, context.scene.limelight
    if settings.source == "SCENE" or settings.depth_source == "GEOMETRY":
        # The same for all probes, and slow in large scenes.
        unseen = visible.unseen(context) if settings.source == "SCENE" else None
        found = {probe: _behind_geometry(context, probe, unseen) for probe in wanted}
    elif settings.depth_source == "FILE":
        found = {probe: _behind_depth_file(scene, probe) for probe in wanted}
    else:
        found = {}
    return {probe: cover for probe, cover in found.items() if cover is not None}


def into_picture(scene: bpy.types.Scene, probe: bpy.types.Object) -> Vector | None:
    """Where a probe outside the picture would stand inside it, no nearer; None if its centre is in the picture."""
    assert scene.camera is not None
    centre, eye = probes.to_world(probe).translation, scene.camera.matrix_world.translation
    u, v, depth = cameras.project(scene, scene.camera, centre)
    if depth <= 0:
        away = max((centre - eye).length, _NEAREST * probes.radius_in_world(probe))
        return cameras.unproject(scene, scene.camera, 0.5, 0.5, away)
    if 0 <= u <= 1 and 0 <= v <= 1:
        return None
    u, v = (min(max(share, _MARGIN), 1 - _MARGIN) for share in (u, v))
    return cameras.unproject(scene, scene.camera, u, v, depth)


def _behind_geometry(
    context: bpy.types.Context, probe: bpy.types.Object, unseen: set[Any] | None
) -> Cover | None:
    scene = context.scene
    assert scene.camera is not None
    eye = scene.camera.matrix_world.translation
    line = probes.to_world(probe).translation - eye
    direction = line.normalized()
    # What the camera cuts off, as a wall that it looks through, hides nothing.
    ahead = -scene.camera.matrix_world.normalized().col[2].xyz
    start = eye + direction * cameras.clipped(scene, scene.camera)[0] / max(direction.dot(ahead), 1e-6)
    hit = rays.first_hit(scene, context.evaluated_depsgraph_get(), start, direction, unseen=unseen)
    if hit is None or (hit.point - eye).length >= line.length * (1 - 1e-4):
        return None
    # On a slanted surface a sphere has to come farther along the line of sight to be clear of it.
    back = probes.radius_in_world(probe) * _CLEARANCE / max(abs(hit.normal.dot(direction)), 0.2)
    distance = (hit.point - eye).length
    return Cover(f"“{hit.thing.name}”", eye + direction * max(distance - back, distance * _FARTHEST_BACK))


def _behind_depth_file(scene: bpy.types.Scene, probe: bpy.types.Object) -> Cover | None:
    depths = depth_file(frames.numbered(scene.limelight.depth_file, scene.frame_current))
    if depths is None:
        return None
    assert scene.camera is not None
    centre, eye = probes.to_world(probe).translation, scene.camera.matrix_world.translation
    u, v, depth = cameras.project(scene, scene.camera, centre)
    row, column = (min(int(share * size), size - 1) for share, size in zip((v, u), depths.shape, strict=True))
    nearest = float(depths[row, column]) / cameras.metres(scene)
    if not 0 < nearest < depth * (1 - _SLACK):
        return None
    back = probes.radius_in_world(probe) * _CLEARANCE
    return Cover("what the depth file shows", eye + (centre - eye) * (max(nearest - back, nearest / 2) / depth))


def depth_file(path: Path) -> np.ndarray | None:
    """A depth map (H, W), rows from the top, at most 512 pixels a side; None if Blender cannot read it."""
    if not path.is_file():
        return None
    key = (str(path), path.stat().st_mtime_ns)
    if key not in _read:
        _read.clear()
        _read[key] = _load(path)
    return _read[key]


def _load(path: Path) -> np.ndarray | None:
    from . import pixels

    try:
        values = pixels.read(path)
    except RuntimeError:
        return None
    step = -(-max(values.shape[:2]) // _DEPTH_SIDE)
    return values[::step, ::step, 0].copy()
