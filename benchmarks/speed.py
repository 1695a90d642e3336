# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user waits for and what it costs, against fixed limits; exits 1 if one is broken.

``python bridge/launch.py benchmarks.speed [--out DIR] [--blender PYTHON] [--zip FILE] [--device NAME] [--repeats N]
[--quick]``

Everything runs in processes of its own, as Blender starts them, with the files in the disk's cache. ``--quick`` takes
each time once, in draft quality, and leaves out what needs Blender. Leaves table.md and speed.json in ``--out``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

from PIL import Image

from ..bridge import Engine, Job
from .demo import photo
from .processes import ProcessWatch

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = ROOT / "bridge" / "launch.py"
#: What is measured, its unit, and the most it may be.
LIMITS: dict[str, tuple[str, float]] = {
    "engine start to ready": ("s", 6.0),
    "first HDRI, start included": ("s", 20.0),
    "further probe, normal": ("s", 8.0),
    "further probe, draft": ("s", 3.0),
    "relighting 1024×768, warm": ("s", 15.0),
    "peak memory of the engine": ("GB", 2.5),
    "modal tick of the bridge": ("ms", 5.0),
    "enabling over an empty add-on": ("s", 0.1),
    "size of the zip": ("MB", 80.0),
}
#: Seconds between ticks: Blender's timer takes longer, more ticks are better known.
_TICK = 0.02
#: How often each time is taken unless it is told.
_REPEATS = 5
_SPOTS = ((0.5, 0.66, 1.1), (0.3, 0.7, 1.0), (0.7, 0.6, 1.2), (0.4, 0.5, 1.3), (0.6, 0.75, 0.9), (0.5, 0.5, 1.2))

#: The picture whose light another gets, and how large that one is made.
_REFERENCE, _SIZE = ROOT / "tests" / "gui" / "photo.jpg", (1024, 768)

Values = dict[str, list[float]]


def start_time(device: str) -> float:
    """Seconds from the start of a fresh engine until it says that it is ready."""
    engine = Engine(Path(sys.executable), ROOT, device=device)
    start = time.perf_counter()
    engine.start()
    while not engine.ready:
        if not engine.alive or time.perf_counter() - start > 120:
            raise SystemExit("The engine did not start: see 'limelight doctor'.")
        engine.step()
        time.sleep(0.002)
    seconds = time.perf_counter() - start
    engine.stop()
    return seconds


def measure_engine(picture: Path, fov_deg: float, out: Path, device: str, quick: bool, repeats: int) -> Values:
    """Times in seconds, memory in GB and ticks in ms of one engine that does one job after the other."""
    values: Values = {"engine start to ready": [start_time(device) for _ in range(repeats)]}
    engine = Engine(Path(sys.executable), ROOT, device=device)
    ticks: list[float] = []
    try:
        with ProcessWatch() as watch:
            spots = cycle(_SPOTS)

            def job(quality: str) -> float:
                u, v, depth = next(spots)
                params = {"images": [str(picture)], "probes": [{"u": u, "v": v, "depth": depth, "radius": 0.07}],
                          "out": str(out / "light"), "fov_deg": fov_deg, "quality": quality}  # fmt: skip
                return timed(engine, lambda: engine.submit("light", params), ticks)

            def probe(quality: str) -> None:
                name, before = f"further probe, {quality}", watch.cpu()
                values.setdefault(name, []).append(job(quality))
                values.setdefault(f"{name}: processor", []).append(watch.cpu() - before)

            values["first HDRI, start included"] = [job("draft" if quick else "normal")]
            values["first HDRI, start included: processor"] = [watch.cpu()]
            for quality in ("draft",) if quick else ("normal", "draft"):
                for _ in range(repeats):
                    probe(quality)
            source = out / "source.png"
            Image.open(picture).convert("RGB").resize(_SIZE).save(source)
            params = {"source": str(source), "reference": str(_REFERENCE), "out": str(out / "relit.png")}
            # The first one loads the model.
            for number in range(repeats + 1):
                seconds = timed(engine, lambda: engine.submit("relight", params), ticks)
                if number:
                    values.setdefault("relighting 1024×768, warm", []).append(seconds)
        values["peak memory of the engine"] = [watch.peak / 1e9]
    finally:
        engine.stop()
    values["modal tick of the bridge"] = [1e3 * tick for tick in ticks]
    return values


def timed(engine: Engine, submit: Callable[[], Job], ticks: list[float]) -> float:
    """Seconds from handing a job in to its end, ticked as the modal operator does; adds the ticks' seconds."""
    start = time.perf_counter()
    job = submit()
    while not job.over:
        before = time.perf_counter()
        engine.step()
        ticks.append(time.perf_counter() - before)
        time.sleep(_TICK)
    if job.error is not None:
        raise SystemExit(f"The engine failed: {job.error.text} {job.error.remedy}")
    return time.perf_counter() - start


def measure_enabling(blender: Path, archive: Path) -> list[float]:
    """Seconds that enabling the zip's add-on takes longer than enabling an empty one, a process each."""
    with tempfile.TemporaryDirectory(prefix="limelight-speed-") as folder:
        zipfile.ZipFile(archive).extractall(Path(folder) / "timed_limelight")
        for name in ("timed_empty_0", "timed_empty_1"):
            empty = 'bl_info = {"name": "Empty", "blender": (4, 2, 0), "category": "Lighting"}\n\n\n'
            text = empty + "def register():\n    pass\n\n\ndef unregister():\n    pass\n"
            (Path(folder) / f"{name}.py").write_text(text, encoding="utf-8")
        command = [blender, LAUNCH, "synthesis.blender.enabling", folder, "timed_limelight"]
        command += ["timed_empty_0", "timed_empty_1"]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["BLENDER_USER_RESOURCES"] = folder
        found = []
        for _ in range(_REPEATS + 1):
            done = subprocess.run(
                list(map(str, command)), env=environment, capture_output=True, text=True, check=False, cwd=ROOT
            )
            if done.returncode:
                raise SystemExit(f"The add-on of {archive.name} could not be enabled:\n{done.stderr[-2000:]}")
            seconds = json.loads(done.stdout.strip().splitlines()[-1])
            found.append(seconds["addon"] - seconds["empty"])
    # The first process compiles every file, once after the installation.
    return found[1:]


def summarize(values: Values) -> list[dict[str, Any]]:
    """A row for each limit: the median of what was measured, the 99th percentile of ticks; ``ok`` None without any.

    ``processor`` is the median of the processor's seconds, all cores together.
    """
    rows = []
    for name, (unit, limit) in LIMITS.items():
        taken = sorted(values.get(name, []))
        value = None
        if taken:
            ticks = name == "modal tick of the bridge"
            value = taken[min(len(taken) - 1, int(0.99 * len(taken)))] if ticks else statistics.median(taken)
        rows.append({
            "name": name, "unit": unit, "limit": limit, "value": value, "worst": taken[-1] if taken else None,
            "processor": statistics.median(cpu) if (cpu := values.get(f"{name}: processor")) else None,
            "times": len(taken), "ok": None if value is None else value <= limit,
        })  # fmt: skip
    return rows


def as_table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row a limit."""
    lines = ["| what | measured | worst | processor | limit | unit | times | |", "| --- " * 8 + "|"]
    for row in rows:
        shown = ["–" if row[key] is None else f"{row[key]:.3g}" for key in ("value", "worst", "processor", "limit")]
        verdict = {None: "not measured", True: "ok", False: "TOO MUCH"}[row["ok"]]
        lines.append(f"| {row['name']} | {' | '.join(shown)} | {row['unit']} | {row['times']} | {verdict} |")
    return "\n".join(lines)


def circumstances(device: str, quick: bool) -> dict[str, Any]:
    """What the numbers depend on; ``load`` is how many processes wanted a core in the minute before."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"device": device, "quick": quick, "cores": os.cpu_count(), "load": load}


def find_blender() -> Path | None:
    """The newest Python with bpy that this project made for itself."""
    found = sorted(ROOT.glob(".envs/bpy-*/bin/python")) + sorted(ROOT.glob(".envs/bpy-*/Scripts/python.exe"))
    return next(reversed(found), None)


def take_picture(blender: Path | None, out: Path) -> tuple[Path, float]:
    """A photo and its horizontal field of view in degrees: a crop of Blender's HDRI, else the window test's photo."""
    if blender is None:
        return ROOT / "tests" / "gui" / "photo.jpg", 60.0
    photo.take(blender, out)
    return out / "photo.png", photo.FOV_DEG


def main() -> int:
    """Measure, print the table, write both files; 1 if a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "speed", help="folder for table.md and speed.json")
    parser.add_argument("--blender", type=Path, help="a Python that has bpy; default: the newest below .envs")
    parser.add_argument("--zip", type=Path, help="the extension; default: the newest in dist/")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=_REPEATS, help="how often each time is taken")
    parser.add_argument("--quick", action="store_true", help="each time once, in draft, without Blender")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    blender = None if options.quick else options.blender or find_blender()
    archive = options.zip or next(reversed(sorted((ROOT / "dist").glob("limelight-*.zip"))), None)
    around = circumstances(options.device, options.quick)
    with tempfile.TemporaryDirectory(prefix="limelight-speed-") as folder:
        picture, fov_deg = take_picture(blender, Path(folder))
        values = measure_engine(picture, fov_deg, Path(folder), options.device, options.quick,
                                1 if options.quick else options.repeats)  # fmt: skip
    if archive is not None:
        values["size of the zip"] = [archive.stat().st_size / 1e6]
        if blender is not None:
            values["enabling over an empty add-on"] = measure_enabling(blender, archive)
    rows = summarize(values)
    table = as_table(rows)
    (options.out / "speed.json").write_text(json.dumps({**around, "rows": rows}, indent=1), encoding="utf-8")
    (options.out / "table.md").write_text(table + "\n", encoding="utf-8")
    print(table)
    if around["load"] and around["load"] > 0.5:
        print(f"Other work kept the machine busy (load {around['load']:.1f} on {around['cores']} cores).")
    return int(any(row["ok"] is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
