# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo's depth: seen as a mesh, scaled by one known distance, set down on the ground."""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import bpy
from bpy.props import FloatProperty
from bpy.types import Context, Event, Operator

from ..scene.handle import Handle
from . import watch
from .engine_run import EngineRun
from .run_operator import RunOperator


class DepthRun(EngineRun):
    """Asks the engine for the photo's depth and makes a mesh of it."""

    kind = "depth"

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        from ..scene import camera as cameras
        from ..scene import frames

        scene = context.scene
        picture, size = frames.save_still(scene, self.folder)
        if scene.camera is None:
            raise ValueError("the scene has no camera")
        self._photo = Handle.of(scene.limelight.plate)
        self._frame, self._pose = scene.frame_current, cameras.Pose.of(scene.camera)
        view = cameras.seen(scene, scene.camera, *size)
        fov_deg = math.degrees(2 * math.atan(view["width"] / 2 / view["fx"]))
        return {"image": str(picture), "out": str(self.folder / "depth.exr"), "fov_deg": fov_deg}

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        from ..scene import camera as cameras
        from ..scene import depth_mesh, pixels

        scene = bpy.data.scenes[self.scene_name]
        if scene.limelight.plate != self._photo.find(bpy.data.images):
            raise ValueError(f"“{self._photo.name}” is not the photo any more: choose it again first")
        depth = pixels.read(Path(result["depth"]))[..., 0] / cameras.metres(scene)
        # A photo that does not move goes with the camera; of one that does, the camera of another frame sees another.
        moved = scene.frame_current != self._frame
        with cameras.posed(scene, self._pose) if moved else nullcontext():
            depth_mesh.show(scene, depth, self._frame)
        scene.limelight.depth_source = "GEOMETRY"
        span = result.get("range_m")
        reach = f", {span[0]:.1f} to {span[1]:.1f} m," if span else ""
        self.notes = result.get("warnings", [])[:1]
        return f"The photo's depth{reach} is a mesh now"


class LIMELIGHT_OT_show_depth(RunOperator):
    """Estimate the photo's depth and show it as a mesh, to turn, measure and edit; from then on it is the depth used"""

    bl_idname = "limelight.show_depth"
    bl_label = "Depth as Mesh"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight estimates the depth"

    def make_run(self, context: Context):
        return DepthRun(context)

    def problems(self, context: Context):
        from ..scene import depth_mesh, problems

        settings = context.scene.limelight
        if settings.source != "PLATE" or settings.plate is None:
            return ["There is no photo: choose one first"]
        if told := depth_mesh.edited(context.scene):
            return [told[0].upper() + told[1:]]
        return [problem.told for problem in problems.of_camera(context.scene)]


def measured(context: bpy.types.Context) -> tuple[float, str]:
    """A distance in the scene that the artist may know, and between what it lies.

    Two selected vertices in Edit Mode, else two selected objects, else from the camera to the active probe. Raises
    ``ValueError`` if there is none of these.
    """
    from ..scene import probes

    thing = context.object
    if thing is not None and thing.mode == "EDIT" and thing.type == "MESH":
        thing.update_from_editmode()
        ends = [thing.matrix_world @ vertex.co for vertex in thing.data.vertices if vertex.select]
        if len(ends) != 2:
            raise ValueError(f"{len(ends)} vertices are selected: select the two between which you know the distance")
        return (ends[0] - ends[1]).length, "between the two vertices"
    chosen = [thing for thing in context.selected_objects if thing.type != "CAMERA"]
    if len(chosen) == 2:
        first, second = chosen
        distance = (first.matrix_world.translation - second.matrix_world.translation).length
        return distance, f"between {first.name} and {second.name}"
    probe, camera = watch.active_probe(context), context.scene.camera
    if probe is not None and camera is not None:
        distance = (probes.to_world(probe).translation - camera.matrix_world.translation).length
        return distance, f"from the camera to {probe.name}"
    raise ValueError("select two vertices of the mesh in Edit Mode, or two objects, or a probe")


class LIMELIGHT_OT_scale_depth(Operator):
    """Scale depth and probes by one distance that you know: two selected vertices or objects, or camera to probe"""

    bl_idname = "limelight.scale_depth"
    bl_label = "Scale by Known Distance"
    bl_options = {"REGISTER", "UNDO"}

    distance: FloatProperty(
        name="True distance", description="What the distance really is", subtype="DISTANCE", unit="LENGTH", min=0.0
    )

    def invoke(self, context: Context, _event: Event):
        try:
            self.distance, self._between = measured(context)
        except ValueError as error:
            self.report({"ERROR"}, f"Nothing to measure: {error}")
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, _context: Context):
        layout = self.layout
        assert layout is not None
        layout.label(text=f"Measured {getattr(self, '_between', 'in the scene')}")
        layout.prop(self, "distance")

    def execute(self, context: Context):
        from ..scene import depth_mesh

        if context.scene.camera is None:
            self.report({"ERROR"}, "The scene has no camera: add one first")
            return {"CANCELLED"}
        try:
            now, between = measured(context)
            if now <= 0:
                raise ValueError(f"the distance {between} is zero")
            depth_mesh.rescale(context.scene, self.distance / now)
        except ValueError as error:
            self.report({"ERROR"}, f"Nothing was scaled: {error}")
            return {"CANCELLED"}
        watch.refresh(context)
        self.report({"INFO"}, f"Everything in the photo is {self.distance / now:.2f} times as far now")
        return {"FINISHED"}


class LIMELIGHT_OT_snap_to_ground(Operator):
    """Turn and lift the camera, with depth and probes, so that the photo's ground lies on the floor grid"""

    bl_idname = "limelight.snap_to_ground"
    bl_label = "Snap to Ground"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import camera as cameras
        from ..scene import depth_mesh

        try:
            height = depth_mesh.snap_to_ground(context.scene)
        except ValueError as error:
            self.report({"ERROR"}, f"Nothing was moved: {error}")
            return {"CANCELLED"}
        watch.refresh(context)
        height *= cameras.metres(context.scene)
        self.report({"INFO"}, f"The camera stands {height:.2f} m over the photo's ground")
        return {"FINISHED"}


CLASSES = (LIMELIGHT_OT_show_depth, LIMELIGHT_OT_scale_depth, LIMELIGHT_OT_snap_to_ground)
