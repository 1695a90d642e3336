# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring Gaussian splats in: a trainer's PLY directly, every other format through the engine."""

from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty
from bpy.types import Context, Event, Operator
from bpy_extras.io_utils import ImportHelper

from . import engine_session, watch
from .choose_file import DropOnViewport
from .engine_run import EngineRun
from .run_operator import RunOperator

_EXTENSIONS = (".ply", ".splat", ".spz", ".ksplat", ".glb", ".gltf")


class SplatRun(EngineRun):
    """Lets the engine write a splat file as the PLY that Blender reads, then brings that in."""

    kind = "splats"
    first_stage = "Reading splats"

    def __init__(self, context: bpy.types.Context, path: Path, axes: str) -> None:
        super().__init__(context)
        self._path, self._axes = path, axes

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        return {"file": str(self._path), "out": str(self.folder / "splats.ply")}

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        axes = "Y_UP" if self._axes == "AUTO" and result["y_up"] else self._axes
        self.notes = result["notes"][:2]
        return bring_in(context, Path(result["out"]), self._path.stem, axes)


def bring_in(context: bpy.types.Context, plain: Path, name: str, axes: str) -> str:
    """Add the splats of a plain PLY to the scene; what to tell the artist."""
    from ..scene import splat_drawing, splats

    thing, left_out = splats.add(context, plain, name, axes)
    told = f"{splat_drawing.count(thing)} Gaussians are in “{thing.name}”"
    told += f", {left_out} with impossible numbers are not" if left_out else ""
    if splat_drawing.modifier(thing) is None:
        return told
    # Blender outlines each Gaussian of a selected cloud, which hides them all; it stays active, for the panel.
    thing.select_set(False, view_layer=context.view_layer)
    return f"{told}; Material Preview and Rendered show their colours"


class LIMELIGHT_OT_import_splats(RunOperator, ImportHelper):  # type: ignore[misc]
    """Bring in Gaussian splats: PLY as trainers write it, compressed PLY, .splat, .spz, .ksplat or glTF"""

    bl_idname = "limelight.import_splats"
    bl_label = "Import Splats"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight reads splats"

    filepath: StringProperty(name="File", description="The splat file", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(
        name="Only splats", description="Show only files of Gaussians in the dialogue",
        default=";".join("*" + end for end in _EXTENSIONS), options={"HIDDEN"},
    )  # fmt: skip
    axes: EnumProperty(
        name="Up",
        description="Which way is up in the file",
        items=(
            ("AUTO", "As usual", "What the file says; else Y down for PLY, .splat and .ksplat, Y up for .spz and glTF"),
            ("Y_DOWN", "−Y", "Y points down, Z ahead"),
            ("Y_UP", "Y", "Y points up, Z back"),
            ("Z_UP", "Z", "As Blender has it"),
        ),
        default="AUTO",
    )

    def invoke(self, context: Context, event: Event):
        # A file that was dropped is known; else the file browser asks and comes back through execute().
        if self.filepath:
            return self._direct(context) or RunOperator.invoke(self, context, event)
        return ImportHelper.invoke(self, context, event)

    def execute(self, context: Context):
        return self._direct(context) or super().execute(context)

    def _direct(self, context: Context) -> set[str] | None:
        """Bring in what needs no engine; None if it does."""
        from ..scene import compat, splat_file

        if not compat.SPLATS:
            self.report({"ERROR"}, "Splats need Blender 4.2 or newer: open the file there")
            return {"CANCELLED"}
        path = Path(bpy.path.abspath(self.filepath))
        if not path.is_file():
            self.report({"ERROR"}, f"There is no file “{path.name}”: choose another")
            return {"CANCELLED"}
        if not splat_file.plain(path):
            return None
        try:
            told = bring_in(context, path, path.stem, self.axes)
        except (OSError, ValueError) as error:
            self.report({"ERROR"}, f"The splats could not be read: {error}")
            return {"CANCELLED"}
        watch.redraw(context)
        self.report({"INFO"}, told)
        return {"FINISHED"}

    def make_run(self, context: Context):
        return SplatRun(context, Path(bpy.path.abspath(self.filepath)), self.axes)

    def problems(self, context: Context):
        without = "Only PLY as trainers write it is read without the engine."
        return [f"{without} {sentence}" for sentence in engine_session.told(context, [])]


class LIMELIGHT_OT_crop_splats(Operator):
    """Add a box about the active splats: what is outside is not drawn. Move, turn and scale it"""

    bl_idname = "limelight.crop_splats"
    bl_label = "Add Crop Box"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Context):
        from ..scene import splat_drawing

        thing = context.view_layer.objects.active
        return thing is not None and bool(splat_drawing.inputs(thing))

    def execute(self, context: Context):
        from ..scene import splat_drawing, splats

        thing = context.view_layer.objects.active
        assert thing is not None
        told = splat_drawing.linked(thing)
        if told:
            self.report({"ERROR"}, told)
            return {"CANCELLED"}
        box = splats.add_crop_box(context, thing)
        self.report({"INFO"}, f"What is outside “{box.name}” is not drawn")
        return {"FINISHED"}


def draw_import(menu: bpy.types.Menu, _context: Context) -> None:
    """The entry in File > Import."""
    layout = menu.layout
    assert layout is not None
    layout.operator(LIMELIGHT_OT_import_splats.bl_idname, text="Gaussian Splats (.ply, .spz, .splat, …)")


def register_menu() -> None:
    """Add the entry to File > Import."""
    bpy.types.TOPBAR_MT_file_import.append(draw_import)


def unregister_menu() -> None:
    """Take it away again."""
    bpy.types.TOPBAR_MT_file_import.remove(draw_import)


CLASSES: tuple[type, ...] = (LIMELIGHT_OT_import_splats, LIMELIGHT_OT_crop_splats)

# Blender 4.1 brought file handlers; without them File > Import and the button remain.
if hasattr(bpy.types, "FileHandler"):

    class LIMELIGHT_FH_splats(DropOnViewport, bpy.types.FileHandler):
        """Dropping a splat file on a 3D viewport offers to bring it in"""

        bl_idname = "LIMELIGHT_FH_splats"
        bl_label = LIMELIGHT_OT_import_splats.bl_label
        bl_import_operator = "limelight.import_splats"
        bl_file_extensions = ";".join(_EXTENSIONS)

    CLASSES += (LIMELIGHT_FH_splats,)
