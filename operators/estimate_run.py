# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate of the light at all probes that are switched on, as a run of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..scene.handle import Handle
from . import previews
from .engine_run import EngineRun


class EstimateRun(EngineRun):
    """Captures what the camera sees; the light of every probe is its result."""

    kind = "light"

    def __init__(self, context: bpy.types.Context, take: int = 0) -> None:
        super().__init__(context)
        self._take = take
        if context.scene.limelight.source == "SCENE":
            self.first_stage = "Rendering what the camera sees"

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        from ..scene import capture, probes

        self._probes = {probe.name: Handle.of(probe) for probe in probes.used(context.scene)}
        params = capture.capture(context, self.folder) | {"take": self._take}
        self._answer = Path(params.setdefault("out", str(self.folder / "result")))
        return params

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        from ..scene import results

        scene = bpy.data.scenes[self.scene_name]
        found = {name: probe.find(bpy.data.objects) for name, probe in self._probes.items()}
        answers = [entry | {"name": found[entry["name"]].name} for entry in result["probes"] if found[entry["name"]]]
        lit = results.load_results(scene, self._answer, result | {"probes": answers})
        if not lit:
            raise RuntimeError("the probes are gone")
        # Only now: a run that was cancelled or failed leaves the scene's take as it was.
        scene.limelight.take = self._take
        for entry in result["probes"]:
            if probe := found[entry["name"]]:
                previews.show_file(previews.slot_of(probe), str(self._answer / entry.get("preview", "")))
        return f"Estimated the light of {', '.join(probe.name for probe in lit)}"
