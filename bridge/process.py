# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's process, owned by Blender, a script or a test: started, spoken to, watched, ended.

Nothing blocks but :meth:`Engine.wait`: a modal operator ticks :meth:`Engine.step`, a script loops it.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from . import messages
from .jobs import Job

#: A process that says nothing for this long is taken for dead; it beats every two seconds.
SILENCE = 20.0
#: Importing the engine's libraries from a cold disk takes a while.
START_SILENCE = 120.0
_TAIL = 12
_PASSED_ON = ("SYSTEMROOT", "WINDIR", "TEMP", "TMP", "TMPDIR", "HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PATH",
              "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")  # fmt: skip


class Engine:
    """One engine process and its jobs; started at the first job, restarted at the next after a crash."""

    def __init__(
        self,
        python: Path,
        root: Path,
        *,
        device: str = "auto",
        log_file: Path | None = None,
        models: Path | None = None,
    ) -> None:
        self.python, self.root, self.device, self.log_file, self.models = python, root, device, log_file, models
        self.ready = False
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._jobs: dict[str, Job] = {}
        self._heard = 0.0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process if it does not run. Raises ``OSError`` if the Python cannot be started."""
        if self.alive:
            return
        launch = self.root / "bridge" / "launch.py"
        command = [str(self.python), "-s", "-u", str(launch), "backend", "serve", "--device", self.device]
        environment = {k: v for k, v in os.environ.items() if k in _PASSED_ON}
        environment |= {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        if self.models is not None:
            environment["LIMELIGHT_MODELS"] = str(self.models)
        # A group of its own: a Ctrl-C meant for Blender's terminal must not end the engine half-way.
        group: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if sys.platform == "win32"
            else {"start_new_session": True}
        )
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            encoding="utf-8",
            errors="replace",
            **group,
        )
        self.ready, self._heard = False, time.monotonic()
        self._lines = queue.SimpleQueue()
        self._tail.clear()
        assert self._process.stdout is not None and self._process.stderr is not None
        for target, stream in ((self._read, self._process.stdout), (self._keep, self._process.stderr)):
            threading.Thread(target=target, args=(stream,), daemon=True).start()

    def submit(self, kind: str, params: dict[str, Any]) -> Job:
        """Queue a job; starts the process if need be. A failure to start is the job's error."""
        job = Job(uuid.uuid4().hex, kind, params)
        self._jobs[job.id] = job
        try:
            self.start()
            self._send(messages.Request(job.id, kind, params))
        except (OSError, ValueError) as error:
            text = f"The engine could not be started ({error})."
            job.take(messages.Error(job.id, "died", text, "Check its Python in the preferences, or set it up again."))
        return job

    def step(self) -> bool:
        """Take what came since the last call, watch over the process; True if a job changed. Never blocks."""
        changed = False
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            self._heard = time.monotonic()
            changed |= self._take(line)
        waiting = [job for job in self._jobs.values() if not job.over]
        if waiting and self._process is not None and not self.alive and self._lines.empty():
            self._fail(waiting, "The engine ended unexpectedly.")
            changed = True
        elif waiting and self.alive and time.monotonic() - self._heard > (SILENCE if self.ready else START_SILENCE):
            self.kill()
            self._fail(waiting, "The engine stopped answering and was ended.")
            changed = True
        self._jobs = {key: job for key, job in self._jobs.items() if not job.over}
        return changed

    def wait(self, job: Job, on_step: Callable[[Job], None] | None = None) -> Job:
        """Block until the job is over, as scripts and background mode do."""
        while not job.over:
            if self.step() and on_step is not None:
                on_step(job)
            time.sleep(0.01)
        return job

    def cancel(self, job: Job) -> None:
        """Ask the engine to stop a job; it ends within a denoising step. Without a process it ends at once."""
        if self.alive:
            self._send(messages.Cancel(job.id))
        else:
            job.take(messages.Error(job.id, "cancelled", "Cancelled."))

    def unload(self) -> None:
        """Let the engine free its models' memory."""
        if self.alive:
            self._send(messages.Unload())

    def stop(self, grace: float = 2.0) -> None:
        """End the process: ask, close its input, then kill."""
        process = self._process
        if process is None:
            return
        if self.alive:
            self._send(messages.Shutdown())
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()
        self._fail([job for job in self._jobs.values() if not job.over], "The engine was stopped.")

    def kill(self) -> None:
        """End the process without asking."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _send(self, message: messages.Message) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(messages.encode(message))
            self._process.stdin.flush()
        except (BrokenPipeError, OSError):
            # The process has just died: step() notices and tells the jobs, with the log's tail.
            self._tail.append("(the engine's input is closed)")

    def _take(self, line: str | None) -> bool:
        if line is None:
            return False
        try:
            message = messages.decode(line)
        except messages.MessageError as error:
            self._tail.append(f"(not understood) {error}")
            return False
        if isinstance(message, messages.Ready):
            self.ready = True
        job = self._jobs.get(getattr(message, "id", ""))
        if job is None:
            return False
        job.take(message)
        return True

    def _fail(self, jobs: list[Job], text: str) -> None:
        tail = " | ".join(line.strip() for line in list(self._tail)[-3:] if line.strip())
        remedy = "Run it again; the engine starts anew." + (f" Its last words: {tail}" if tail else "")
        for job in jobs:
            job.take(messages.Error(job.id, "died", text, remedy))

    def _read(self, stream: IO[str]) -> None:
        lines = self._lines
        while line := stream.readline(messages.LONGEST_LINE + 1):
            lines.put(line)
        lines.put(None)

    def _keep(self, stream: IO[str]) -> None:
        """Write stderr to a rotating log and remember its tail."""
        log = None
        if self.log_file is not None:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            log = logging.handlers.RotatingFileHandler(
                self.log_file, maxBytes=1_000_000, backupCount=1, encoding="utf-8"
            )
        for line in stream:
            self._tail.append(line)
            if log is not None:
                log.emit(logging.makeLogRecord({"msg": line.rstrip("\n")}))
        if log is not None:
            log.close()
