# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the painter's training shards: ``python -m limelight.training.limo.prepare crops|rooms|views --out DATA …``."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ...backend.devices import one_thread
from .examples import SHARD, Example, crop_examples, probe_set_examples, sample_examples, write_shards

#: Scenes of Blender in a shard: six probes each, or fewer where a view is narrow.
VIEWS_A_SHARD = 40


#: What a shard is called, and the examples that it takes, made when they are wanted.
Job = tuple[str, Callable[[], Iterator[Example]]]


def prepare_crops(hdris: Path, out: Path, seed: int, shards: int, workers: int = 1) -> None:
    """``shards`` shards of perspective crops; each has its own seed, so that a broken run resumes at the next one."""
    jobs: list[Job] = [
        (f"crops_{seed:02d}_{n:04d}", partial(crop_examples, hdris, seed * 100_000 + n)) for n in range(shards)
    ]
    _write(jobs, out, workers)


def prepare_rooms(samples: Path, out: Path, workers: int = 1) -> int:
    """Turn ray-traced samples into shards, 64 files (four probes each) a shard; returns how many shards exist."""
    files = sorted(samples.glob("sample_*.npz"))
    return _write(list(_batches("rooms", files, SHARD // 4, sample_examples)), out, workers)


def prepare_views(scenes: Path, out: Path, workers: int = 1) -> int:
    """Turn Blender's views (``limelight synthesize views``) into shards; the last, unfilled one waits for more scenes.

    Returns how many shards exist.
    """
    folders = sorted((path.parent for path in scenes.glob("scene_*/meta.json")), key=lambda scene: scene.name)
    return _write(list(_batches("views", folders, VIEWS_A_SHARD, probe_set_examples)), out, workers)


def _batches(kind: str, sources: list[Path], size: int, read: Callable[[Path], Iterator[Example]]) -> Iterator[Job]:
    """A job for every ``size`` sources; what is left over waits."""
    for number in range(len(sources) // size):
        batch = sources[number * size : (number + 1) * size]
        yield f"{kind}_{number:04d}", partial(_chain, batch, read)


def _chain(sources: list[Path], read: Callable[[Path], Iterator[Example]]) -> Iterator[Example]:
    return itertools.chain.from_iterable(map(read, sources))


def _write(jobs: list[Job], out: Path, workers: int) -> int:
    """Write the shards that are not there yet, so many at once; returns how many there are of these jobs."""

    def work(job: Job) -> None:
        prefix, examples = job
        if not list(out.glob(f"{prefix}_*.safetensors")):
            write_shards(examples(), out, prefix, 1)

    with one_thread(), ThreadPoolExecutor(max(1, workers)) as pool:
        list(pool.map(work, jobs))
    return len(jobs)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("crops", "rooms", "views"))
    parser.add_argument(
        "--source",
        type=Path,
        required=True,
        help="folder of HDR panoramas, of ray-traced samples, or of Blender's views",
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.kind == "crops":
        prepare_crops(arguments.source, arguments.out, arguments.seed, arguments.shards, arguments.workers)
    elif arguments.kind == "rooms":
        prepare_rooms(arguments.source, arguments.out, arguments.workers)
    else:
        prepare_views(arguments.source, arguments.out, arguments.workers)


if __name__ == "__main__":
    main()
