# SPDX-License-Identifier: GPL-3.0-or-later
"""Works a list of jobs off: on one engine or several, again after a failure, past jobs that fail for good.

Nothing blocks but :meth:`Batch.wait`: a modal operator ticks :meth:`Batch.step`, a script waits. Any number of batches
may work on one list at once, also on several computers.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

from .alike import alike, relocated
from .joblist import GOOD, Entry, JobList, Writer
from .jobs import Job
from .messages import NOTE, PATHS, SHOTS, note_of, preview_of

#: Errors that may not come again: the process died, memory or disk ran short, something unforeseen.
PASSING = ("died", "memory", "disk", "failed")
#: What another job waits for in vain.
LOST = ("failed", "cancelled", "missing")
#: Progress is written this often, in seconds.
_TOLD_EVERY = 1.0
#: Jobs that wait for others are looked at this often, in seconds.
_PAUSE = 0.5
#: What decides a light, besides picture and probes, and how the engine takes what a request leaves out.
USUAL: dict[str, Any] = {
    **dict.fromkeys(("fov_deg", "depth", "camera", "camera_to_world", "radius")),
    **{"frame": "camera", "model": "embedded", "quality": "normal", "size": 512, "seed": 0, "take": 0, "front": True},
}
#: The same of a relit picture, besides source and reference.
USUAL_RELIT: dict[str, Any] = {
    "reference_kind": "auto", "strength": 1.0, "model": "embedded", "quality": "normal", "seed": 0, "take": 0,
}  # fmt: skip
#: The same of a depth map, besides its picture, and of a map fitted to pictures of balls, besides those.
USUAL_DEPTH: dict[str, Any] = {"fov_deg": None, "model": "embedded"}
USUAL_FIT: dict[str, Any] = {"height": 256, "circle": None, "fov_deg": None, "albedo": 1.0, "reflectance": 1.0}
#: The same of what is learnt of photos or made of splats, besides their files.
_LEARNT: dict[str, Any] = {"iterations": None, "size": None, "tone": "aces", "seed": 0}
USUAL_SPLATS: dict[str, dict[str, Any]] = {
    "splat_train": {**_LEARNT, "gaussians": None, "start": None, "variant": "full"},
    "splat_texture": {**_LEARNT, "texels": None, "unwrap": False, "frames": None},
    "splat_mesh": {"cells": 128, "views": 48, "cameras": None, "least_part": 0.01, "axes": "turn"},
}
_NOTED = {"relight": USUAL_RELIT, "depth": USUAL_DEPTH, "fit": USUAL_FIT, **USUAL_SPLATS}
#: The last file of a result that is a folder.
_LAST = {"splat_texture": "mesh.glb"}
#: A note in a PNG or an EXR, up to its text.
_NOTE = re.compile(NOTE.encode() + rb"(?:\0|\0string\0.{4})(?={)", re.DOTALL)
#: The same of a head, besides its portrait.
USUAL_FACE: dict[str, Any] = {
    **dict.fromkeys(("face", "landmarks", "fov_deg", "head")),
    **{"quality": "normal", "seed": 0, "saturation": 1.0, "model": "embedded"},
}
#: What of a result the list keeps, besides numbers of the first probe.
_KEPT = ("warnings", "model", "quality", "estimated", "kept", "code_distance", "reprojection", "fov_x_deg")


class Seat(Protocol):
    """Where one job at a time is done: an :class:`limelight.bridge.Engine`, or a worker on a farm."""

    def submit(self, kind: str, params: dict[str, Any]) -> Job:
        """Start a job."""

    def step(self) -> bool:
        """Follow the job; never blocks."""

    def cancel(self, job: Job) -> None:
        """Ask it to stop."""

    def stop(self) -> None:
        """End whatever works here."""


class Batch:
    """A list being worked off; ``over`` once nothing runs and nothing is left to start."""

    def __init__(
        self,
        listed: JobList,
        seats: Sequence[Seat],
        *,
        retries: int = 1,
        only: Collection[str] | None = None,
        skip_existing: bool = False,
    ) -> None:
        """``retries``: how often a job that failed by what may pass is tried again, at once.

        ``only``: names of the jobs to do. ``skip_existing``: leave out jobs whose results are there and newer than
        their inputs.
        """
        self.listed, self.retries, self.skip_existing = listed, retries, skip_existing
        self._only = None if only is None else set(only)
        self._seats = list(seats)
        self._running: dict[int, tuple[str, Job, float, float]] = {}
        self._tries: dict[str, int] = {}
        self._cancelled = False
        self._pause = 0.0
        self._queue = [entry.id for entry in listed.entries.values() if self._wanted(entry)]
        self._writer = Writer(listed)
        if not self._queue:
            self._writer.close()

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return not self._running and (self._cancelled or not self._queue)

    @property
    def entries(self) -> list[Entry]:
        """The jobs of the list that are to be done here, also those that are over."""
        return [entry for entry in self.listed.entries.values() if self._only is None or entry.id in self._only]

    def step(self) -> bool:
        """Follow the running jobs and start others; whether anything changed. Never blocks."""
        changed = False
        self._writer.beat()
        for number, seat in enumerate(self._seats):
            if number in self._running:
                seat.step()
                changed |= self._follow(number)
            if number not in self._running and self._queue and not self._cancelled:
                changed |= self._start(number)
        if self.over:
            self.close()
        return changed

    def wait(self, on_step: Callable[[Batch], None] | None = None) -> JobList:
        """Block until all is done, as scripts do; a Ctrl-C cancels what runs and leaves the rest queued."""
        try:
            while not self.over:
                if self.step() and on_step is not None:
                    on_step(self)
                time.sleep(0.02)
        except KeyboardInterrupt:
            self.cancel()
            raise
        finally:
            self.close()
        return self.listed

    def cancel(self) -> None:
        """Start nothing more and ask what runs to stop; go on with :meth:`step` until it is ``over``."""
        self._cancelled = True
        for number, (_, job, *_) in self._running.items():
            self._seats[number].cancel(job)

    def close(self) -> None:
        """Give the list back; jobs that still run count as queued from then on."""
        for id, *_ in self._running.values():
            self._writer.tell(id, state="queued", stage="Interrupted", fraction=0.0)
        self._running.clear()
        self._queue.clear()
        self._writer.close()

    def _wanted(self, entry: Entry) -> bool:
        return not entry.over and (self._only is None or entry.id in self._only)

    def _next(self) -> Entry | None:
        """The first job that waits for no other and that nobody else has taken meanwhile."""
        if time.monotonic() < self._pause:
            return None
        self.listed.refresh()
        entries, coming = self.listed.entries, bool(self._running)
        self._queue = [id for id in self._queue if entries[id].state == "queued"]
        for id in list(self._queue):
            before = {name: entries[name].state if name in entries else "missing" for name in entries[id].after}
            lost = [name for name, state in before.items() if state in LOST]
            if not lost and all(state in GOOD for state in before.values()):
                self._queue.remove(id)
                return entries[id]
            if lost:
                self._queue.remove(id)
                told = {
                    "code": "waited",
                    "text": f"It needs '{lost[0]}', which is not done.",
                    "remedy": "Do that again.",
                }
                self._writer.tell(id, state="failed", **told)
            coming |= "running" in before.values()
        if not coming:
            # What is left waits for jobs that are not this batch's, or in vain.
            for id in (id for id in self._queue if id in self._before(id)):
                told = {"text": f"It waits for itself by its 'after', {', '.join(entries[id].after)}."}
                self._writer.tell(id, state="failed", code="waited", **told, remedy="Mend that in the list.")
            self._queue = []
        self._pause = time.monotonic() + _PAUSE
        return None

    def _before(self, id: str) -> set[str]:
        """All jobs that one waits for, also by way of others."""
        found: set[str] = set()
        coming = [id]
        while coming:
            entry = self.listed.entries.get(coming.pop())
            coming += [name for name in (entry.after if entry else ()) if name not in found]
            found.update(coming)
        return found

    def _start(self, number: int) -> bool:
        """Start the next job; those whose results are there are passed over. Whether anything changed."""
        changed = False
        while (entry := self._next()) is not None:
            changed = True
            params = self.listed.params(entry)
            if self.skip_existing and is_there(entry.kind, params):
                self._writer.tell(entry.id, state="skipped", fraction=1.0, stage="There already")
                continue
            self._writer.tell(entry.id, state="running", attempts=entry.attempts + 1, fraction=0.0, stage="Starting",
                              code="", text="", remedy="")  # fmt: skip
            now = time.monotonic()
            self._running[number] = (entry.id, self._seats[number].submit(entry.kind, params), now, now)
            break
        return changed

    def _follow(self, number: int) -> bool:
        """Write down how a job fares; whether anything was new."""
        id, job, started, told = self._running[number]
        entry, now = self.listed.entries[id], time.monotonic()
        if not job.over:
            if (job.fraction, job.stage) == (entry.fraction, entry.stage) or now - told < _TOLD_EVERY:
                return False
            self._writer.tell(id, fraction=job.fraction, stage=job.stage)
            self._running[number] = (id, job, started, now)
            return True
        del self._running[number]
        self._pause = 0.0
        seconds = round(now - started, 3)
        if job.state == "done":
            self._writer.tell(id, state="done", fraction=1.0, stage="", seconds=seconds, summary=digest(job.result))
        elif job.state == "cancelled":
            # Somebody stopped this job, or all of the batch, which may go on later.
            state, stage = ("queued", "Interrupted") if self._cancelled else ("cancelled", "")
            self._writer.tell(id, state=state, stage=stage, fraction=0.0, seconds=seconds)
        else:
            self._fail(id, job, seconds)
        return True

    def _fail(self, id: str, job: Job, seconds: float) -> None:
        assert job.error is not None
        told = {"code": job.error.code, "text": job.error.text, "remedy": job.error.remedy, "seconds": seconds}
        self._tries[id] = self._tries.get(id, 0) + 1
        again = job.error.code in PASSING and self._tries[id] <= self.retries and not self._cancelled
        self._writer.tell(id, state="queued" if again else "failed", stage="", fraction=0.0, **told)
        if again:
            self._queue.insert(0, id)


def digest(result: dict[str, Any] | None) -> dict[str, Any]:
    """The numbers of a result that a report shows; a result may be far too long for a list."""
    found = {name: value for name, value in (result or {}).items() if name in _KEPT}
    entries = (result or {}).get("probes") or []
    first = entries[0] if isinstance(entries[0] if entries else None, dict) else {}
    if entries:
        found["probes"] = len(entries)
    if "mean_radiance" in first:
        found |= {"mean_radiance": first["mean_radiance"], "lamps": len(first.get("lamps", []))}
    if first.get("spread"):
        found |= first["spread"]
    return found


def is_there(kind: str, params: dict[str, Any]) -> bool:
    """Whether a job's result is there, whole, of the same settings as far as it tells, and newer than its input."""
    out = Path(params["out"]) if params.get("out") else None
    if out is None:
        return False
    try:
        made = out / _LAST.get(kind, "")
        if not made.is_dir():
            whole = made.is_file() and made.stat().st_mtime >= _newest(params)
            return whole and (kind not in _NOTED or _same_noted(kind, params, out))
        result = json.loads((out / "result.json").read_text(encoding="utf-8"))
        # A sequence keeps the frames that are there by itself, and knows which.
        if "frames" in result or params.get("track"):
            return False
        if not (_same_face if kind == "face" else _same_light)(params, result["settings"]):
            return False
        entries = result.get("probes", [])
        files = [entry["environment"] for entry in entries if "environment" in entry]
        written = (out / "result.json").stat().st_mtime
        return all((out / name).is_file() for name in files) and written >= _newest(params)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _same_light(params: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether a result that was made with ``settings`` is what ``params`` ask for."""
    asked = {name: usual if params.get(name) is None else params[name] for name, usual in USUAL.items()}
    asked["image"], asked["probes"] = str(Path(params["images"][0]).resolve()), params.get("probes") or []
    if asked["depth"] is not None:
        asked["depth"] = str(Path(asked["depth"]).resolve())
    asked["probes"] = [{"name": f"probe_{i}", **probe} for i, probe in enumerate(asked["probes"])]
    asked["out"] = str(Path(params["out"]).resolve())
    told = relocated(settings, asked)
    return all(alike(value, told[name]) for name, value in asked.items())


def _same_face(params: dict[str, Any], settings: dict[str, Any]) -> bool:
    """As :func:`_same_light`, of a head."""
    asked = {name: usual if params.get(name) is None else params[name] for name, usual in USUAL_FACE.items()}
    asked |= {name: str(Path(params[name]).resolve()) for name in ("image", "head", "out") if params.get(name)}
    return alike(asked, relocated(settings, asked))


def _same_noted(kind: str, params: dict[str, Any], out: Path) -> bool:
    """Whether the result ``out`` is what ``params`` ask for, by its note."""
    asked = {name: usual if params.get(name) is None else params[name] for name, usual in _NOTED[kind].items()}
    files = [name for name in PATHS if params.get(name) is not None and name not in ("ratio", *SHOTS)]
    asked |= {name: str(Path(params[name]).resolve()) for name in files}
    asked |= {name: [_shot(text) for text in params.get(name) or []] for name in SHOTS if kind == "fit"}
    told = relocated(_noted(kind, out), asked)
    return alike(asked, told) and (not params.get("ratio") or Path(params["ratio"]).is_file())


def _noted(kind: str, out: Path) -> Any:
    """What the note of a result says: beside it, in it, or in a relit picture's preview; None without one."""
    if kind in USUAL_SPLATS:
        return json.loads(note_of(out).read_text(encoding="utf-8"))
    with (preview_of(out) if kind == "relight" else out).open("rb") as file:
        start = file.read(1 << 16)
    found = _NOTE.search(start)
    if found is None:
        return None  # of an earlier version
    told, _ = json.JSONDecoder().raw_decode(start[found.end() :].decode("ascii", "replace"))
    return told


def _shot(text: str) -> tuple[str, float]:
    """The whole path and the exposure of ``FILE@EV`` or ``FILE``."""
    name, _, exposure = text.rpartition("@")
    try:
        return str(Path(name).resolve()), float(exposure)
    except ValueError:
        return str(Path(text).resolve()), 0.0


def _newest(params: dict[str, Any]) -> float:
    """When a job's inputs were last changed."""
    given = [params.get(name) for name in set(PATHS) - {"out", "ratio", *SHOTS}]
    names = [name for value in given for name in (value if isinstance(value, list) else [value]) if name]
    names += [_shot(text)[0] for name in SHOTS for text in params.get(name) or []]
    paths = [path for name in names for path in (Path(name), *Path(name).glob("*"))]
    return max((path.stat().st_mtime for path in paths if path.is_file()), default=0.0)
