# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's message loop: requests on stdin, answers on stdout, one job at a time, cancellable."""

from __future__ import annotations

import errno
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ..bridge import messages
from .errors import Cancelled, LimelightError

BEAT = 2.0
_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
#: So libraries tell that, which raise errors of their own.
_NO_SPACE = ("No space left on device", "not enough space on the disk", "Disk quota exceeded")
Kind = Callable[[dict[str, Any], "WireReport"], dict[str, Any]]


class WireReport:
    """A running job's voice on the wire; :meth:`check` raises when the job was cancelled."""

    def __init__(self, job: str, say: Callable[[messages.Message], None], stopped: threading.Event) -> None:
        self._job, self._say, self._stopped = job, say, stopped
        self._started = time.monotonic()

    def progress(self, fraction: float, stage: str) -> None:
        """Tell the fraction done, with the time left as the pace so far suggests."""
        spent = time.monotonic() - self._started
        eta = spent * (1 - fraction) / fraction if fraction > 0.05 else None
        self._say(messages.Progress(self._job, round(min(max(fraction, 0.0), 1.0), 4), stage, eta))

    def preview(self, path: Path) -> None:
        """Tell of a picture."""
        self._say(messages.Preview(self._job, str(path)))

    def log(self, text: str) -> None:
        """Tell a line of log."""
        self._say(messages.Log(self._job, text))

    def check(self) -> None:
        """Raise :class:`Cancelled` if the owner asked for it."""
        if self._stopped.is_set():
            raise Cancelled


class Server:
    """Reads requests in one thread, runs jobs in the main one, and beats in a third."""

    def __init__(self, kinds: dict[str, Kind], unload: Callable[[], None], source: IO[str], sink: IO[str]) -> None:
        self._kinds, self._unload, self._source, self._sink = kinds, unload, source, sink
        self._lock = threading.Lock()
        self._queue: queue.Queue[messages.Request | messages.Unload | None] = queue.Queue()
        self._stops: dict[str, threading.Event] = {}
        self._waiting: dict[str, messages.Request] = {}
        self._turn = threading.Lock()
        self._ending = threading.Event()

    def run(self) -> None:
        """Serve until shutdown or the end of the input; a running job is cancelled, then left behind."""
        self.say(messages.Ready(sorted(self._kinds), os.getpid()))
        for target in (self._listen, self._beat):
            threading.Thread(target=target, daemon=True).start()
        while (item := self._queue.get()) is not None:
            if isinstance(item, messages.Unload):
                self._free()
            else:
                self._work(item)

    def say(self, message: messages.Message) -> None:
        """Write one answer; an owner that is gone ends the process."""
        line = messages.encode(message)
        with self._lock:
            try:
                self._sink.write(line)
                self._sink.flush()
            except (OSError, ValueError):
                os._exit(0)

    def _beat(self) -> None:
        while not self._ending.wait(BEAT):
            self.say(messages.Heartbeat())

    def _listen(self) -> None:
        while line := self._source.readline(messages.LONGEST_LINE + 1):
            if len(line) > messages.LONGEST_LINE:
                # The rest of a giant line is thrown away, so that the next line is read as one.
                while line and not line.endswith("\n"):
                    line = self._source.readline(messages.LONGEST_LINE)
                self.say(messages.Error("", "protocol", "A line was too long.", "Send big data as files."))
                continue
            if not self._hear(line):
                break
        self._ending.set()
        for stop in list(self._stops.values()):
            stop.set()
        self._queue.put(None)
        # No orphan: whatever the running job does, the process ends with its owner.
        time.sleep(BEAT)
        os._exit(0)

    def _hear(self, line: str) -> bool:
        """Act on one line; False to end."""
        try:
            message = messages.decode(line)
        except messages.MessageError as error:
            self.say(messages.Error("", "protocol", str(error), "Use an engine and an add-on of one release."))
            return True
        if isinstance(message, messages.Request):
            self._accept(message)
        elif isinstance(message, messages.Cancel):
            self._cancel(message.id)
        elif isinstance(message, messages.Unload):
            self._queue.put(message)
        elif isinstance(message, messages.Ping):
            self.say(messages.Heartbeat())
        return not isinstance(message, messages.Shutdown)

    def _accept(self, request: messages.Request) -> None:
        with self._turn:
            known = request.id in self._stops
            if not known:
                self._stops[request.id] = threading.Event()
                self._waiting[request.id] = request
        if known:
            text = f"There is a job {request.id} already."
            self.say(messages.Error("", "protocol", text, "Give every job an id of its own."))
            return
        self.say(messages.Accepted(request.id))
        self._queue.put(request)

    def _cancel(self, job: str) -> None:
        """Stop a running job at its next check; one that still waits ends at once. Unknown or ended: nothing to do."""
        with self._turn:
            waits = self._waiting.pop(job, None) is not None
            stop = self._stops.pop(job, None) if waits else self._stops.get(job)
        if waits:
            self.say(explain(job, Cancelled()))
        elif stop is not None:
            stop.set()

    def _free(self) -> None:
        try:
            self._unload()
        except Exception as error:
            self.say(explain("", error))

    def _work(self, request: messages.Request) -> None:
        with self._turn:
            # One that was cancelled is still in the queue, and its id may be another's by now.
            if self._waiting.get(request.id) is not request:
                return
            del self._waiting[request.id]
            stop = self._stops[request.id]
        report = WireReport(request.id, self.say, stop)
        try:
            report.check()
            kind = self._kinds.get(request.kind)
            if kind is None:
                known = ", ".join(sorted(self._kinds))
                raise LimelightError(f"The engine has no job '{request.kind}'.", f"It knows {known}.", "bad_input")
            # A cancel that comes after the job's last check comes too late: its files are in place, so it is done.
            answer: messages.Message = messages.Result(request.id, kind(request.params, report))
            messages.encode(answer)  # a result that cannot be sent is a failure of the job
        except (Exception, SystemExit) as error:
            answer = explain(request.id, error)
        # The id is free again before its owner hears the end and may use it anew.
        with self._turn:
            self._stops.pop(request.id, None)
        self.say(answer)


def explain(job: str, error: BaseException, *, terse: bool = False) -> messages.Error:
    """Any exception as a sentence and a remedy; the traceback goes to stderr, ``terse`` only of what is unforeseen."""
    if isinstance(error, LimelightError):
        return messages.Error(job, error.code, error.text, error.remedy)
    full = getattr(error, "errno", None) in _DISK_FULL or any(words in str(error) for words in _NO_SPACE)
    if not (terse and (full or isinstance(error, OSError | MemoryError))):
        traceback.print_exception(error)
    name = type(error).__name__
    if isinstance(error, MemoryError) or "OutOfMemory" in name or "out of memory" in str(error):
        remedy = "Close other programs, use the CPU, or choose a lower quality or a smaller map."
        return messages.Error(job, "memory", "The memory did not suffice.", remedy)
    if full:
        return messages.Error(job, "disk", "The disk is full.", "Free some space and run it again.")
    if isinstance(error, OSError):
        return messages.Error(
            job, "disk", f"A file could not be used ({error}).", "Check the path and its permissions."
        )
    told = (str(error).strip().splitlines() or ["no message"])[0][:200].rstrip(".")
    return messages.Error(job, "failed", f"Something unforeseen happened ({name}: {told}).", "The log says more.")


def claim_stdout() -> IO[str]:
    """Keep stdout for messages: whatever else is printed, by any library, goes to stderr from now on."""
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return sink


def claim_stdin() -> IO[str]:
    """Keep stdin for messages: what a library or its child process reads from it is empty from now on."""
    source = os.fdopen(os.dup(0), encoding="utf-8", errors="replace")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return source


def serve(device: str = "auto", seed: int = 0, kinds: dict[str, Kind] | None = None) -> None:
    """Serve jobs, by default all of the engine's, on stdin and stdout."""
    source, sink = claim_stdin(), claim_stdout()
    try:
        os.getcwd()
    except OSError:
        # The owner's folder is gone, where a library would end the process. Nothing of a job's lies there.
        os.chdir(os.sep)
    from . import kinds as own

    Server(own.kinds(device, seed) if kinds is None else kinds, own.unload, source, sink).run()
