# SPDX-License-Identifier: GPL-3.0-or-later
"""Let splats take the scene's light, with a mesh from the engine that casts their shadows."""

from pathlib import Path
from typing import Any

import bpy
from bpy.props import IntProperty
from bpy.types import Context, Operator

from ..scene.handle import Handle
from . import engine_session, watch
from .engine_run import EngineRun
from .run_operator import RunOperator
from .splat_edit import clouds, ready


class ProxyRun(EngineRun):
    """Lets the engine find the surface of the active cloud, as it is edited now, and makes it the cloud's proxy."""

    kind = "splat_mesh"
    first_stage = "Writing down the splats"

    def __init__(self, context: bpy.types.Context, name: str, cells: int) -> None:
        super().__init__(context)
        self._cloud, self._cells = Handle.of(bpy.data.objects[name]), cells

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        from ..bridge.messages import MeshSplats
        from ..scene import splat_data, splat_file

        file = self.folder / "splats.ply"
        splat_file.write(file, splat_data.read(self._find()))
        return MeshSplats(str(file), str(self.folder / "proxy.ply"), self._cells).params

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        from ..scene import splat_drawing, splat_proxy

        thing = self._find()
        proxy = splat_proxy.add(thing, Path(result["out"]))
        splat_drawing.let_rays_through(bpy.data.scenes[self.scene_name])
        return f"“{proxy.name}” with {len(proxy.data.polygons)} faces casts the shadows of “{thing.name}”"

    def _find(self) -> bpy.types.Object:
        thing: bpy.types.Object = self._cloud.found(bpy.data.objects, "the cloud of splats")
        return thing


class LIMELIGHT_OT_splat_proxy(RunOperator):
    """Let the engine find the surface of the active splats: an unseen mesh that casts shadows and passes light on"""

    bl_idname = "limelight.splat_proxy"
    bl_label = "Make Shadow Mesh"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight looks for the surface of splats"

    cells: IntProperty(
        name="Detail", description="Cells along the longest side of the cloud", default=96, min=16, max=512
    )

    @classmethod
    def poll(cls, context: Context):
        return ready(cls, context)

    def make_run(self, context: Context):
        thing = context.view_layer.objects.active
        assert thing is not None
        return ProxyRun(context, thing.name, self.cells)

    def problems(self, context: Context):
        from ..scene import splat_drawing

        thing = context.view_layer.objects.active
        linked = splat_drawing.linked(thing) if thing is not None else ""
        return [linked] if linked else engine_session.told(context, [])


class LIMELIGHT_OT_relight_splats(Operator):
    """Let the selected splats take this scene's light, or shine as photographed again"""

    bl_idname = "limelight.relight_splats"
    bl_label = "Relight Splats"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Context):
        return ready(cls, context, active=False, object_mode=False)

    def execute(self, context: Context):
        from ..scene import splat_drawing

        found = clouds(context)
        told = next(filter(None, map(splat_drawing.linked, found)), None)
        if told is not None:
            self.report({"ERROR"}, told)
            return {"CANCELLED"}
        lit = splat_drawing.value(found[0], "Relight") > 0
        for thing in found:
            splat_drawing.relight(thing, 0.0 if lit else 1.0)
        # Linked, appended or copied splats may be in a scene that never saw an import.
        splat_drawing.let_rays_through(context.scene)
        watch.redraw(context)
        self.report({"INFO"}, "They shine as photographed" if lit else "This scene's light falls on them")
        return {"FINISHED"}


CLASSES = (LIMELIGHT_OT_splat_proxy, LIMELIGHT_OT_relight_splats)
