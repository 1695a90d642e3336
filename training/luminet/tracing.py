# SPDX-License-Identifier: GPL-3.0-or-later
"""Light sets traced in processes of their own while a training runs on those that are there.

A process traces one room at a time on one core: the building of scenes holds the interpreter's lock, so that threads
of one process would wait for each other.

``python bridge/launch.py training.luminet.tracing --out DIR --scenes 128 [--part 1/8]``
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...synthesis.light_sets import make_light_set
from ...synthesis.samples import save_sample
from ...synthesis.sky import hdri_files
from ..part import part
from .examples import VALIDATION

#: Pixels and samples of most rooms, and of one in :data:`_LARGE_EVERY`: training is mostly on small pictures, and many
#: rooms teach more than clean ones.
SMALL, LARGE = {"size": 64, "samples": 6}, {"size": 128, "samples": 4}
_LARGE_EVERY = 4
#: Rooms kept for validation that are traced before all others.
HELD = 16
_LAUNCH = Path(__file__).resolve().parents[2] / "bridge" / "launch.py"


def order(scenes: int) -> list[int]:
    """The seeds below ``scenes`` in the order in which they are traced."""
    held = list(range(0, scenes, VALIDATION))[:HELD]
    return held + sorted(set(range(scenes)) - set(held))


def settings(seed: int) -> dict[str, Any]:
    """Size and samples of a room; those for validation are all large."""
    return LARGE if seed % _LARGE_EVERY == 0 else SMALL


def trace(folder: Path, scenes: int, share: slice, hdris: list[Path]) -> None:
    """Write the rooms of a ``share`` of their :func:`order` that are not there yet.

    Ends with the process that asked. A seed that gives no room is passed over.
    """
    asked_by = os.getppid()
    folder.mkdir(parents=True, exist_ok=True)
    for seed in order(scenes)[share]:
        path = folder / f"sample_{seed}.npz"
        if os.getppid() != asked_by:
            return
        if not path.exists():
            with suppress(RuntimeError):
                save_sample(path, make_light_set(seed, hdris=hdris, threads=1, **settings(seed)))


@contextmanager
def traced(folder: Path, scenes: int, workers: int, hdris: Path | None) -> Iterator[Callable[[], None]]:
    """Traces rooms below seed ``scenes`` into ``folder`` for as long as this lasts.

    Gives a check that raises :class:`ChildProcessError` where a process failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(_LAUNCH), __name__.partition(".")[2], "--out", str(folder), "--scenes", str(scenes)]
    command += ["--hdris", str(hdris)] if hdris else []
    single = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    processes = [subprocess.Popen([*command, "--part", f"{k}/{workers}"], env=single) for k in range(1, workers + 1)]

    def check() -> None:
        if failed := [p.returncode for p in processes if p.poll()]:
            raise ChildProcessError(f"{len(failed)} processes that trace rooms ended with {failed[0]}.")

    try:
        yield check
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def wait_for(folder: Path, count: int, check: Callable[[], None]) -> None:
    """Until ``count`` rooms are there, which ``check`` may give up."""
    while len(list(folder.glob("sample_*.npz"))) < count:
        check()
        time.sleep(0.5)


def main() -> None:
    """Command line of one process."""
    parser = argparse.ArgumentParser(description="Trace rooms for a training, or a part of them.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=2048)
    parser.add_argument("--part", type=part, default="1/1", help="K/N: trace every N-th room alone, from the K-th on")
    parser.add_argument("--hdris", type=Path)
    given = parser.parse_args()
    trace(given.out, given.scenes, given.part, hdri_files(given.hdris))


if __name__ == "__main__":
    main()
