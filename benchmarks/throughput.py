# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is done in an hour by one worker and by several, and what large jobs need.

``python bridge/launch.py benchmarks.throughput [--out DIR] [--photos N] [--scenes N] [--workers 1,2] [--ray ADDRESS]
[--blender PYTHON] [--device NAME] [--core-hour PRICE] [--gpu-hour PRICE]``

Light: a list of photos, one probe each, worked off by so many engines that are warm. Scenes: ray-traced rooms of four
probes and, with --blender, Cycles views of six. Seconds on the clock depend on what else runs (the load is written
down); processor seconds hardly do. Leaves throughput.md and throughput.json in ``--out``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import skimage
from PIL import Image

from ..backend.batch import farm
from ..backend.batch.seats import engines
from ..bridge import Batch, JobList
from ..bridge.batch import Seat
from ..synthesis.samples import write_samples
from ..synthesis.sphere_sets import write_set
from .processes import ProcessWatch
from .speed import ROOT, circumstances

#: Free photos that scikit-image brings, and the size that each is cut to.
PHOTOS, SIZE = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png"), (400, 300)
#: The jobs that the table speaks of: how many, of what.
LARGE = (("photos", "light, normal, 512×256", 10_000), ("samples", "rooms, ray-traced", 100_000),
         ("samples", "views by Cycles", 100_000))  # fmt: skip
ROOMS, VIEWS = LARGE[1][1], LARGE[2][1]


@dataclass
class Row:
    """One measurement; ``seconds`` and ``processor`` (all cores together) are of one item, memory of all workers."""

    work: str
    workers: int
    where: str
    items: int
    seconds: float
    processor: float | None
    memory_gb: float | None
    megabytes: float
    load: float


def photos(folder: Path, count: int) -> list[Path]:
    """So many different pictures: parts of the free photos."""
    found = []
    for number in range(count):
        image = Image.open(Path(skimage.__file__).parent / "data" / PHOTOS[number % len(PHOTOS)]).convert("RGB")
        shift = number // len(PHOTOS) * 7
        found.append(folder / f"photo_{number:04d}.png")
        image.crop((shift, shift, image.width, image.height)).resize(SIZE).save(found[-1])
    return found


def listed(path: Path, pictures: Sequence[Path], **params: Any) -> JobList:
    """A list of light jobs of one probe each."""
    made = JobList.make(path)
    for picture in pictures:
        job = {"images": [str(picture)], "probes": [{"u": 0.5, "v": 0.6}], "out": str(path.parent / picture.stem)}
        made.add("light", {**job, "fov_deg": 55, **params}, picture.stem)
    return made


def measure_light(folder: Path, count: int, workers: int, device: str, ray: str | None) -> Row:
    """A list of photos, after each worker has done a small job."""
    seats: Sequence[Seat]
    seats = engines(workers, device) if ray is None else farm.seats(ray, count, device, workers)
    try:
        with ProcessWatch() as watch:
            small = {"quality": "draft", "size": 128}
            Batch(listed(folder / "warm" / "x.jobs", photos(folder, len(seats)), **small), seats).wait()
            before, start = watch.cpu(), time.perf_counter()
            made = listed(folder / "all" / "x.jobs", photos(folder, count))
            Batch(made, seats).wait()
            seconds, processor = time.perf_counter() - start, watch.cpu() - before
    finally:
        for seat in seats:
            seat.stop()
    assert made.counts["done"] == count, made.counts
    whose = {} if ray else {"processor": processor / count, "memory_gb": watch.peak / 1e9}
    told = {"processor": None, "memory_gb": None, **whose}
    return Row(LARGE[0][1], len(seats), "Ray" if ray else "engines", count, seconds / count, load=os.getloadavg()[0],
               megabytes=weight(folder / "all") / count, **told)  # fmt: skip


def measure_scenes(work: str, folder: Path, count: int, workers: int, write: Callable[[int, int], Any]) -> Row:
    """What ``write`` (first seed, count) leaves in ``folder``, after one scene alone."""
    write(0, 1)
    before, spent, start = weight(folder), processor_time(), time.perf_counter()
    write(1, count)
    seconds = time.perf_counter() - start
    return Row(work, workers, "processes", count, seconds / count, (processor_time() - spent) / count, None,
               (weight(folder) - before) / count, os.getloadavg()[0])  # fmt: skip


def processor_time() -> float:
    """Seconds of this process and of those that it started and that ended."""
    return sum(os.times()[:4])


def weight(folder: Path) -> float:
    """Megabytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def as_table(rows: Sequence[Row], prices: dict[str, float]) -> str:
    """Markdown: a row a measurement, then what large jobs need by the best of each work."""
    lines = ["| work | workers | items | s each | an hour | processor s each | memory GB | MB each | load |",
             "| --- " * 9 + "|"]  # fmt: skip
    for row in rows:
        spent = "–" if row.processor is None else f"{row.processor:.1f}"
        memory = "–" if row.memory_gb is None else f"{row.memory_gb:.2f}"
        lines.append(
            f"| {row.work} | {row.workers} ({row.where}) | {row.items} | {row.seconds:.2f} | {3600 / row.seconds:.0f}"
            f" | {spent} | {memory} | {row.megabytes:.2f} | {row.load:.1f} |"
        )
    lines += ["", "| large job | core hours | on 2 cores | on 64 cores | disk GB | per 1000 |", "| --- " * 6 + "|"]
    for what, work, count in LARGE:
        spent_each = [row.processor for row in rows if row.work == work and row.processor is not None]
        if spent_each:
            hours, size = min(spent_each) * count / 3600, next(r.megabytes for r in rows if r.work == work)
            thousand = hours / count * 1000
            price = f", {thousand * prices['core']:.2f} at {prices['core']} a core hour" if "core" in prices else ""
            lines.append(
                f"| {count:,} {what}: {work} | {hours:,.0f} | {hours / 48:.1f} days | {hours / 64:.1f} h"
                f" | {size * count / 1000:,.0f} | {thousand:.2f} core hours{price} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "speed", help="folder for both files")
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--scenes", type=int, default=4, help="0 leaves them out")
    parser.add_argument("--workers", default="1,2", help="numbers of workers, with commas between")
    parser.add_argument("--ray", help="also by a Ray cluster: auto or an address")
    parser.add_argument("--blender", type=Path, help="a Python that has bpy, for Cycles")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--core-hour", type=float, help="price of a core for an hour")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="limelight-throughput-") as name:
        folder = Path(name)
        for workers in map(int, options.workers.split(",")):
            own = folder / str(workers)
            own.mkdir()
            if options.photos:
                rows.append(measure_light(own, options.photos, workers, options.device, None))
            if options.scenes:
                rows.append(rooms(own / "rooms", options.scenes, workers))
            if options.scenes and options.blender:
                rows.append(views(own / "views", options.scenes, workers, options.blender))
            print(as_table(rows[-3:], {}), flush=True)
        if options.ray:
            (folder / "ray").mkdir()
            rows.append(measure_light(folder / "ray", options.photos, 2, options.device, options.ray))
    table = as_table(rows, {} if options.core_hour is None else {"core": options.core_hour})
    told = {**circumstances(options.device, False), "rows": [asdict(row) for row in rows]}
    (options.out / "throughput.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    (options.out / "throughput.md").write_text(table + "\n", encoding="utf-8")
    print(table)


def rooms(folder: Path, count: int, workers: int) -> Row:
    """Ray-traced rooms, as 'synthesize rooms' makes them."""
    folder.mkdir()
    # Several workers have one thread each anyway.
    options: dict[str, Any] = {"threads": 1} if workers == 1 else {}
    return measure_scenes(
        ROOMS, folder, count, workers, lambda first, n: write_samples(folder, first, n, workers, **options)
    )


def views(folder: Path, count: int, workers: int, blender: Path) -> Row:
    """Small views by Cycles, as 'synthesize views' makes them."""
    return measure_scenes(
        VIEWS, folder, count, workers,
        lambda first, n: write_set(folder, "views", first, n, blender=blender, workers=workers),
    )  # fmt: skip


if __name__ == "__main__":
    main()
