# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of shots as runs: shots written down and put on the list, and the list worked off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from . import engine_session, shot_list, state
from .engine_run import EngineRun

if TYPE_CHECKING:
    from ..bridge import Batch
    from ..bridge.joblist import Entry
    from ..scene.shot import Shot


class AddShotsRun(EngineRun):
    """Writes shots down, one for each camera that was named (none: the scene's), and puts them on the list."""

    kind = "batch"
    first_stage = "Looking where camera and probes go"

    def __init__(self, context: bpy.types.Context, cameras: list[str]) -> None:
        from ..scene import shot, shot_range

        super().__init__(context)
        scene = context.scene
        base = shot_range.base(scene)
        # Without the switch for frames, a shot is the current frame alone.
        frames = shot_range.wanted_frames(scene) if scene.limelight.frames.use else [scene.frame_current]
        self._shots = [shot.Shot(scene, base, frames, camera=name, listed=True) for name in cameras or [""]]
        self._path = base / shot_list.NAME
        self._added: list[str] = []

    @property
    def _now(self) -> Shot:
        """The shot that is being written down."""
        return next((shot for shot in self._shots if not shot.ready), self._shots[-1])

    def gather(self, context: bpy.types.Context) -> bool:
        self._now.step(context, self.folder)
        return all(shot.ready for shot in self._shots)

    def capture(self, context: bpy.types.Context) -> None:
        from ..bridge import JobList

        listed, kept = JobList.make(self._path), context.scene.limelight.frames.listed
        for shot in self._shots:
            shot.own()
            params = shot.request()
            name = f"{shot.folder.name} {params['range']}"
            listed.add("light", params, name)
            if listed.entries[name].over:
                listed.requeue([name])
            if name not in kept:
                kept.add().name = name
            self._added.append(name)

    @property
    def over(self) -> bool:
        return bool(self._added) or super().over

    @property
    def succeeded(self) -> bool:
        return bool(self._added)

    @property
    def fraction(self) -> float:
        return sum(shot.fraction for shot in self._shots) / len(self._shots)

    @property
    def stage(self) -> str:
        return self._now.stage

    def load(self, context: bpy.types.Context) -> str:
        shot_list.refresh(context)
        return f"Put {', '.join(self._added)} on the list"


class WorkListRun(EngineRun):
    """Works the list off on the session's engine; what is done is loaded into the scene at once."""

    kind = "batch"
    first_stage = "Starting the engine"

    def __init__(self, context: bpy.types.Context) -> None:
        super().__init__(context)
        self._path = shot_list.path(context.scene)
        self._batch: Batch | None = None
        self._own: set[str] = set()
        self._over: set[str] = set()
        self._loaded: set[str] = set()
        self._undone: set[str] = set()
        self._failed: list[str] = []
        self._lost = ""

    def capture(self, context: bpy.types.Context) -> None:
        from ..bridge import Batch, JobList

        listed = JobList(self._path)
        self._own = {entry.id for entry in shot_list.own(listed)}
        self._over = {entry.id for entry in listed.entries.values() if entry.over}
        self._batch = Batch(listed, [engine_session.engine(context)], only=self._own)

    @property
    def _entries(self) -> list[Entry]:
        """The shots of this file."""
        there = {} if self._batch is None else self._batch.listed.entries
        return [entry for entry in there.values() if entry.id in self._own]

    def step(self) -> bool:
        from ..scene import renderer

        if self._batch is None or self._lost:
            return False
        try:
            changed = not self._batch.over and self._batch.step()
        except (OSError, ValueError) as error:
            # The list or its folder is gone, or cannot be read just now.
            self._lost = str(error)
            return True
        # What Blender renders must not change meanwhile.
        fresh = [] if renderer.is_busy() else [e.id for e in self._entries if e.over and e.id not in self._over]
        for name in fresh:
            self._over.add(name)
            self._take(name)
        if changed or fresh:
            state.in_windows(bpy.context, shot_list.refresh)
        return changed or bool(fresh)

    def undone(self) -> None:
        # Loaded again at once, it would keep the artist from going back any further.
        self._undone |= self._loaded

    def _take(self, name: str) -> None:
        """Load a job that has just ended; one that cannot be is told at the end and does not keep others from it."""
        assert self._batch is not None
        entry = self._batch.listed.entries[name]
        if entry.state == "failed":
            self._failed.append(name)
        elif entry.state == "done":
            # Whatever of it can be loaded.
            self.unsettled = f"Light of {name}"
            try:
                shot_list.load(self._batch.listed.params(entry))
                self._loaded.add(name)
            except (OSError, RuntimeError, ValueError):
                self._failed.append(name)

    def cancel(self) -> None:
        super().cancel()
        if self._batch is not None:
            self._batch.cancel()

    @property
    def over(self) -> bool:
        return self._cancelled if self._batch is None else bool(self._lost) or self._batch.over

    @property
    def succeeded(self) -> bool:
        return self._batch is not None and not self._lost

    @property
    def error_text(self) -> str:
        return f"The list ended: {self._lost}"

    @property
    def cancelled(self) -> bool:
        """Never: what was done before is in the scene."""
        return self._batch is None

    @property
    def fraction(self) -> float:
        entries = self._entries
        return sum(1.0 if entry.over else entry.fraction for entry in entries) / max(1, len(entries))

    @property
    def stage(self) -> str:
        running = next((entry for entry in self._entries if entry.state == "running"), None)
        return self.first_stage if running is None else f"{running.id}: {running.stage}"

    def load(self, context: bpy.types.Context) -> str:
        for entry in [entry for entry in self._entries if entry.id in self._undone]:
            self._take(entry.id)
        done = sum(entry.state in {"done", "skipped"} for entry in self._entries)
        failed = f"; {', '.join(self._failed)} failed, see the list" if self._failed else ""
        stopped = "Stopped: " if self._cancelled else ""
        return f"{stopped}{done} of {len(self._entries)} shots are done{failed}"

    def store(self, context: bpy.types.Context, result: dict[str, Any]) -> str:
        """Nothing is left to store: each shot was loaded when it was done."""
        return self.load(context)

    def close(self) -> None:
        if self._batch is not None:
            self._batch.close()
        super().close()
