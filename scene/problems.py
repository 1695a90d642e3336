# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps an estimate from starting, all at once, each with the button that repairs it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import bpy

from . import camera as cameras
from . import compat, frames, own, probes, sight, visible

#: A probe whose radius is this share of its depth or more is too large; a repaired one is half as large.
_LARGEST = 0.5
#: The radius in metres below which a probe is scaled to nothing: requests are written down with six decimals.
_SMALLEST = 1e-6
_SEEN = {"MESH", "CURVE", "SURFACE", "META", "FONT", "EMPTY", "CURVES", "POINTCLOUD"}


@dataclass(frozen=True)
class Problem:
    """A sentence, and the operator (with its properties) that mends it."""

    text: str
    operator_idname: str
    operator_label: str
    properties: dict[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """For where there is no button: the sentence and what to do."""
        return f"{self.text}: {self.operator_label[0].lower()}{self.operator_label[1:]}"


def find_problems(context: bpy.types.Context, *, quick: bool = False) -> list[Problem]:
    """Everything that is missing or wrong in the scene; empty when an estimate may start.

    ``quick`` leaves out what needs rays into the geometry or the depth file, which takes long where meshes change all
    the time.
    """
    scene, settings = context.scene, context.scene.limelight
    if scene.library:
        text = f"The scene “{scene.name}” belongs to another file, and nothing can be added to it here"
        return [Problem(text, "scene.new", "Copy it into this file", {"type": "FULL_COPY"})]
    found = [*working_space(), *(_plate(context, quick) if settings.source == "PLATE" else ())]
    eye = of_camera(scene)
    found += eye
    there, wanted = probes.probes(scene), probes.used(scene)
    if not there:
        found.append(Problem("There is no probe yet", "limelight.add_probe", "Add a probe"))
    elif not wanted:
        first = there[min(settings.active_probe, len(there) - 1)]
        tip = f"Let {first.name} take part in the estimate"
        found.append(setting("Every probe is switched off", f"Switch {first.name} on", _path(first, "use"), True, tip))
    stuck = {probe for probe in wanted if probes.is_stuck(probe)}
    found += [_stuck(context.view_layer, probe) for probe in wanted if probe in stuck]
    if settings.frames.use:
        # Where probes are at each frame is seen when the frames are written down.
        from . import shot_problems

        found += shot_problems.find(scene)
    elif not eye:
        wanted = [probe for probe in wanted if probe not in stuck]
        hidden = {} if quick else sight.covers(context, wanted)
        found += [p for probe in wanted if (p := misplaced(scene, probe) or _hidden(probe, hidden)) is not None]
    return found


def of_camera(scene: bpy.types.Scene) -> list[Problem]:
    """What keeps the engine from seeing what the scene's camera sees, one problem at most."""
    camera, anew = scene.camera, ("limelight.add_camera", "Add a camera")
    text = "The scene has no camera" if camera is None else cameras.flaw(camera)
    if not text:
        return []
    if camera is None or camera.type != "CAMERA":
        return [Problem(text, *anew)]
    if camera.data.type != "PERSP":
        if camera.data.library:
            # Set here, its lens would be forgotten when the file is opened again.
            return [Problem(f"{text} and belongs to another file", *anew)]
        tip = "Let the camera see in perspective, as photos do"
        return [setting(text, "Make it perspective", "scene.camera.data.type", "PERSP", tip)]
    unscaled = camera.matrix_basis.to_quaternion().to_matrix().to_4x4()
    if camera.parent is not None:
        unscaled = camera.parent.matrix_world @ camera.matrix_parent_inverse @ unscaled
    if not camera.library and cameras.is_rigid(unscaled):
        tip = "Give the camera itself the scale of 1; where it stands and looks stays"
        return [setting(text, "Set its scale to 1", "scene.camera.scale", (1.0, 1.0, 1.0), tip)]
    return [Problem(text, *anew)]


def working_space() -> list[Problem]:
    """That the file's colours are not those of photos and HDRIs, which files of Blender 5.0 and later may choose."""
    # The stubs are of 4.2.
    space: str = getattr(getattr(bpy.data, "colorspace", None), "working_space", compat.LINEAR)
    if space == compat.LINEAR:
        return []
    text = f"This file works in {space}, Limelight in {compat.LINEAR}"
    return [Problem(text, "wm.set_working_color_space", "Convert the file", {"working_space": compat.LINEAR})]


def setting(text: str, label: str, path: str, value: object, tip: str) -> Problem:
    """A problem that goes away when the setting at a path from the context becomes ``value``."""
    return Problem(text, "limelight.repair", label, {"path": path, "value": json.dumps(value), "tip": tip})


def _path(probe: bpy.types.Object, name: str) -> str:
    # Of the scene's objects another file's namesake may be the first, of all objects it is this file's.
    return f'blend_data.objects["{bpy.utils.escape_identifier(probe.name)}"].limelight.{name}'


def _may_be_seen(thing: bpy.types.Object) -> bool:
    return thing.type in _SEEN and not own.is_own(thing) and not thing.limelight.is_probe


def _plate(context: bpy.types.Context, quick: bool) -> Iterator[Problem]:
    """What is wrong with the photo and its depth."""
    scene, settings = context.scene, context.scene.limelight
    if settings.plate is None:
        yield Problem("There is no photo", "limelight.set_plate", "Choose a photo")
    try:
        frames.check(scene)
    except frames.NoFrame as error:
        if error.nearest is None:
            yield Problem(str(error), "limelight.set_plate", "Choose a photo")
        elif not settings.frames.use:
            tip = "Go to the nearest frame at which the photo shows something"
            yield setting(str(error), f"Go to frame {error.nearest}", "scene.frame_current", error.nearest, tip)
    text = ""
    if settings.depth_source == "FILE":
        path = frames.numbered(settings.depth_file, scene.frame_current)
        if not settings.depth_file or not path.is_file():
            text = "The depth file is missing"
        elif not quick and sight.depth_file(path) is None:
            text = f"“{path.name}” is no picture that Blender can read"
    elif settings.depth_source == "GEOMETRY" and not any(map(_may_be_seen, context.view_layer.objects)):
        text = "There is no geometry to take the depth from"
    if text:
        tip = "Let the engine estimate the photo's depth"
        yield setting(text, "Estimate the depth", "scene.limelight.depth_source", "ESTIMATE", tip)


def _stuck(layer: bpy.types.ViewLayer, probe: bpy.types.Object) -> Problem:
    """That nobody knows where a probe is: Blender moves nothing that viewports do not have."""
    off = next((f"“{owner.name}”" for owner, _name in visible.left_out(layer, probe)), "it")
    text = f"Keys, drivers or constraints say where {probe.name} is, but {off} is off in viewports, where nothing moves"
    return Problem(text, "limelight.release_probe", "Switch it on", {"name": probe.name})


def misplaced(scene: bpy.types.Scene, probe: bpy.types.Object) -> Problem | None:
    """What is wrong with where a probe stands, whether or not something hides it."""
    assert scene.camera is not None
    u, v, depth = cameras.project(scene, scene.camera, probes.to_world(probe).translation)
    move = ("limelight.reveal_probe", "Move it into the picture", {"name": probe.name})
    if depth <= 0:
        return Problem(f"{probe.name} is behind the camera", *move)
    if not (0 <= u <= 1 and 0 <= v <= 1):
        return Problem(f"{probe.name} is outside the picture", *move)
    if probes.radius_in_world(probe) * cameras.metres(scene) < _SMALLEST:
        return _scaled_to_nothing(probe)
    share = probes.radius_in_world(probe) / depth
    if share >= _LARGEST:
        text = f"{probe.name} is too large for its distance from the camera"
        fitting = probe.limelight.radius * _LARGEST / 2 / share
        tip = f"Make {probe.name} as small as its distance from the camera needs"
        return setting(text, "Make it smaller", _path(probe, "radius"), fitting, tip)
    return None


def _scaled_to_nothing(probe: bpy.types.Object) -> Problem:
    line = [probe]
    while line[-1].parent is not None:
        line.append(line[-1].parent)
    flat = next((thing for thing in line if max(map(abs, thing.scale)) < _SMALLEST and own.is_local(thing)), None)
    if flat is None:
        tip = f"Leave {probe.name} out of the estimate"
        return setting(f"{probe.name} is scaled to nothing", "Switch it off", _path(probe, "use"), False, tip)
    by = "" if flat == probe else f" by its parent “{flat.name}”"
    tip = f"Give {flat.name} the scale of 1 again"
    path = f'blend_data.objects["{bpy.utils.escape_identifier(flat.name)}"].scale'
    return setting(f"{probe.name} is scaled to nothing{by}", "Set its scale to 1", path, (1.0, 1.0, 1.0), tip)


def _hidden(probe: bpy.types.Object, covers: Mapping[bpy.types.Object, sight.Cover]) -> Problem | None:
    if probe not in covers:
        return None
    text = f"{probe.name} is hidden from the camera by {covers[probe].what}"
    return Problem(text, "limelight.reveal_probe", "Move it in front", {"name": probe.name})
