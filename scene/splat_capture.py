# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of an object from all around, with exact cameras: what splats are learnt from.

A folder as NeRF's Blender scenes are: transforms_train.json, transforms_test.json, and PNGs with the object's alpha.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

from . import camera as cameras
from . import capture, paths, renderer, whole_file
from .handle import Handle

#: Horizontal field of view, and how much of it the object's bounding ball may fill.
FOV, _FILLED = math.radians(40.0), 0.95
#: Of so many views to learn from one more is made for testing.
_PER_TEST = 8
_KINDS = {"MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "POINTCLOUD", "VOLUME"}
_PLAN = "capture.json"
#: The golden angle: successive places of a spiral lie far apart.
_TURN = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Plan:
    """``objects`` by name, and what stands for their ``shapes``, see :func:`shapes`; ``train`` and ``test``: cameras to
    world, four rows each; ``size`` in pixels."""

    objects: list[str]
    shapes: list[str]
    train: list[list[list[float]]]
    test: list[list[list[float]]]
    reach: float
    size: int
    samples: int


def targets(context: bpy.types.Context) -> list[bpy.types.Object]:
    """What is captured: the selected objects, or else the active one, with all that hangs on them."""
    chosen = list(context.selected_objects) or [t for t in [context.view_layer.objects.active] if t is not None]
    return with_children(chosen)


def with_children(chosen: list[bpy.types.Object]) -> list[bpy.types.Object]:
    """Objects with their children, each once, that a render shows."""
    found = dict.fromkeys(thing for top in chosen for thing in (top, *top.children_recursive))
    return [thing for thing in found if not thing.hide_render]


def ball(context: bpy.types.Context, things: list[bpy.types.Object]) -> tuple[Vector, float]:
    """Middle and radius of the objects' geometry, modifiers and instances included, in world space.

    Raises ``ValueError`` if there is none.
    """
    corners = []
    for _thing, box, instance in _surfaces(context, things):
        if len(box) and np.ptp(box, axis=0).max() > 0:
            matrix = np.array(instance.matrix_world)
            corners.append(box @ matrix[:3, :3].T + matrix[:3, 3])
    if not corners:
        raise ValueError("there is nothing to capture: select an object that has a surface")
    points = np.concatenate(corners)
    middle = (points.min(0) + points.max(0)) / 2
    radius = float(np.linalg.norm(points - middle, axis=1).max())
    if not 1e-6 < radius < 1e9:
        raise ValueError("the object is too small or too large to be captured: scale it")
    return Vector(middle), radius


def shapes(context: bpy.types.Context, things: list[bpy.types.Object]) -> list[str]:
    """What stands for each object's geometry, wherever that is: another after an edit; empty where nothing shows."""
    found: dict[bpy.types.Object, Any] = {}
    for thing, box, instance in _surfaces(context, things):
        told = found.setdefault(thing, hashlib.sha256())
        told.update(box.tobytes())
        if instance.is_instance:
            told.update(np.array(instance.matrix_world).tobytes())
    return [found[thing].hexdigest() if thing in found else "" for thing in things]


def _surfaces(
    context: bpy.types.Context, things: list[bpy.types.Object]
) -> Iterator[tuple[bpy.types.Object, np.ndarray, bpy.types.DepsgraphObjectInstance]]:
    """Objects with what can be seen of them, modifiers and instances included: points (N, 3) that hold it, in the frame
    of its instance."""
    wanted = set(things)
    for instance in context.evaluated_depsgraph_get().object_instances:
        source = instance.parent if instance.is_instance else instance.object
        shown = instance.object
        if source is not None and shown is not None and source.original in wanted and shown.type in _KINDS:
            yield source.original, _outline(shown), instance


def _outline(shown: bpy.types.Object) -> np.ndarray:
    """(N, 3): points in an evaluated object's own frame that hold all of it."""
    if not isinstance(shown.data, bpy.types.Mesh):
        return np.array(shown.bound_box)
    # In Edit Mode an object's own data may be empty.
    mesh = shown.to_mesh()
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    shown.to_mesh_clear()
    return points.reshape(-1, 3)


def places(middle: Vector, radius: float, count: int, lowest: float, shift: float = 0.0) -> list[list[list[float]]]:
    """Cameras on a sphere about an object, evenly from straight above down to ``lowest`` (radians from the horizon)."""
    distance = radius / (_FILLED * math.sin(FOV / 2))
    found = []
    for number in range(count):
        height = 1 - (number + 0.5 + shift / 2) / (count + shift) * (1 - math.sin(lowest))
        angle, flat = (number + shift) * _TURN, math.sqrt(max(0.0, 1 - height * height))
        back = Vector((flat * math.cos(angle), flat * math.sin(angle), height))
        matrix = back.to_track_quat("Z", "Y").to_matrix().to_4x4()
        matrix.translation = middle + distance * back
        found.append([list(row) for row in matrix])
    return found


@dataclass
class Capture:
    """A capture on its way: call :meth:`step` until it is ``over``, then :meth:`finish`."""

    plan: Plan
    folder: Path
    scene: Handle
    things: list[Handle]
    poses: list[Matrix]
    waiting: list[tuple[str, list[list[float]]]] = field(default_factory=list)
    newest: Path | None = None

    @property
    def total(self) -> int:
        """Views in all."""
        return len(self.plan.train) + len(self.plan.test)

    @property
    def done(self) -> int:
        """Views that are there."""
        return self.total - len(self.waiting)

    @property
    def over(self) -> bool:
        """Whether all views are there."""
        return not self.waiting

    def step(self) -> Path:
        """Render the next view; its picture. ``ValueError`` or ``RuntimeError`` with a sentence if that fails."""
        name, pose = self.waiting[0]
        scene = self.scene.find(bpy.data.scenes)
        things = [thing.find(bpy.data.objects) for thing in self.things]
        if scene is None or any(thing is None for thing in things):
            raise ValueError("an object that is being captured is gone")
        moved = any(_moved(thing.matrix_world, pose) for thing, pose in zip(things, self.poses, strict=True))
        # One that is hidden from the viewport meanwhile is rendered as it was.
        pairs = zip(shapes(bpy.context, things), self.plan.shapes, strict=True)
        if moved or any(now and before and now != before for now, before in pairs):
            raise ValueError("the object was moved or changed meanwhile: undo that, and the next capture goes on")
        path = self.folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.png")
        settings = capture.settings_for_capture(scene, (self.plan.size,) * 2, part, self.plan.samples, display=True)
        with alone(scene, set(things)), _eye(scene, pose, self.plan.reach), settings:
            renderer.render_still(scene)
        part.replace(path)
        self.waiting.pop(0)
        self.newest = path
        return path

    def finish(self) -> None:
        """Write the cameras; only now the folder is a scene."""
        focal = self.plan.size / 2 / math.tan(FOV / 2)
        lens = {
            "camera_angle_x": FOV, "w": self.plan.size, "h": self.plan.size, "fl_x": focal, "fl_y": focal,
            "cx": self.plan.size / 2, "cy": self.plan.size / 2,
        }  # fmt: skip
        for part, poses in (("test", self.plan.test), ("train", self.plan.train)):
            frames = [{"file_path": f"./{_name(part, i)}.png", "transform_matrix": p} for i, p in enumerate(poses)]
            # That it is there says that the capture is finished.
            text = json.dumps(lens | {"frames": frames}, indent=1)
            whole_file.write(self.folder / f"transforms_{part}.json", text.encode())


def _moved(now: Matrix, before: Matrix) -> bool:
    """Whether an object stands elsewhere, by more than rounding."""
    return not np.allclose(np.array(now), np.array(before), rtol=1e-4, atol=1e-5)


def _name(part: str, number: int) -> str:
    return f"{part}/view_{number:04d}"


def plan(
    context: bpy.types.Context, things: list[bpy.types.Object], *, views: int, size: int, samples: int, lowest: float
) -> Plan:
    """What to render; ``ValueError`` with an artist's sentence if there is nothing to see."""
    middle, radius = ball(context, things)
    return Plan(
        [thing.name for thing in things],
        shapes(context, things),
        places(middle, radius, views, lowest),
        places(middle, radius, max(2, views // _PER_TEST), lowest, 0.5),
        radius,
        size,
        samples,
    )


def begin(context: bpy.types.Context, things: list[bpy.types.Object], planned: Plan, folder: Path) -> Capture:
    """A capture of what was planned into ``folder``; one of the same plan that was broken off there goes on.

    Raises ``ValueError`` with an artist's sentence if the folder holds something else, ``OSError`` if it takes nothing.
    """
    if not _usable(folder, planned):
        raise ValueError(f"the folder “{folder.name}” holds other files: choose an empty one")
    names = [(_name("train", i), p) for i, p in enumerate(planned.train)]
    names += [(_name("test", i), p) for i, p in enumerate(planned.test)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        whole_file.write(folder / _PLAN, json.dumps(asdict(planned)).encode())
    except OSError as error:
        raise paths.unwritable(folder, error) from error
    waiting = [entry for entry in names if not (folder / f"{entry[0]}.png").is_file()]
    poses = [thing.matrix_world.copy() for thing in things]
    return Capture(planned, folder, Handle.of(context.scene), [Handle.of(thing) for thing in things], poses, waiting)


def folder_for(base: Path, planned: Plan) -> Path:
    """``base``, or with a number behind it the first that is free or holds this very capture, broken off."""
    number, found = 1, base
    while not _usable(found, planned):
        number += 1
        found = base.with_name(f"{base.name}_{number}")
    return found


def _usable(folder: Path, planned: Plan) -> bool:
    """Whether a folder is free or holds a part of this very capture."""
    if not folder.is_dir():
        return not folder.exists()
    return not any(folder.iterdir()) or (_told(folder) == _plain(planned) and not is_whole(folder, planned))


def is_whole(folder: Path, planned: Plan) -> bool:
    """Whether a folder holds this very capture, finished."""
    return _told(folder) == _plain(planned) and (folder / "transforms_train.json").is_file()


def _plain(planned: Plan) -> Any:
    return json.loads(json.dumps(asdict(planned)))


def _told(folder: Path) -> Any:
    """The plan that a folder was made by; None if it was not."""
    try:
        return json.loads((folder / _PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@contextmanager
def alone(scene: bpy.types.Scene, things: set[Any]) -> Iterator[None]:
    """Let cameras see nothing but these objects; all others still light, shade and mirror themselves in them."""
    shown = things | _instanced(things)
    with ExitStack() as restore:
        for thing in scene.objects:
            if thing not in shown and thing.visible_camera:
                restore.callback(setattr, thing, "visible_camera", True)
                thing.visible_camera = False
        yield


def _instanced(things: set[Any]) -> set[Any]:
    """The objects that these show as instances: by collections, also ones that the viewport hides, nodes, particles."""
    found = {part for thing in things if thing.instance_collection for part in thing.instance_collection.all_objects}
    for instance in bpy.context.evaluated_depsgraph_get().object_instances:
        source, shown = instance.parent, instance.object
        if instance.is_instance and source is not None and shown is not None and source.original in things:
            found.add(shown.original)
    return found


@contextmanager
def _eye(scene: bpy.types.Scene, pose: list[list[float]], reach: float) -> Iterator[None]:
    """A camera of our own at a place, as the only one that sees the scene."""
    data = bpy.data.cameras.new("Limelight capture")
    data.sensor_fit, data.angle = "HORIZONTAL", FOV
    data.clip_start, data.clip_end = reach * 0.01, reach * 20
    eye = bpy.data.objects.new(data.name, data)
    try:
        scene.collection.objects.link(eye)
        eye.matrix_world = Matrix(pose)
        with cameras.only(scene, eye):
            yield
    finally:
        bpy.data.objects.remove(eye)
        bpy.data.cameras.remove(data)
