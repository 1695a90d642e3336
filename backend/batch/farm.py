# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers on a Ray cluster: processes that stay, each with its models loaded once; one a GPU, or one a core.

A GPU's worker has the device to itself, and every job for that device goes through it, so there is one copy of a model
on each. A worker that dies is started again. The cluster's machines need this package, and the files that jobs name,
under the same paths, and the engine's packages in the Python that 'ray start' was called with.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...bridge import messages
from ...bridge.jobs import Job
from ..errors import BadInput, MissingPart, of_code
from ..limo.report import SilentReport
from ..serve import explain

LAUNCH = Path(__file__).resolve().parents[2] / "bridge" / "launch.py"
#: Work that Ray starts again when its worker dies.
RETRIES = 5
REQUIREMENT = "ray==2.60.0"
Item = TypeVar("Item")
#: What a worker answers: a result, or an error's code, text and remedy.
Answer = tuple[Any, tuple[str, str, str] | None]


def connect(address: str) -> Any:
    """The module ray, connected; raises :class:`MissingPart` without it and :class:`BadInput` without a cluster."""
    try:
        import ray
    except ImportError as error:
        raise MissingPart(
            "Ray is not installed.", f"{sys.executable} -m pip install 'limelight[ray]' (or {REQUIREMENT})."
        ) from error
    # Ray ends the whole process if nobody answers there.
    named = re.fullmatch(r"(?:ray://)?([^:/]+):(\d{1,5})", address)
    try:
        if named is not None:
            socket.create_connection((named[1], int(named[2])), timeout=10).close()
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
    except (OSError, ValueError, RuntimeError, OverflowError) as error:
        raise BadInput(
            f"There is no Ray cluster at '{address}' ({str(error).splitlines()[0]}).",
            "Start one by 'ray start --head'; where its home has a file .ray/auth_token, copy that to this one.",
        ) from error
    return ray


@dataclass(frozen=True)
class Room:
    """How many workers a cluster has room for, what Ray is to give each, and the threads that each computes with."""

    workers: int
    needs: dict[str, int]
    threads: int


def find_room(ray: Any, device: str) -> Room:
    """A worker for each GPU, if the cluster has any and ``device`` allows it, else one for each core."""
    there = ray.cluster_resources()
    gpus, cores = int(there.get("GPU", 0)), max(1, int(there.get("CPU", 1)))
    if gpus and device != "cpu":
        return Room(gpus, {"num_gpus": 1, "num_cpus": 1}, max(1, cores // gpus))
    if device.startswith("cuda"):
        raise BadInput("The cluster has no GPU.", "Use --device auto or cpu.")
    return Room(cores, {"num_cpus": 1}, 1)


def hire(ray: Any, room: Room, most: int, retries: int = RETRIES) -> list[Any]:
    """As many workers as there is room for, but at most ``most``.

    ``retries``: how often Ray repeats a call whose worker died, on a worker that it starts again.
    """

    # Defined here so that it travels as a whole: a worker does not know this package before it has bound it.
    class Worker:
        def __init__(self, launch: str, folder: str, threads: int) -> None:
            import contextlib
            import importlib.util
            import os

            # Relative paths start where the cluster's user works.
            with contextlib.suppress(OSError):
                os.chdir(folder)
            os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = str(threads)
            spec = importlib.util.spec_from_file_location("limelight_launch", launch)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            module.bind_package()

        def call(self, function: Callable[..., Answer], *given: Any) -> Answer:
            return function(*given)

    made = ray.remote(max_restarts=-1 if retries else 0, max_task_retries=retries, **room.needs)(Worker)
    return [made.remote(str(LAUNCH), os.getcwd(), room.threads) for _ in range(max(1, min(room.workers, most)))]


def each(
    function: Callable[[Item], Any],
    items: Iterable[Item],
    progress: Callable[[int], None] = lambda done: None,
    *,
    ray: str | None = None,
    device: str = "auto",
) -> list[Any]:
    """``function`` of every item, in their order: here one after the other, or on the cluster at ``ray``.

    Items are asked for when their turn comes.

    ``function`` is a module's, or a ``functools.partial`` of one, so that it can travel; what it loads it should keep.
    ``progress`` hears how many are done.
    """
    if ray is None:
        found: list[Any] = []
        for item in items:
            progress(len(found))
            found.append(function(item))
        return found
    answers: dict[int, Any] = {}
    for number, answer in _spread(function, items, ray, device):
        answers[number] = answer
        progress(len(answers))
    return [answers[number] for number in sorted(answers)]


def _spread(function: Callable[[Item], Any], items: Iterable[Item], address: str, device: str) -> Iterator[Any]:
    """Pairs of number and result as they come."""
    ray = connect(address)
    most = len(items) if isinstance(items, Sized) else sys.maxsize
    idle = hire(ray, find_room(ray, device), most)
    todo = enumerate(items)
    working: dict[Any, tuple[Any, int]] = {}
    try:
        while True:
            for number, item in itertools.islice(todo, len(idle)):
                worker = idle.pop()
                working[worker.call.remote(answered, function, item)] = worker, number
            if not working:
                break
            (ready,), _ = ray.wait(list(working), num_returns=1)
            worker, number = working.pop(ready)
            idle.append(worker)
            try:
                result, error = ray.get(ready)
            except ray.exceptions.RayError as lost:
                error = ("died", f"it died {RETRIES + 1} times ({type(lost).__name__}).", "")
            if error is not None:
                raise of_code(error[0], f"A worker failed: {error[1]}", f"{error[2]} What is done stays.".strip())
            yield number, result
    finally:
        for worker in [*idle, *(worker for worker, _ in working.values())]:
            ray.kill(worker)


def answered(function: Callable[..., Any], *given: Any) -> Answer:
    """A function's result, or its error as plain texts, which travel between computers whatever it was."""
    try:
        return function(*given), None
    except (Exception, SystemExit) as error:
        told = explain("", error)
        return None, (told.code, told.text, told.remedy)


def do_job(kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """A job as on the wire, done by the worker that this is called in."""
    from ..kinds import kinds

    known = kinds("auto")
    if kind not in known:
        raise BadInput(f"The engine has no job '{kind}'.", f"It knows {', '.join(sorted(known))}.")
    report: Any = SilentReport()
    return known[kind](params, report)


class FarmSeat:
    """A worker of a cluster where an engine of this computer could be (:class:`limelight.bridge.batch.Seat`)."""

    def __init__(self, ray: Any, room: Room) -> None:
        self._ray, self._room = ray, room
        self._worker: Any = None
        self._running: tuple[Job, Any] | None = None

    def submit(self, kind: str, params: dict[str, Any]) -> Job:
        """Start a job; the worker chooses the device that the cluster gave it."""
        if self._worker is None:
            # No call is repeated by Ray: whoever owns the jobs does that, and counts.
            (self._worker,) = hire(self._ray, self._room, 1, retries=0)
        job = Job(kind, kind, params)
        params = {name: value for name, value in params.items() if name != "device"}
        job.take(messages.Progress(job.id, 0.0, "On the cluster"))
        self._running = job, self._worker.call.remote(answered, do_job, kind, params)
        return job

    def step(self) -> bool:
        """Whether the job ended since the last look."""
        if self._running is None:
            return False
        job, reference = self._running
        ready, _ = self._ray.wait([reference], timeout=0)
        if not ready:
            return False
        self._running = None
        try:
            result, error = self._ray.get(ready[0])
        except self._ray.exceptions.RayError as lost:
            # A worker that comes back refuses calls until it is there; a new one lets them wait.
            self.stop()
            told = f"The worker died ({type(lost).__name__})."
            result, error = None, ("died", told, "Run it again; another worker takes it.")
        job.take(messages.Result(job.id, result) if error is None else messages.Error(job.id, *error))
        return True

    def cancel(self, job: Job) -> None:
        """End the job with its worker; a job leaves nothing half-written."""
        if self._running is not None and self._running[0] is job:
            self.stop()
            job.take(messages.Error(job.id, "cancelled", "Cancelled."))

    def stop(self) -> None:
        """Give the worker back."""
        if self._worker is not None:
            self._ray.kill(self._worker)
        self._worker = self._running = None


def seats(address: str, jobs: int, device: str = "auto", workers: int | None = None) -> list[FarmSeat]:
    """Workers of a cluster for so many jobs: as many as it has room for, at most ``workers``; to be stopped by the
    caller. A batch repeats the jobs of a worker that died itself."""
    ray = connect(address)
    room = find_room(ray, device)
    return [FarmSeat(ray, room) for _ in range(max(1, min(room.workers, jobs, workers or jobs)))]
