# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate of the light at all probes over a range of frames, as a run of the engine that can be broken off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from . import previews
from .engine_run import EngineRun


class EstimateFramesRun(EngineRun):
    """Writes down what the camera sees of every frame; what the engine finds stays in the shot's folder.

    Cancelled, it keeps the frames that are done there, and the next run goes on with the others.
    """

    kind = "light"
    cancelled_text = "Cancelled; the frames that are done are kept, and the next estimate goes on with the others"
    first_stage = "Looking where camera and probes go"

    def __init__(self, context: bpy.types.Context, take: int = 0, *, anew: bool = False) -> None:
        from ..scene import shot, shot_range

        super().__init__(context)
        self._take = take
        scene = context.scene
        self._shot = shot.Shot(scene, shot_range.base(scene), shot_range.wanted_frames(scene), anew=anew)

    def gather(self, context: bpy.types.Context) -> bool:
        self._shot.step(context, self.folder)
        return self._shot.ready

    def params(self, context: bpy.types.Context) -> dict[str, Any]:
        return self._shot.request() | {"take": self._take}

    @property
    def fraction(self) -> float:
        """How much is done of writing down, then of the estimate."""
        return super().fraction if self._shot.ready else self._shot.fraction

    @property
    def stage(self) -> str:
        """What happens right now."""
        return super().stage if self._shot.ready else self._shot.stage

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        from ..scene import results_frames, shot_folder

        scene, folder = bpy.data.scenes[self.scene_name], self._shot.folder
        known = self._shot.lit()
        lit = results_frames.load_shot(scene, folder, self._shot.numbers, known)
        if not lit:
            raise RuntimeError("the probes are gone")
        scene.limelight.take = self._take
        shot_folder.forget_pictures(folder)
        for entry in result.get("probes", []):
            if probe := known.get(entry["name"]):
                previews.show_file(previews.slot_of(probe), _first(folder, entry["preview"], self._shot.numbers))
        frames = self._shot.frames
        return f"Estimated the light of {', '.join(probe.name for probe in lit)} in {len(frames)} frames"


def _first(folder: Path, pattern: str, numbers: dict[int, int]) -> str:
    """The first frame's file of a name with ####."""
    from ..scene import frames

    return str(frames.numbered(str(folder / pattern), min(numbers.values())))
