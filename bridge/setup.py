# SPDX-License-Identifier: GPL-3.0-or-later
"""Make, verify and remove the engine's own Python environment. Steps like a job: never blocks, can be cancelled."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from .holding import hold
from .process import kill_group, own_environment, own_group

REQUIREMENTS = Path(__file__).resolve().parent / "requirements-engine.txt"
#: Marks an environment that this module made, and that it may therefore remove.
STAMP = "limelight-engine.json"
#: Locked in it while one is being made.
_LOCK = "limelight-setup.lock"
OLDEST, NEWEST = (3, 11), (3, 13)
# A launcher (pyenv's shim, a virtual environment's link) answers with the interpreter that it starts.
_QUESTION = (
    "import os, sys, venv, ensurepip; print('%d.%d.%d' % sys.version_info[:3]); "
    "print(os.path.realpath(getattr(sys, '_base_executable', '') or sys.executable))"
)


def find_pythons() -> list[tuple[Path, str]]:
    """Installed Pythons that suit the engine, as (path, version), newest first; each was started and asked.

    Every interpreter is there once, by its real path, however many links, launchers and environments lead to it.
    """
    names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)] + ["python3", "python"]
    paths = [Path(on_path) for name in names if (on_path := shutil.which(name))]
    paths += sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))
    paths += sorted(Path.home().glob("AppData/Local/Programs/Python/Python3*/python.exe"))
    paths += [Path(p) for p in ("/opt/homebrew/bin/python3", "/usr/local/bin/python3")]
    found: dict[Path, str] = {}
    for path in paths:
        answer = _ask(path)
        if answer is not None and suits(answer[0]):
            found.setdefault(answer[1], answer[0])
    return sorted(found.items(), key=lambda item: _numbers(item[1]), reverse=True)


def suits(version: str) -> bool:
    """Whether the engine's packages are there for a Python of this version."""
    return OLDEST <= _numbers(version)[:2] <= NEWEST


def ask_version(python: Path) -> str | None:
    """The version of an interpreter that starts and can make environments; None otherwise."""
    answer = _ask(python)
    return None if answer is None else answer[0]


def misfit(python: Path) -> str:
    """Why no engine runs by an interpreter, whatever packages it has, in an artist's sentence; empty if one may."""
    # Python 2 knows no -I.
    question = [str(python), "-E", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        answer = subprocess.run(question, capture_output=True, stdin=subprocess.DEVNULL, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        answer = b""
    version = re.fullmatch(r"\d+\.\d+", answer.decode("ascii", "replace").strip())
    if version and _numbers(version[0]) >= OLDEST:
        return ""
    what = f"Python {version[0]}" if version else "no Python that starts"
    oldest, newest = (".".join(map(str, numbers)) for numbers in (OLDEST, NEWEST))
    return f"{python} is {what}: choose another one, from {oldest} to {newest}, in Limelight's preferences."


def _ask(python: Path) -> tuple[str, Path] | None:
    """Version and real path of the interpreter that a path starts; None if it doesn't, or cannot make environments."""
    if not python.is_file():
        return None
    try:
        answer = subprocess.run(
            [str(python), "-I", "-X", "utf8", "-c", _QUESTION],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = answer.stdout.splitlines()
    if answer.returncode or len(lines) != 2:
        return None
    real = Path(lines[1])
    # An environment may outlive the interpreter that it was made with.
    return lines[0], real if real.is_file() else Path(os.path.realpath(python))


def python_in(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def is_ours(environment: Path) -> bool:
    """Whether :class:`SetUp` made (or began) this environment."""
    return (environment / STAMP).is_file()


def remove(environment: Path) -> None:
    """Delete an environment that :class:`SetUp` made. Raises ``OSError`` for any other folder."""
    if not environment.exists():
        return
    if not is_ours(environment):
        raise OSError(f"{environment} was not made by Limelight and is left alone.")
    _take(environment).close()
    shutil.rmtree(environment)


def is_complete(environment: Path) -> bool:
    """Whether :class:`SetUp` made this environment to the end; a stamp that was cut off says no."""
    try:
        told = json.loads((environment / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and bool(told.get("complete"))


def _take(environment: Path) -> IO[bytes]:
    """Keep others from an environment until what this returns is closed; ``OSError`` if one is at work there."""
    lock = hold(environment / _LOCK)
    if lock is None:
        raise OSError(f"Another Blender is setting up the engine in {environment}: wait until it is done.")
    return lock


def _prepare(python: Path, environment: Path) -> IO[bytes]:
    """Stamp the folder, and empty one that another interpreter made or whose own is gone: venv would keep its links.

    Returns the lock that keeps others from it. Raises ``OSError`` with a sentence.
    """
    try:
        if environment.exists() and any(environment.iterdir()) and not is_ours(environment):
            raise OSError(f"{environment} is not empty and was not made by Limelight: choose another folder.")
        if (environment / "pyvenv.cfg").exists() and _ask(python_in(environment)) != _ask(python):
            remove(environment)
        environment.mkdir(parents=True, exist_ok=True)
        lock = _take(environment)
        (environment / STAMP).write_text(json.dumps({"complete": False, "python": str(python)}), encoding="utf-8")
        _forget_halves(environment)
        return lock
    except OSError as error:
        if error.strerror is None:
            raise
        raise OSError(
            f"The folder {environment} cannot be used ({error.strerror}): choose another one, or make room and check "
            "its permissions."
        ) from error


def _forget_halves(environment: Path) -> None:
    """Let pip install packages again that a killed run or a full disk left half-way: it would take them for there."""
    # What it writes last.
    for about in environment.glob("[Ll]ib/**/site-packages/*.dist-info"):
        if not (about / "INSTALLER").is_file():
            shutil.rmtree(about)


class SetUp:
    """Makes ``environment`` with ``python``, one command after the other; call :meth:`step` until ``over``.

    What a broken run downloaded stays in pip's cache, so the next one goes on from there. ``error`` is a sentence with
    its remedy, empty while all is well.
    """

    def __init__(
        self, python: Path, environment: Path, requirements: Path = REQUIREMENTS, *, index_url: str | None = None
    ) -> None:
        """``index_url`` is where PyTorch comes from, e.g. the index of its CPU builds; None is pip's default.

        Raises ``OSError`` with a sentence if the folder cannot be used, or another process makes one there.
        """
        self._lock = _prepare(python, environment)
        own = str(python_in(environment))
        lines = [line for line in requirements.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
        pip = [own, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        torch = [line for line in lines if line.startswith("torch")]
        self._commands = [("Making the environment", [str(python), "-I", "-m", "venv", str(environment)])]
        if torch:
            index = ["--index-url", index_url] if index_url else []
            self._commands.append(("Downloading PyTorch, the largest part", [*pip, *index, *torch]))
        if lines:
            self._commands.append(("Downloading the other packages", [*pip, *lines]))
        launch = str(Path(__file__).resolve().with_name("launch.py"))
        check = [launch, "backend", "doctor"] if torch else ["-c", _QUESTION]
        self._commands.append(("Checking the engine", [own, "-I", "-B", *check]))
        self._total = len(self._commands)
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._seen = 0
        self.stage, self.error, self.over, self.log = "Starting", "", False, [""]

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1; within a command it grows with every line pip prints."""
        done = self._total - len(self._commands) - (self._process is not None)
        return min(1.0, (done + 1 - 0.97**self._seen) / self._total) if not self.over else 1.0

    def step(self) -> None:
        """Look after the running command and start the next; never blocks."""
        while not self._lines.empty():
            self._hear(self._lines.get())
        if self.over:
            return
        if self._process is None:
            self._next()
        elif self._process.poll() is not None:
            code, self._process, self._seen = self._process.returncode, None, 0
            if code:
                self._end(f"{self.stage} failed: {self._reason()} Check the network and the disk, then run it again.")
            elif not self._commands:
                self._complete()

    def cancel(self) -> None:
        """Stop; what was downloaded stays for the next time."""
        if self._process is not None:
            kill_group(self._process)
        if not self.over:
            self._end("Cancelled: run it again to go on")

    def _next(self) -> None:
        self.stage, command = self._commands.pop(0)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env=own_environment(),
                **own_group(),
            )
        except OSError as error:
            self._end(f"{self.stage} failed: {error}. Choose another Python.")
            return
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def _complete(self) -> None:
        try:
            (self._environment / STAMP).write_text(json.dumps({"complete": True}), encoding="utf-8")
        except OSError as error:
            self._end(f"{self._environment} cannot be written ({error.strerror}). Make room, then run it again.")
        else:
            self._end("")

    def _read(self, stream: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            self._lines.put(line)

    def _hear(self, line: str) -> None:
        self.log.append(line.rstrip())
        self._seen += 1
        package = re.match(r"(?:Collecting|Downloading) ([\w.-]+)", line)
        if package:
            self.stage = f"Downloading {package[1]}"

    def _reason(self) -> str:
        told = [line for line in self.log if line.startswith(("ERROR", "error"))] or self.log
        return told[-1].rstrip(".") + "."

    def _end(self, error: str) -> None:
        self.error, self.over = error, True
        self._lock.close()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
