# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures that take new light for a scanned mesh, learnt by the engine from its photos; what was stopped goes on."""

import json
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty
from bpy.types import Context

from ..scene.handle import Handle
from . import engine_session
from .engine_run import EngineRun
from .run_operator import RunOperator
from .splat_train import source_of, source_problems


def textures_folder(source: Path, thing: bpy.types.Object) -> Path:
    """Where a mesh's textures go: in the folder of pictures, or beside the .json file."""
    name = f"{bpy.path.clean_name(thing.name)}_textures"
    return source.with_name(f"{source.stem}_{name}") if source.suffix.lower() == ".json" else source / name


class TexturesRun(EngineRun):
    """Hands a mesh and its pictures to the engine, and dresses the object, if need be in what was learnt before."""

    kind = "splat_texture"
    first_stage = "Writing down the mesh"
    cancelled_text = "Stopped; Learn Textures goes on from here"

    def __init__(self, context: Context, thing: bpy.types.Object, source: Path, again: bool) -> None:
        super().__init__(context)
        self._thing, self._source, self._again = Handle.of(thing), source, again
        self._out = textures_folder(source, thing)
        self._fresh = self._whole = False

    def capture(self, context: Context) -> None:
        from ..bridge.messages import note_of
        from ..scene import mesh_textures

        note, unwrap = note_of(self._out), context.scene.limelight.capture.unwrap
        self._whole = not self._again and note.exists()
        if self._whole:
            # Textures are worn in the UV map that they were learnt for, which an unsaved mesh has lost.
            unwrap = json.loads(note.read_text(encoding="utf-8"))["unwrap"]
        self._fresh = mesh_textures.is_fresh(self._find(), unwrap)
        if not self._whole:
            super().capture(context)

    @property
    def over(self) -> bool:
        return self._whole or super().over

    @property
    def succeeded(self) -> bool:
        return self._whole or super().succeeded

    def params(self, context: Context) -> dict[str, Any]:
        from ..bridge.messages import TextureMesh
        from ..scene import mesh_textures

        settings, thing = context.scene.limelight.capture, self._find()
        # A run that goes on has to find its mesh where it was.
        mesh = self._out / "mesh.ply"
        mesh_textures.write(mesh, context, thing, self._fresh)
        asked = TextureMesh(
            str(mesh),
            str(self._source),
            str(self._out),
            settings.iterations or None,
            settings.resolution or None,
            settings.texels or None,
            settings.tone.lower(),
            self._fresh,
            mesh_textures.frames(thing),
            self._again,
        )
        return asked.params

    def load(self, context: Context) -> str:
        if not self._whole:
            return super().load(context)
        with self.at_home(context):
            return f"{self._dress()} that were learnt before"

    def store(self, context: Context, result: dict[str, Any]) -> str:
        self.notes = result["notes"][:1]
        return "; ".join([self._dress(), *(f"PSNR {value:.1f} dB" for value in list(result["psnr"].values())[-1:])])

    def _dress(self) -> str:
        from ..scene import mesh_textures

        thing = self._find()
        mesh_textures.wear(thing, self._out, self._fresh)
        return f"“{thing.name}” wears textures that take new light"

    def _find(self) -> bpy.types.Object:
        thing: bpy.types.Object = self._thing.found(bpy.data.objects, "the mesh")
        return thing


class LIMELIGHT_OT_learn_textures(RunOperator):
    """Learn the active mesh's material from its photos, so that it takes new light; Esc stops, a click goes on"""

    bl_idname = "limelight.learn_textures"
    bl_label = "Learn Textures"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight learns textures"

    again: BoolProperty(
        name="From the start", description="Throw away what was learnt for this mesh before", options={"SKIP_SAVE"}
    )

    def make_run(self, context: Context):
        thing, source = context.view_layer.objects.active, source_of(context.scene)
        assert thing is not None and source is not None
        return TexturesRun(context, thing, source, self.again)

    def problems(self, context: Context):
        from ..scene import mesh_textures

        lacks = "There are no pictures yet: choose the folder of the scan's photos with their cameras"
        found = source_problems(source_of(context.scene), lacks)
        told = mesh_textures.problem(context.view_layer.objects.active, context.scene.limelight.capture.unwrap)
        return [*engine_session.told(context, []), *found, *filter(None, [told])]


CLASSES = (LIMELIGHT_OT_learn_textures,)
