# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture under another light, as a run of the engine."""

from __future__ import annotations

from typing import Any

import bpy

from .engine_run import EngineRun


class RelightRun(EngineRun):
    """Writes down the picture and the light it shall have; a new image is its result."""

    kind = "relight"
    first_stage = "Writing down the picture"

    def __init__(self, context: bpy.types.Context, source: str, take: int) -> None:
        super().__init__(context)
        self._source, self._take = source, take
        self._made: dict[str, Any] = {}
        if context.scene.limelight.relight.reference_type == "LAMPS":
            self.first_stage = "Rendering the scene's light"

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        from ..scene import relight, relit

        settings = context.scene.limelight.relight
        self._made = {name: getattr(settings, name) for name in relit.REMEMBERED if name not in {"reference", "probe"}}
        self._made |= {"take": self._take, "reference_name": relight.reference_name(context.scene)}
        # Names only: undo may free what a reference points to while the engine works.
        picture = settings.reference_type in {"IMAGE", "HDRI"}
        self._reference = settings.reference.name if picture and settings.reference is not None else ""
        probe = relight.lit_probe(context.scene) if settings.reference_type == "PROBE" else None
        self._probe = probe.name if probe is not None else ""
        return relight.request(context, self.folder, bpy.data.images[self._source], self._take)

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        from ..scene import relit

        source = bpy.data.images.get(self._source)
        if source is None:
            raise RuntimeError(f"the picture “{self._source}” is gone")
        # Only now: a run that was cancelled or failed leaves the scene's take as it was.
        bpy.data.scenes[self.scene_name].limelight.relight.take = self._take
        references = {
            "reference": bpy.data.images.get(self._reference),
            "probe": bpy.data.objects.get(self._probe),
        }
        image = relit.load(source, result, self._made | references)
        relit.show(image)
        self.notes = result.get("warnings", [])[:1]
        return f"“{image.name}” has the light of {self._made['reference_name']}"
