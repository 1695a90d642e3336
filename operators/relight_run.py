# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture under another light, as a run of the engine."""

from __future__ import annotations

from typing import Any

import bpy

from ..scene.handle import Handle
from .engine_run import EngineRun


class RelightRun(EngineRun):
    """Writes down the picture and the light it shall have; a new image is its result."""

    kind = "relight"
    first_stage = "Writing down the picture"

    def __init__(self, context: bpy.types.Context, source: bpy.types.Image, take: int) -> None:
        super().__init__(context)
        self._source, self._take = Handle.of(source), take
        self._made: dict[str, Any] = {}
        if context.scene.limelight.relight.reference_type == "LAMPS":
            self.first_stage = "Rendering the scene's light"

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        from ..scene import relight, relit

        settings = context.scene.limelight.relight
        self._made = {name: getattr(settings, name) for name in relit.REMEMBERED if name not in {"reference", "probe"}}
        self._made |= {"take": self._take, "reference_name": relight.reference_name(context.scene)}
        picture = settings.reference if settings.reference_type in {"IMAGE", "HDRI"} else None
        probe = relight.lit_probe(context.scene) if settings.reference_type == "PROBE" else None
        self._reference = Handle.of(picture) if picture is not None else None
        self._probe = Handle.of(probe) if probe is not None else None
        return relight.request(context, self.folder, self._image, self._take)

    @property
    def _image(self) -> bpy.types.Image:
        source: bpy.types.Image = self._source.found(bpy.data.images, "the picture")
        return source

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        from ..scene import relit

        source = self._image
        # Only now: a run that was cancelled or failed leaves the scene's take as it was.
        bpy.data.scenes[self.scene_name].limelight.relight.take = self._take
        references = {
            "reference": self._reference.find(bpy.data.images) if self._reference is not None else None,
            "probe": self._probe.find(bpy.data.objects) if self._probe is not None else None,
        }
        image = relit.load(source, result, self._made | references)
        relit.show(image)
        self.notes = result.get("warnings", [])[:1]
        return f"“{image.name}” has the light of {self._made['reference_name']}"
