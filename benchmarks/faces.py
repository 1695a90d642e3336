# SPDX-License-Identifier: GPL-3.0-or-later
"""What a head from a portrait costs, and how well it fits, against fixed limits; exits 1 if one is broken.

``python bridge/launch.py benchmarks.faces PHOTO... --out DIR [--quality draft normal] [--model FILE] [--device NAME]
[--no-pictures]``

Each portrait is a process of its own, so that seconds and memory include loading everything; and once more a job of an
engine that runs already and has found the landmarks, which is what an artist in Blender waits for. Leaves each result's
folder, its maps and a turntable as pictures unless ``--no-pictures``, table.md and faces.json in ``--out``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ..bridge import Engine
from .processes import ProcessWatch
from .speed import circumstances, timed
from .turntable import maps_sheet, turntable

ROOT = Path(__file__).resolve().parent.parent
#: The most of each: seconds by quality, all loading included; on a GPU, beside which loading is most of it, those of a
#: job of an engine that runs; gigabytes; landmarks' error as a part of the eyes' distance.
SECONDS = {"draft": 45.0, "normal": 180.0, "high": 600.0}
SECONDS_ON_GPU, GIGABYTES, REPROJECTION = 10.0, 4.0, 0.02


def measure(photo: Path, out: Path, quality: str, model: str, device: str) -> dict[str, Any]:
    """One portrait in a process of its own: a row of the table."""
    command = [sys.executable, ROOT / "bridge" / "launch.py", "backend", "face", photo, "--out", out]
    command += ["--quality", quality, "--model", model, "--device", device, "--json"]
    start = time.perf_counter()
    with ProcessWatch() as watch:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=ROOT)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{photo.name} failed: {done.stderr.strip().splitlines()[-1]}")
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    numbers = {name: answer[name] for name in ("reprojection", "seen", "residual", "warnings")}
    job = {"image": str(photo), "out": str(out), "quality": quality, "model": model}
    return {
        "photo": photo.name, "quality": quality, "seconds": seconds, "engine_seconds": in_engine(job, device),
        "gigabytes": watch.peak / 1e9, **numbers,
    }  # fmt: skip


def in_engine(job: dict[str, str], device: str) -> float:
    """Seconds of a portrait's job in an engine that has just found the landmarks, as Blender's panel lets it."""
    engine = Engine(Path(sys.executable), ROOT, device=device)
    try:
        timed(engine, lambda: engine.submit("landmarks", {"image": job["image"]}), [])
        return timed(engine, lambda: engine.submit("face", job), [])
    finally:
        engine.stop()


def broken(row: dict[str, Any], device: str) -> list[str]:
    """The limits that a row breaks."""
    slowest = {"engine_seconds": SECONDS_ON_GPU} if device.startswith("cuda") else {"seconds": SECONDS[row["quality"]]}
    limits = {
        **slowest,
        "gigabytes": GIGABYTES,
        "reprojection": REPROJECTION,
    }
    return [name for name, most in limits.items() if row[name] > most]


def as_table(rows: list[dict[str, Any]], device: str) -> str:
    """Markdown: a row a portrait and quality."""
    names = "portrait", "quality", "seconds", "in a running engine", "GB", "reprojection", "seen", "residual", ""
    lines = [f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]
    for row in rows:
        residual = "–" if row["residual"] is None else f"{row['residual']:.1%}"
        told = ", ".join(broken(row, device))
        lines.append(
            f"| {row['photo']} | {row['quality']} | {row['seconds']:.1f} | {row['engine_seconds']:.1f} "
            f"| {row['gigabytes']:.2f} | {row['reprojection']:.2%} "
            f"| {row['seen']:.0%} | {residual} | {'TOO MUCH: ' + told if told else 'ok'} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure all, print and leave the table; 1 if a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quality", nargs="+", choices=list(SECONDS), default=["draft", "normal"])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-pictures", action="store_true", help="leave out the maps' sheet and the turntable")
    options = parser.parse_args()
    rows = []
    for photo in options.photos:
        for quality in options.quality:
            folder = options.out / f"{photo.stem}_{quality}"
            rows.append(measure(photo, folder, quality, options.model, options.device))
            print(as_table(rows[-1:], options.device).splitlines()[-1], flush=True)
            if not options.no_pictures:
                maps_sheet(folder).save(options.out / f"{folder.name}_maps.png")
                turntable(folder).save(options.out / f"{folder.name}_turntable.png")
    table = as_table(rows, options.device)
    print(table)
    (options.out / "table.md").write_text(table + "\n", encoding="utf-8")
    found = {"circumstances": circumstances(options.device, False), "rows": rows}
    (options.out / "faces.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 1 if any(broken(row, options.device) for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
