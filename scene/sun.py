# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo's key light as one Sun lamp: direction, colour, strength and angle, in the world's frame.

It is a light of its own: no World holds the rest, and estimates of the scene leave it out.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix, Vector

from . import camera as cameras
from . import own, probes, visible
from .problems import of_camera, working_space

NAME = "Sun from Photo"
#: Custom properties of the lamp: the mark, the expected error in degrees and the key-to-fill ratio.
MARK, SPREAD, RATIO = (f"limelight_{name}" for name in ("sun", "spread", "ratio"))
#: A sun's disc and the widest soft light, in degrees.
_SMALLEST, _LARGEST = 0.53, 90.0
_DISTANCE = 2.0


def find(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The scene's sun from a photo, if there is one; a linked one belongs to another file."""
    lamps = (thing for thing in scene.objects if thing.type == "LIGHT" and own.is_local(thing.data))
    return next((lamp for lamp in lamps if MARK in lamp), None)


def problems(scene: bpy.types.Scene) -> list[str]:
    """What keeps a sun from being found, each with its remedy."""
    settings, found = scene.limelight, []
    if settings.source == "PLATE" and settings.plate is None:
        found.append("There is no photo: choose one under What the Engine Sees")
    return [*found, *(problem.told for problem in (*working_space(), *of_camera(scene)))]


def request(context: bpy.types.Context, folder: Path, probe: bpy.types.Object | None = None) -> dict[str, Any]:
    """Write what the camera sees into ``folder``; the parameters of a ``direction`` request.

    The light is that at ``probe`` if it is in the picture, else that of the whole view. Raises ``ValueError`` with an
    artist's sentence if something is missing.
    """
    # Numpy comes with it, and the panels that draw this lamp come up without.
    from . import capture

    params = capture.view(context, folder)
    if probe is not None:
        assert context.scene.camera is not None
        u, v, depth = cameras.project(context.scene, context.scene.camera, probes.to_world(probe).translation)
        if depth > 0 and 0 <= u <= 1 and 0 <= v <= 1:
            params["probes"] = [{"u": u, "v": v, "depth": depth * cameras.metres(context.scene)}]
    return params


def put(scene: bpy.types.Scene, answer: dict[str, Any]) -> bpy.types.Object:
    """Make the scene's sun shine as a ``direction`` answer says, an earlier one's lamp anew; returns the lamp.

    Its irradiance on a surface facing it is the estimated one: white of the photo × steradian.
    """
    entry = answer["directions"][0]
    lamp = find(scene)
    if lamp is None:
        lamp = bpy.data.objects.new(NAME, bpy.data.lights.new(NAME, "SUN"))
        # An empty name: no probe's, so that lamps made from probes leave it alone.
        lamp[MARK], lamp[own.LAMP] = True, ""
        lamp.matrix_world = Matrix.Translation(_place(scene))
        probes.light_collection(scene).objects.link(lamp)
    visible.include(scene, lamp)
    # The artist may have made another lamp of it; a change of type leaves earlier references behind.
    lamp.data.type = "SUN"
    data = lamp.data
    irradiance = Vector(entry["irradiance"])
    strength = max(irradiance)
    data.color = irradiance / strength if strength > 0 else (1.0, 1.0, 1.0)
    data.energy = strength
    data.angle = math.radians(min(max(entry["angular_size_deg"], _SMALLEST), _LARGEST))
    _turn(lamp, Vector(entry["direction_world"]))
    lamp[SPREAD], lamp[RATIO] = float(entry["spread_deg"]), float(entry["key_to_fill"])
    return lamp


def _turn(lamp: bpy.types.Object, towards: Vector) -> None:
    """Let a lamp's z axis point ``towards`` a direction in the world, whatever parent the artist has given it.

    Below an uneven scale a turn in the world is none in the lamp's own frame, so it is sought there.
    """
    basis = lamp.matrix_basis
    frame = lamp.matrix_world @ basis.inverted_safe()
    turn = (frame.to_3x3().inverted_safe() @ towards).to_track_quat("Z", "Y")
    lamp.matrix_world = frame @ Matrix.LocRotScale(basis.translation, turn, None)


def told(lamp: bpy.types.Object) -> str:
    """How sure the lamp's direction is, in a sentence without a full stop."""
    spread, ratio = lamp.get(SPREAD, 0.0), lamp.get(RATIO, 0.0)
    sure = "a clear light" if spread < 20 else "roughly" if spread < 40 else "little more than a guess"
    fill = f"{ratio:.1f} times the fill" if ratio >= 0.1 else "hardly more than fill"
    return f"{NAME}: ± {spread:.0f}° ({sure}), {fill}"


def sun_from_photo(context: bpy.types.Context, python: Path) -> bpy.types.Object:
    """Ask the engine run by ``python`` for the key light of what the camera sees, and put its sun; for scripts.

    Raises ``ValueError`` if the view cannot be captured and ``RuntimeError`` if the engine fails, with a sentence.
    """
    from .command import make_engine

    found = problems(context.scene)
    if found:
        raise ValueError("; ".join(found))
    engine = make_engine(context, python)
    try:
        with tempfile.TemporaryDirectory(prefix="limelight-") as folder:
            used = probes.used(context.scene)
            params = request(context, Path(folder), used[0] if used else None)
            job = engine.wait(engine.submit("direction", params))
    finally:
        engine.stop()
    if job.state != "done" or job.result is None:
        raise RuntimeError(f"{job.error.text} {job.error.remedy}".strip() if job.error else "The engine ended early.")
    return put(context.scene, job.result)


def _place(scene: bpy.types.Scene) -> Vector:
    """Where the lamp's symbol stands, which does not matter to its light: in front of and above the camera."""
    if scene.camera is None:
        return Vector((0.0, 0.0, _DISTANCE))
    axes = scene.camera.matrix_world.normalized()
    return axes.translation + axes.to_3x3() @ Vector((0.0, 0.5 * _DISTANCE, -2 * _DISTANCE))
