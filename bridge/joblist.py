# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of jobs in a file, with what became of each: shared by the panel, the command line and a farm's machines.

``NAME.jobs`` is text, one JSON object a line. The first line is ``{"limelight_jobs": 1}``, every other one a job as on
the wire: ``{"id": "street", "kind": "light", "params": {"images": ["street.jpg"], "probes": [{"u": 0.5, "v": 0.6}],
"out": "light/street"}}``; ``id`` is a name, unique in the list. Relative paths (``messages.PATHS``) start at the list's
folder. A job may have ``"after": ["other", …]``: it waits until those are done. Jobs are only ever appended.

What became of them stands beside it in the folder ``NAME.jobs.states``: a file for each process that works on the list,
``WRITER.jsonl``, of lines ``{"id", "attempts", "time", "state", …}`` that hold what changed of an :class:`Entry`; the
latest line of the latest attempt at a job counts. Nobody writes in another's file, so machines that share a disk need
no locks between them. In all files, a line that was cut off by a kill or a full disk is left out. ``WRITER.lock`` is
held while that process lives: a job that runs by a process that is gone counts as queued again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import platform
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .holding import hold
from .messages import PATHS

FORMAT = 1
SUFFIX = ".jobs"
#: What an entry's ``state`` can be; those of :class:`limelight.bridge.jobs.Job`, and skipped: it was there already.
STATES = ("queued", "running", "done", "failed", "cancelled", "skipped")
#: States after which a job needs no more work.
GOOD = ("done", "skipped")
#: Models that the engine knows by these words, whatever folders there are.
WORDS = ("embedded", "auto", "guess", "shading")
#: A writer touches its lock this often, in seconds; one that did not for far longer is gone, whatever its disk says.
BEAT, GONE = 5.0, 120.0
_HEADER = "limelight_jobs"


class JobListError(ValueError):
    """A list that cannot be used; the text is a sentence and a remedy."""


@dataclass
class Entry:
    """A job of a list and what became of it.

    ``after`` are the jobs that it waits for; ``fraction`` in [0, 1]; ``attempts`` how often it was started;
    ``seconds`` the last attempt took; ``where`` the computer; ``code``, ``text`` and ``remedy`` of its error;
    ``summary`` numbers of its result; ``time`` of the last change, seconds since 1970.
    """

    id: str
    kind: str
    params: dict[str, Any]
    after: list[str] = field(default_factory=list)
    state: str = "queued"
    fraction: float = 0.0
    stage: str = ""
    attempts: int = 0
    seconds: float = 0.0
    where: str = ""
    code: str = ""
    text: str = ""
    remedy: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    time: float = 0.0

    @property
    def over(self) -> bool:
        """Whether it needs no more work unless somebody asks for it again."""
        return self.state not in ("queued", "running")


#: What a line of changes can tell.
_TOLD = {told.name for told in dataclasses.fields(Entry)} - {"id", "kind", "params", "after"}


class JobList:
    """A list as it stands on disk. :meth:`refresh` reads what was added since; it costs nothing if nothing was."""

    def __init__(self, path: Path) -> None:
        """Read a list; raises :class:`JobListError` if there is none or it is none."""
        self.path = path.absolute()
        self.entries: dict[str, Entry] = {}
        self._read: dict[Path, int] = {}
        self._last: dict[Path, bytes] = {}
        self._by: dict[str, str] = {}
        self._opened = False
        self.refresh()
        self._opened = True

    @classmethod
    def make(cls, path: Path) -> JobList:
        """The list in a file, which is made empty if it is not there."""
        if not path.exists():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({_HEADER: FORMAT}) + "\n", encoding="utf-8")
            except OSError as error:
                raise JobListError(f"The list {path} cannot be written ({error.strerror}). Choose another.") from error
        return cls(path)

    @property
    def states(self) -> Path:
        """The folder of what became of the jobs."""
        return self.path.with_name(self.path.name + ".states")

    @property
    def is_lost(self) -> bool:
        """Whether files that were read are gone or shorter now: it is another list under the same name."""
        return any(not path.is_file() or path.stat().st_size < read for path, read in self._read.items() if read)

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        found = dict.fromkeys(STATES, 0)
        for entry in self.entries.values():
            found[entry.state] += 1
        return found

    def add(self, kind: str, params: Mapping[str, Any], id: str, after: Sequence[str] = ()) -> Entry:
        """Append a job; one that is there with the same parameters stays as it is, other parameters are an error.

        Relative paths start where this process works; below the list's folder they are kept relative to it.
        """
        stored = {name: self._stored(name, value) for name, value in params.items() if value is not None}
        unknown = [name for name in after if name not in self.entries]
        if unknown:
            raise JobListError(f"The job '{id}' waits for '{unknown[0]}', which is not there. Add that one first.")
        job = {"id": id, "kind": kind, "params": stored, **({"after": list(after)} if after else {})}
        try:
            line = json.dumps(job, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise JobListError(f"The job '{id}' cannot be written as JSON ({error}). Use plain values.") from error
        known = self.entries.get(id)
        if known is not None and (known.kind, known.params) != (kind, json.loads(line)["params"]):
            raise JobListError(f"{self.path.name} has another job '{id}' already. Give it another name or list.")
        if known is None:
            try:
                with self.path.open("a+b") as file:
                    file.seek(-1, os.SEEK_END)
                    # A line that was cut off must not take this one with it.
                    end = b"" if file.read() == b"\n" else b"\n"
                    file.write(end + line.encode() + b"\n")
            except OSError as error:
                raise JobListError(f"{self.path} cannot be written ({error.strerror}). Check permissions.") from error
            self.refresh()
        return self.entries[id]

    def requeue(self, ids: Iterable[str]) -> None:
        """Let jobs that are over be done again."""
        with self.writer() as writer:
            for id in ids:
                writer.tell(id, state="queued", fraction=0.0, stage="", code="", text="", remedy="")

    def params(self, entry: Entry) -> dict[str, Any]:
        """A job's parameters with all paths absolute, ready for the wire."""
        found = dict(entry.params)
        for name in set(PATHS) & set(found):
            value = found[name]
            found[name] = [self._absolute(v) for v in value] if isinstance(value, list) else self._absolute(value)
        # A model has a name or a path.
        model = str(found.get("model") or "")
        if "/" in model and os.path.exists(self._absolute(model)):
            found["model"] = self._absolute(model)
        return found

    def refresh(self) -> bool:
        """Read what was written since the last time; whether anything changed.

        Once it was opened, a list that is being edited at this moment is what it was before.
        """
        before = dict(self._read), {id: entry.state for id, entry in self.entries.items()}
        for number, line in self._new_lines(self.path):
            self._take_job(line, number)
        if not self._read.get(self.path) and not self._opened:
            raise JobListError(f"{self.path} is no list of jobs. Make one by 'limelight batch add'.")
        for file in sorted(self.states.glob("*.jsonl")) if self.states.is_dir() else ():
            for _, line in self._new_lines(file):
                self._take_change(line, file.stem)
        for entry in self.entries.values():
            if entry.state == "running" and not self._lives(self._by[entry.id]):
                entry.state, entry.stage, entry.fraction = "queued", "Interrupted", 0.0
        return before != (self._read, {id: entry.state for id, entry in self.entries.items()})

    @contextlib.contextmanager
    def writer(self) -> Iterator[Writer]:
        """What tells the list how its jobs fare, until the end of the block."""
        made = Writer(self)
        try:
            yield made
        finally:
            made.close()

    def take(self, change: dict[str, Any], writer: str) -> None:
        """Follow a change at once that this process has just written."""
        self._take_change(json.dumps(change), writer)

    def _absolute(self, path: Any) -> str:
        return os.path.normpath(self.path.parent / str(path))

    def _stored(self, name: str, value: Any) -> Any:
        if name == "model":
            return os.path.abspath(str(value)) if value not in WORDS and os.path.exists(str(value)) else value
        if name not in PATHS:
            return value
        if isinstance(value, (list, tuple)):
            return [self._stored(name, path) for path in value]
        path = Path(os.path.abspath(str(value)))
        return path.relative_to(self.path.parent).as_posix() if path.is_relative_to(self.path.parent) else str(path)

    def _new_lines(self, path: Path) -> Iterator[tuple[int, str]]:
        """Whole lines that came since the last call, with the byte at which each starts; all of a file that was edited.

        A last line without an end is whole if it is JSON.
        """
        last = self._last.get(path, b"")
        start = self._read.get(path, 0)
        try:
            with path.open("rb") as file:
                file.seek(start - len(last))
                if file.read(len(last)) != last:
                    start, self._last[path] = file.seek(0), b""
                data = file.read()
        except OSError as error:
            raise JobListError(f"{path} cannot be read ({error.strerror}). Check the path.") from error
        end = data.rfind(b"\n") + 1
        lines = data[:end].splitlines(keepends=True) + ([data[end:]] if _is_json(data[end:]) else [])
        self._read[path] = start + sum(map(len, lines))
        for raw in lines:
            self._last[path] = raw
            yield start, raw.decode("utf-8-sig", "replace").strip()
            start += len(raw)

    def _take_job(self, line: str, start: int) -> None:
        if not line:
            return
        try:
            data = json.loads(line)
        except ValueError:
            if start:
                return  # cut off in the middle
            data = {}
        try:
            if start == 0:
                if data[_HEADER] != FORMAT:
                    raise JobListError(f"{self.path} is of format {data[_HEADER]}. Use a newer Limelight.")
                return
            entry = Entry(str(data["id"]), str(data["kind"]), dict(data["params"]), _names(data.get("after", [])))
        except JobListError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            if self._opened:
                return
            what = "is no list of jobs" if start == 0 else f"has a line that is no job: {line[:60]}"
            raise JobListError(f"{self.path} {what}. Make one by 'limelight batch add'.") from error
        known = self.entries.setdefault(entry.id, entry)
        if not self._opened and (known.kind, known.params) != (entry.kind, entry.params):
            raise JobListError(f"{self.path} has two jobs '{entry.id}'. Give each a name of its own.")

    def _take_change(self, line: str, writer: str) -> None:
        try:
            data = json.loads(line)
            entry = self.entries.get(data["id"])
            if entry is None or data.get("state", "queued") not in STATES:
                return
            # Clocks of computers differ; the count of attempts does not.
            if (data["attempts"], data["time"]) < (entry.attempts, entry.time):
                return
        except (ValueError, KeyError, TypeError):
            return  # cut off in the middle
        for name in _TOLD & data.keys():
            setattr(entry, name, data[name])
        self._by[entry.id] = writer

    def _lives(self, writer: str) -> bool:
        lock = self.states / f"{writer}.lock"
        with contextlib.suppress(OSError):
            if lock.exists() and time.time() - lock.stat().st_mtime < GONE:
                held = hold(lock)
                if held is None:
                    return True
                held.close()
        return False


def _is_json(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _names(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return [str(name) for name in value]


class Writer:
    """One process' own file of changes. ``JobList`` sees them at once."""

    def __init__(self, listed: JobList) -> None:
        self._listed = listed
        self._beaten = time.monotonic()
        self.where = platform.node() or "this computer"
        self.name = f"{self.where}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        try:
            listed.states.mkdir(exist_ok=True)
            self._lock = listed.states / f"{self.name}.lock"
            self._held: IO[bytes] | None = hold(self._lock)
            self._told = listed.states / f"{self.name}.jsonl"
            self._file = self._told.open("a", encoding="utf-8")
        except OSError as error:
            raise JobListError(f"{listed.states} cannot be written ({error.strerror}). Check permissions.") from error

    def tell(self, id: str, **changes: Any) -> None:
        """Write what changed of a job: names and values of :class:`Entry`."""
        entry = self._listed.entries[id]
        # The clock of who told the last of it may run ahead of this one.
        now = max(time.time(), math.nextafter(entry.time, math.inf))
        line = {"id": id, "attempts": entry.attempts, "time": now, "where": self.where, **changes}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        self._listed.take(line, self.name)

    def beat(self) -> None:
        """Show that this process lives; call it more often than every minute."""
        if time.monotonic() - self._beaten > BEAT:
            self._beaten = time.monotonic()
            with contextlib.suppress(OSError):
                os.utime(self._lock)

    def close(self) -> None:
        """Close the files; the lock goes, the changes stay. A second time changes nothing."""
        if self._held is None and self._file.closed:
            return
        self._file.close()
        if self._held is not None:
            self._held.close()
            self._held = None
        with contextlib.suppress(OSError):
            self._lock.unlink()
            if not self._told.stat().st_size:
                self._told.unlink()
