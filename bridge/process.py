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
import signal
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
SILENCE = 10.0
#: Loading libraries from a cold disk holds the heartbeat up; this is for the time before a job moves on.
START_SILENCE = 60.0
#: After the process ended, what it had said may take this long to arrive.
LAST_WORDS = 1.0
_TAIL = 12
#: The exit code of an engine whose Python lacks a package.
_LACKS_A_PART = 3
#: What would lead the engine's Python to the libraries of another one.
_WITHHELD = ("PYTHON", "VIRTUAL_ENV", "CONDA", "__PYVENV")


def own_environment() -> dict[str, str]:
    """This process' environment without what would lead another Python to the libraries of this one."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(_WITHHELD)}


def own_group() -> dict[str, Any]:
    """What starts a process in a group of its own: a Ctrl-C meant for Blender's terminal must not end it half-way."""
    flags = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")
    windows = {"creationflags": sum(getattr(subprocess, flag, 0) for flag in flags)}
    return windows if sys.platform == "win32" else {"start_new_session": True}


def kill_group(process: subprocess.Popen[str]) -> None:
    """End a process that leads a group, and where the system allows it all that it started."""
    if sys.platform != "win32" and process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


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
        threads: int | None = None,
    ) -> None:
        """``threads``: how many the engine computes with; None leaves it to its libraries: one for each core."""
        self.threads = threads
        self.python, self.root, self.device, self.log_file, self.models = python, root, device, log_file, models
        self.ready = False
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[messages.Message] = queue.SimpleQueue()
        self._readers: list[threading.Thread] = []
        self._settled = False
        self._ended: float | None = None
        self._stepped = 0.0
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
        command = [str(self.python), "-I", "-B", "-u", "-X", "utf8", str(launch)]
        command += ["backend", "serve", "--device", self.device]
        environment = own_environment()
        if self.models is not None:
            environment["LIMELIGHT_MODELS"] = str(self.models)
        if self.threads is not None:
            environment |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), str(self.threads))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            encoding="utf-8",
            errors="replace",
            **own_group(),
        )
        self.ready, self._settled, self._ended = False, False, None
        self._heard = self._stepped = time.monotonic()
        self._answers = queue.SimpleQueue()
        self._tail = deque(maxlen=_TAIL)
        out, err = self._process.stdout, self._process.stderr
        assert out is not None and err is not None
        self._readers = [
            threading.Thread(target=self._read, args=(out, self._answers, self._tail), daemon=True),
            threading.Thread(target=self._keep, args=(err, self._tail), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def submit(self, kind: str, params: dict[str, Any]) -> Job:
        """Queue a job; starts the process if need be. A failure to start is the job's error."""
        job = Job(uuid.uuid4().hex, kind, params)
        if not self.alive:
            self._tell_end(list(self._jobs.values()))
        self._jobs[job.id] = job
        try:
            line = messages.encode(messages.Request(job.id, kind, params))
            self.start()
            self._write(line)
        except messages.MessageError as error:
            job.take(messages.Error(job.id, "bad_input", str(error), "Use finite numbers, texts and lists of them."))
        except (OSError, ValueError) as error:
            text = f"The engine could not be started ({error})."
            job.take(messages.Error(job.id, "died", text, "Check its Python in the preferences, or set it up again."))
        return job

    def step(self) -> bool:
        """Take what came since the last call, watch over the process; True if a job changed. Never blocks."""
        now = time.monotonic()
        if now - self._stepped > SILENCE / 2:
            # Nobody looked for a while (the computer slept, Blender was busy): silence counts from now on.
            self._heard = max(self._heard, now)
        self._stepped = now
        changed = False
        with contextlib.suppress(queue.Empty):
            while True:
                changed |= self._take(self._answers.get_nowait())
        waiting = [job for job in self._jobs.values() if not job.over]
        if waiting and self._process is not None and not self.alive and self._said_all(now):
            self._tell_end(waiting)
            changed = True
        elif waiting and self.alive and now - self._heard > (SILENCE if self._settled else START_SILENCE):
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
            kill_group(self._process)

    def _said_all(self, now: float) -> bool:
        """Whether everything that the ended process said has been read; a pipe held open by others is given up on."""
        if self._ended is None:
            self._ended = now
        read = not any(reader.is_alive() for reader in self._readers) and self._answers.empty()
        return read or now - self._ended > LAST_WORDS

    def _send(self, message: messages.Message) -> None:
        self._write(messages.encode(message))

    def _write(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except OSError:
            # The process has just died: step() notices and tells the jobs, with the log's tail.
            self._tail.append("(the engine's input is closed)")

    def _take(self, message: messages.Message) -> bool:
        if isinstance(message, messages.Ready):
            self.ready = True
        if isinstance(message, (messages.Result, messages.Error)) or getattr(message, "fraction", 0.0) > 0:
            self._settled = True
        job = self._jobs.get(getattr(message, "id", ""))
        if job is None:
            return False
        job.take(message)
        return True

    def _tell_end(self, jobs: list[Job]) -> None:
        """Fail jobs whose process ended by itself; one that never got ready may have had the wrong Python."""
        from .setup import misfit

        told = misfit(self.python) if jobs and not self.ready else ""
        for job in jobs if told else ():
            job.take(messages.Error(job.id, "missing_part", told))
        self._fail([job for job in jobs if not job.over], "The engine ended unexpectedly.")

    def _fail(self, jobs: list[Job], text: str) -> None:
        code, words = "died", [line.strip() for line in list(self._tail)[-3:] if line.strip()]
        remedy = "Run it again; the engine starts anew." + (f" Its last words: {' | '.join(words)}" if words else "")
        if words and self._process is not None and self._process.poll() == _LACKS_A_PART:
            code, text = "missing_part", words[0]
            remedy = "Set the engine up again, or choose another Python, in Limelight's preferences."
        for job in jobs:
            job.take(messages.Error(job.id, code, text, remedy))

    def _read(self, stream: IO[str], answers: queue.SimpleQueue[messages.Message], tail: deque[str]) -> None:
        """Decode answers as they come, in a thread, so that a step has little to do; heartbeats end here."""
        while line := stream.readline(messages.LONGEST_LINE + 1):
            if answers is self._answers:
                self._heard = time.monotonic()
            try:
                message = messages.decode(line)
            except messages.MessageError as error:
                tail.append(f"(not understood) {error}")
                continue
            if not isinstance(message, messages.Heartbeat):
                answers.put(message)

    def _open_log(self) -> logging.Handler | None:
        if self.log_file is None:
            return None
        try:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            return logging.handlers.RotatingFileHandler(
                self.log_file, maxBytes=1_000_000, backupCount=1, encoding="utf-8"
            )
        except OSError as error:
            # The engine works without a log; its owner sees this line with the tail.
            self._tail.append(f"(no log: {error})")
            return None

    def _keep(self, stream: IO[str], tail: deque[str]) -> None:
        """Write stderr to a rotating log and remember its tail."""
        log = self._open_log()
        for line in stream:
            tail.append(line)
            if log is not None:
                log.emit(logging.makeLogRecord({"msg": line.rstrip("\n")}))
        if log is not None:
            log.close()
