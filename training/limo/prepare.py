# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the painter's training shards: ``python -m limelight.training.limo.prepare KIND --out DATA …``.

Threads share one interpreter, which building scenes keeps busy; many cores are better filled by as many processes, each
with its ``--part``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from ...backend.devices import one_thread
from ...synthesis.samples import make_sample
from ..part import part
from .examples import (
    SHARD,
    Example,
    crop_examples,
    probe_set_examples,
    sample_examples,
    traced_examples,
    write_shard,
)

#: Path counts and panorama rows of a training sample: noisy, then denoised; many scenes teach more than clean ones.
SAMPLES: dict[str, Any] = {"spp_view": 20, "spp_probe": 12, "probe_height": 48}
#: Probes of a ray-traced scene.
PROBES = 4

#: Scenes of Blender in a shard: six probes each, or fewer where a view is narrow.
VIEWS_A_SHARD = 30


Source = TypeVar("Source")
#: A shard's file name without its ending, and the examples that it takes, made when they are wanted.
Job = tuple[str, Callable[[], Iterator[Example]]]


def prepare_crops(hdris: Path, out: Path, seed: int, shards: int, workers: int = 1) -> None:
    """``shards`` shards of perspective crops; each has its own seed, so that a broken run resumes at the next one."""
    _write(crops(hdris, seed, shards), out, workers)


def prepare_rooms(samples: Path, out: Path, workers: int = 1) -> int:
    """Turn ray-traced samples into shards, 64 files (four probes each) a shard; returns how many shards exist."""
    return _write(rooms(samples), out, workers)


def prepare_views(scenes: Path, out: Path, workers: int = 1) -> int:
    """Turn Blender's views (``limelight synthesize views``) into shards; the last, unfilled one waits for more scenes.

    Returns how many shards exist.
    """
    return _write(views(scenes, 1), out, workers)


def crops(hdris: Path, seed: int, shards: int) -> list[Job]:
    """Shards of perspective crops of the panoramas in a folder."""
    return [
        (f"crops_{seed:02d}_{n:04d}_0000", partial(crop_examples, hdris, seed * 100_000 + n)) for n in range(shards)
    ]


def rooms(samples: Path) -> list[Job]:
    """Shards of the ray-traced samples in a folder."""
    batches = _batches(sorted(samples.glob("sample_*.npz")), SHARD // PROBES)
    return [(f"rooms_{n:04d}_0000", partial(_chain, batch, sample_examples)) for n, batch in enumerate(batches)]


def traced(first: int, shards: int, hdris: Path | None) -> list[Job]:
    """Shards of ray-traced scenes with seeds from ``first`` on, traced for them; no samples are kept."""
    scenes = SHARD // PROBES

    def examples(seed: int) -> Iterator[Example]:
        sample = make_sample(seed, hdri_folder=hdris, threads=1, **SAMPLES)
        return traced_examples(sample, sample["camera"], seed)

    numbers = range(first // scenes, first // scenes + shards)
    return [(f"rooms_{n:04d}_0000", partial(_chain, range(n * scenes, (n + 1) * scenes), examples)) for n in numbers]


def views(scenes: Path, shots: int) -> list[Job]:
    """Shards of Blender's views in a folder, each taken ``shots`` times; all first shots come before the second."""
    folders = sorted((path.parent for path in scenes.glob("scene_*/meta.json")), key=lambda scene: scene.name)
    return [
        (f"views_{n:04d}_{shot:04d}", partial(_chain, batch, partial(probe_set_examples, shot=shot)))
        for shot in range(shots)
        for n, batch in enumerate(_batches(folders, VIEWS_A_SHARD))
    ]


def _batches(sources: list[Path], size: int) -> list[list[Path]]:
    """Parts of ``size`` sources; what is left over waits."""
    return [sources[n * size : (n + 1) * size] for n in range(len(sources) // size)]


def _chain(sources: Iterable[Source], read: Callable[[Source], Iterator[Example]]) -> Iterator[Example]:
    return chain.from_iterable(map(read, sources))


def _write(jobs: list[Job], out: Path, workers: int) -> int:
    """Write the shards that are not there yet, so many at once; returns how many there are of these jobs.

    What interrupts it ends the shards under way at their next example.
    """
    stopped = Event()

    def lasting(examples: Iterator[Example]) -> Iterator[Example]:
        for example in examples:
            if stopped.is_set():
                raise CancelledError
            yield example

    def work(job: Job) -> None:
        name, examples = job
        path = out / f"{name}.safetensors"
        if not path.exists():
            write_shard(lasting(examples()), path)

    with one_thread(), ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            list(pool.map(work, jobs))
        except BaseException:
            stopped.set()
            raise
    return len(jobs)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("crops", "rooms", "views", "traced"))
    parser.add_argument("--source", type=Path, help="crops, traced: folder of HDR panoramas; rooms: of ray-traced "
                        "samples; views: of Blender's views")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1, help="of crops; the first one of traced scenes")
    parser.add_argument("--shards", type=int, default=32, help="crops, traced: how many")
    parser.add_argument("--shots", type=int, default=1, help="views: how often each is photographed")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--part", type=part, default="1/1", help="K/N: make every N-th shard alone, from the K-th on")
    given = parser.parse_args()
    if given.kind == "traced":
        jobs = traced(given.seed, given.shards, given.source)
    elif given.source is None:
        raise SystemExit("Give --source, the folder to read from.")
    elif given.kind == "crops":
        jobs = crops(given.source, given.seed, given.shards)
    else:
        jobs = rooms(given.source) if given.kind == "rooms" else views(given.source, given.shots)
    _write(jobs[given.part], given.out, given.workers)


if __name__ == "__main__":
    main()
