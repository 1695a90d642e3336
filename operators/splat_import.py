# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring Gaussian splats in: a trainer's PLY directly, every other format through the engine."""

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, EnumProperty, StringProperty
from bpy.types import Context, Event, Operator
from bpy_extras.io_utils import ImportHelper

from . import engine_session, splat_import_run, watch
from .choose_file import DropOnViewport
from .run_operator import RunOperator, call

_EXTENSIONS = (".ply", ".splat", ".spz", ".ksplat", ".glb", ".gltf")


class LIMELIGHT_OT_import_splats(RunOperator, ImportHelper):  # type: ignore[misc]
    """Bring in Gaussian splats: PLY as trainers write it, compressed PLY, .splat, .spz, .ksplat or glTF"""

    bl_idname = "limelight.import_splats"
    bl_label = "Import Splats"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight reads splats"

    filepath: StringProperty(name="File", description="The splat file", subtype="FILE_PATH", options={"SKIP_SAVE"})
    directory: StringProperty(
        name="Folder", description="Where the files are", subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"}
    )
    files: CollectionProperty(
        type=bpy.types.OperatorFileListElement, name="Files",
        description="Names of several splat files in the folder; none takes the one file",
        options={"HIDDEN", "SKIP_SAVE"},
    )  # fmt: skip
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
        # Files that were dropped are known; else the file browser asks and comes back through execute().
        if self.filepath or self.files:
            return self._direct(context) or RunOperator.invoke(self, context, event)
        return ImportHelper.invoke(self, context, event)

    def execute(self, context: Context):
        done = self._direct(context)
        if done is not None:
            return done
        if not self.options.is_invoke or context.window is None:
            return super().execute(context)
        # Blender ends what its file browser was opened for; a run of its own shows progress and can be cancelled.
        again = bpy.ops.limelight.import_splats  # type: ignore[attr-defined]
        files = [{"name": file.name} for file in self.files]
        chosen = {"filepath": self.filepath, "directory": self.directory, "files": files, "axes": self.axes}
        call(self, again, "INVOKE_DEFAULT", **chosen)
        return {"CANCELLED"}

    def _paths(self):
        names = [file.name for file in self.files if file.name]
        folder = Path(bpy.path.abspath(self.directory))
        return [folder / name for name in names] or [Path(bpy.path.abspath(self.filepath))]

    def _missing(self):
        return {p: f"There is no file “{p.name}”: choose another" for p in self._paths() if not p.is_file()}

    def _direct(self, context: Context) -> set[str] | None:
        """Bring in what needs no engine; None if it does, and there is one."""
        from ..scene import compat, splat_file

        if not compat.SPLATS:
            self.report({"ERROR"}, "Splats need Blender 4.2 or newer: open the file there")
            return {"CANCELLED"}
        paths, problems = self._paths(), self._missing()
        plain = [path for path in paths if splat_file.plain(path)]
        if len(plain) + len(problems) < len(paths):
            without = "; ".join(self.problems(context))
            if not (plain and without):
                return None
            problems |= {path: without for path in paths if path not in problems and path not in plain}
        try:
            text = splat_import_run.bring_in(
                context, [splat_import_run.Source(path, path, path.stem, self.axes) for path in plain], problems
            )
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        watch.redraw(context)
        if problems:
            self.report({"WARNING"}, f"{text}. {splat_import_run.told(problems, len(paths))}")
        else:
            self.report({"INFO"}, text)
        return {"FINISHED"}

    def make_run(self, context: Context):
        return splat_import_run.SplatRun(context, self._paths(), self._missing(), self.axes)

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
        if thing is not None and splat_drawing.inputs(thing):
            return True
        cls.poll_message_set("The active object is no cloud of splats: click one first")
        return False

    def execute(self, context: Context):
        from ..scene import splat_drawing, splats

        thing = context.view_layer.objects.active
        assert thing is not None
        told = splat_drawing.linked(thing)
        if told:
            self.report({"ERROR"}, told)
            return {"CANCELLED"}
        try:
            box = splats.add_crop_box(context, thing)
        except ValueError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
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
