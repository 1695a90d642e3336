# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo behind the scene: set by a file dialogue or by dropping the file, cleared again, and a camera to see it."""

import math
from pathlib import Path

import bpy
from bpy.props import BoolProperty, FloatProperty, StringProperty
from bpy.types import Context, Operator

from ..scene.compat import RELATIVE_PATH
from . import watch
from .choose_file import ChooseFile, DropOnViewport

_EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".exr", ".hdr", ".webp", ".bmp"),
    *(".mp4", ".mov", ".mkv", ".avi", ".webm"),
)


def look_through_camera(context: bpy.types.Context) -> None:
    """Let the 3D viewports of the active window look through the scene's camera, so that the plate is seen."""
    if context.window is None:
        return
    for area in context.window.screen.areas:
        if area.type == "VIEW_3D":
            area.spaces.active.region_3d.view_perspective = "CAMERA"


class LIMELIGHT_OT_set_plate(ChooseFile):
    """Put a photo behind the scene's camera, matched to its size and field of view, to estimate its light"""

    bl_idname = "limelight.set_plate"
    bl_label = "Use as Photo for Light"

    filepath: StringProperty(
        name="Photo",
        description="The photo to use; linear EXR and HDR files and movies work too",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"} | RELATIVE_PATH,
    )
    fov: FloatProperty(
        name="Field of View",
        description="Horizontal field of view of the photo; 0 reads it from the file or assumes a usual lens",
        min=0.0,
        max=math.radians(170),
        default=0.0,
        subtype="ANGLE",
        options={"SKIP_SAVE"},
    )
    filter_movie: BoolProperty(
        name="Movies", description="Show movies in the dialogue too", default=True, options={"HIDDEN"}
    )

    def execute(self, context: Context):
        from ..scene import plate

        path = Path(bpy.path.abspath(self.filepath))
        if not self.filepath or not path.is_file():
            self.report({"ERROR"}, f"There is no photo at “{self.filepath}”: choose an image file")
            return {"CANCELLED"}
        if path.suffix.lower() not in _EXTENSIONS:
            self.report({"ERROR"}, f"“{path.name}” is no photo: choose one of {', '.join(_EXTENSIONS)}")
            return {"CANCELLED"}
        before = context.scene.camera
        try:
            camera = plate.set_plate(context.scene, str(path), fov_deg=math.degrees(self.fov) or None)
        except (OSError, RuntimeError, ValueError) as error:
            self.report({"ERROR"}, f"“{path.name}” could not be used as a photo: {error}")
            return {"CANCELLED"}
        look_through_camera(context)
        watch.refresh(context)
        watch.redraw(context)
        told = f"{path.name} is the photo now; add a probe where the light matters"
        if before is not None and before.type == "CAMERA" and camera != before:
            told += f". This scene sees it by “{camera.name}”, as “{before.name}” shows another scene's photo"
        self.report({"INFO"}, told)
        return {"FINISHED"}


class LIMELIGHT_OT_clear_plate(Operator):
    """Take the photo away from the camera; probes and their light stay"""

    bl_idname = "limelight.clear_plate"
    bl_label = "Remove Photo"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import plate

        plate.clear_plate(context.scene)
        watch.refresh(context)
        watch.redraw(context)
        return {"FINISHED"}


class LIMELIGHT_OT_add_camera(Operator):
    """Add a camera where you look from now, with the photo behind it, so that the engine sees what you see"""

    bl_idname = "limelight.add_camera"
    bl_label = "Add Camera"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import camera as cameras
        from ..scene import plate

        scene, before = context.scene, context.scene.camera
        camera = cameras.add(scene)
        view = getattr(context.space_data, "region_3d", None)
        if view is not None and view.view_perspective == "PERSP":
            camera.matrix_world = view.view_matrix.inverted()
            # A viewport shows twice the angle of a camera with the same focal length.
            camera.data.lens = max(context.space_data.lens / 2, 1.0)
        elif before is not None:
            camera.matrix_world = cameras.undistorted(before.matrix_world)
        else:
            unit = cameras.metres(scene)
            camera.location, camera.rotation_euler = (0.0, -6.0 / unit, 1.6 / unit), (math.radians(90), 0.0, 0.0)
        if scene.limelight.source == "PLATE" and scene.limelight.plate is not None:
            plate.hand_on(scene, before)
        look_through_camera(context)
        watch.refresh(context)
        watch.redraw(context)
        return {"FINISHED"}


CLASSES: tuple[type, ...] = (LIMELIGHT_OT_set_plate, LIMELIGHT_OT_clear_plate, LIMELIGHT_OT_add_camera)

# Blender 4.1 brought file handlers; without them the button alone sets the photo.
if hasattr(bpy.types, "FileHandler"):

    class LIMELIGHT_FH_plate(DropOnViewport, bpy.types.FileHandler):
        """Dropping a photo on a 3D viewport offers to estimate its light"""

        bl_idname = "LIMELIGHT_FH_plate"
        bl_label = LIMELIGHT_OT_set_plate.bl_label
        bl_import_operator = "limelight.set_plate"
        bl_file_extensions = ";".join(_EXTENSIONS)

    CLASSES += (LIMELIGHT_FH_plate,)
