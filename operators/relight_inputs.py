# SPDX-License-Identifier: GPL-3.0-or-later
"""What Relight starts from: a reference by a file dialogue, a still of a movie, of a sequence or of a render."""

import tempfile
from pathlib import Path

import bpy
from bpy.props import StringProperty
from bpy.types import Context, Operator

from ..scene.compat import RELATIVE_PATH
from . import watch
from .choose_file import ChooseFile
from .relight import open_image


class LIMELIGHT_OT_relight_reference(ChooseFile):
    """Choose the picture or panorama whose light is wanted"""

    bl_idname = "limelight.relight_reference"
    bl_label = "Choose Reference"

    filepath: StringProperty(
        name="Reference", description="The picture or panorama whose light is wanted", subtype="FILE_PATH",
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
            self.report({"ERROR"}, f"“{path.name}” could not be used as a reference: {error}")
            return {"CANCELLED"}
        settings = context.scene.limelight.relight
        settings.reference = image
        if settings.reference_type not in {"IMAGE", "HDRI"}:
            settings.reference_type = "IMAGE"
        watch.redraw(context)
        return {"FINISHED"}


class LIMELIGHT_OT_relight_still(Operator):
    """Take what the Image Editor shows now, a frame of a movie or a render, as an image that can be relit"""

    bl_idname = "limelight.relight_still"
    bl_label = "Take Still"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: Context):
        from ..scene import stills

        space = context.space_data if isinstance(context.space_data, bpy.types.SpaceImageEditor) else None
        image = open_image(context)
        if image is None:
            self.report({"ERROR"}, "No image is open: open one in an Image Editor")
            return {"CANCELLED"}
        try:
            with tempfile.TemporaryDirectory(prefix="limelight-") as folder:
                still = stills.take(context.scene, image, Path(folder), space.image_user if space else None)
        except (OSError, RuntimeError, ValueError) as error:
            self.report({"ERROR"}, f"No still could be taken: {error}")
            return {"CANCELLED"}
        if space is not None:
            space.image = still
        watch.redraw(context)
        self.report({"INFO"}, f"“{still.name}” is a still of “{image.name}”")
        return {"FINISHED"}


CLASSES = (LIMELIGHT_OT_relight_reference, LIMELIGHT_OT_relight_still)
