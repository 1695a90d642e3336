# SPDX-License-Identifier: GPL-3.0-or-later
"""Which portrait it is: by a file dialogue or a dropped file, an open image, a still of a movie or of a render."""

import tempfile
from pathlib import Path

import bpy
from bpy.props import StringProperty
from bpy.types import Context, Operator

from ..scene.compat import RELATIVE_PATH
from . import watch
from .choose_file import ChooseFile, DropOnViewport
from .face import show_in_editor

_EXTENSIONS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".exr", ".hdr", ".webp", ".bmp")


class LIMELIGHT_OT_face_picture(ChooseFile):
    """Choose the portrait, a photo of a person who agreed, that becomes a head"""

    bl_idname = "limelight.face_picture"
    bl_label = "Use as Portrait for a Head"

    filepath: StringProperty(
        name="Portrait", description="The photo of the face", subtype="FILE_PATH",
        options={"SKIP_SAVE"} | RELATIVE_PATH,
    )  # fmt: skip

    def execute(self, context: Context):
        from ..scene import plate

        path = Path(bpy.path.abspath(self.filepath))
        if not self.filepath or not path.is_file():
            self.report({"ERROR"}, f"There is no picture at “{self.filepath}”: choose an image file")
            return {"CANCELLED"}
        try:
            image = plate.load_once(str(path))
        except (OSError, RuntimeError) as error:
            self.report({"ERROR"}, f"“{path.name}” could not be used as a portrait: {error}")
            return {"CANCELLED"}
        context.scene.limelight.face.picture = image
        show_in_editor(context, image)
        watch.redraw(context)
        self.report({"INFO"}, f"{image.name} is the portrait now; press Find Faces, or Make Head at once")
        return {"FINISHED"}


class LIMELIGHT_OT_face_open(Operator):
    """Take the image that is open in the Image Editor for the portrait"""

    bl_idname = "limelight.face_open"
    bl_label = "Use Open Image"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from .relight import open_image

        image = open_image(context)
        if image is None:
            self.report({"ERROR"}, "No image is open: open one in an Image Editor, or choose a file")
            return {"CANCELLED"}
        context.scene.limelight.face.picture = image
        watch.redraw(context)
        return {"FINISHED"}


class LIMELIGHT_OT_face_still(Operator):
    """Take the portrait's current frame, or the render as it is, as a still picture"""

    bl_idname = "limelight.face_still"
    bl_label = "Take Still"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import editors, stills

        settings = context.scene.limelight.face
        if settings.picture is None:
            self.report({"ERROR"}, "No portrait is chosen: choose one first")
            return {"CANCELLED"}
        # What the artist sees of it, counted as there.
        counted = next((editor.image_user for editor in editors.of_images() if editor.image == settings.picture), None)
        try:
            with tempfile.TemporaryDirectory(prefix="limelight-") as folder:
                still = stills.take(context.scene, settings.picture, Path(folder), counted)
        except (OSError, RuntimeError, ValueError) as error:
            self.report({"ERROR"}, f"No still could be taken: {error}")
            return {"CANCELLED"}
        # It was taken by the same lens.
        settings.picture, settings.fov = still, settings.fov
        show_in_editor(context, still)
        watch.redraw(context)
        return {"FINISHED"}


CLASSES: tuple[type, ...] = (LIMELIGHT_OT_face_picture, LIMELIGHT_OT_face_open, LIMELIGHT_OT_face_still)

# Blender 4.1 brought file handlers; without them the button alone chooses the portrait.
if hasattr(bpy.types, "FileHandler"):

    class LIMELIGHT_FH_face(DropOnViewport, bpy.types.FileHandler):
        """Dropping a portrait on a 3D viewport offers to make a head of it"""

        bl_idname = "LIMELIGHT_FH_face"
        bl_label = LIMELIGHT_OT_face_picture.bl_label
        bl_import_operator = "limelight.face_picture"
        bl_file_extensions = ";".join(_EXTENSIONS)

    CLASSES += (LIMELIGHT_FH_face,)
