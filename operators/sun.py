# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo's key light as a Sun lamp, by one click."""

from typing import Any

import bpy
from bpy.types import Context

from .. import preferences
from . import engine_session, watch
from .engine_run import EngineRun
from .run_operator import RunOperator


class SunRun(EngineRun):
    """Asks the engine where the light comes from and puts a Sun lamp there."""

    kind = "direction"

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        from ..scene import sun

        return sun.request(context, self.folder, watch.active_probe(context))

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        from ..scene import sun

        lamp = sun.put(bpy.data.scenes[self.scene_name], result)
        self.notes = [*result["directions"][0].get("warnings", []), *result.get("warnings", [])][:1]
        return sun.told(lamp)


class LIMELIGHT_OT_sun_from_photo(RunOperator):
    """Put a Sun lamp where the photo's key light comes from, with its colour and softness; again updates that lamp"""

    bl_idname = "limelight.sun_from_photo"
    bl_label = "Sun from Photo"
    bl_options = {"REGISTER", "UNDO"}

    running_text = "Limelight looks for the key light"

    def make_run(self, context: Context):
        return SunRun(context)

    def problems(self, context: Context):
        from ..scene import sun

        wanted = preferences.settings(context)
        ready = wanted.python is not None and wanted.python.is_file()
        engine = [] if ready else [f"{engine_session.missing_engine_text(wanted)}: set it up in the preferences"]
        return engine + sun.problems(context.scene)


CLASSES = (LIMELIGHT_OT_sun_from_photo,)
