# SPDX-License-Identifier: GPL-3.0-or-later
"""What light estimation costs against the number of probes, the size of the map, and the quality.

``python bridge/launch.py benchmarks.scaling [--out DIR] [--blender PYTHON] [--device NAME]``

Every row is a fresh engine that has answered one small job before: its libraries are loaded, its caches are warm.
Leaves scaling.md and scaling.json in ``--out``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..backend.limo.estimate import EFFORTS
from ..bridge import Engine
from .processes import ProcessWatch
from .speed import ROOT, circumstances, find_blender, take_picture, timed

#: Probes at once, width of the map in pixels, quality: one thing changes at a time.
ROWS = (
    *((probes, 512, "normal") for probes in (1, 2, 4, 8, 16)),
    *((1, size, "normal") for size in (128, 256, 1024, 2048)),
    *((1, 512, quality) for quality in ("draft", "high")),
)


def measure(picture: Path, fov_deg: float, out: Path, device: str, row: tuple[int, int, str]) -> dict[str, Any]:
    """Wall seconds, processor seconds (all cores together) and peak memory (GB) of one job."""
    probes, size, quality = row
    engine = Engine(Path(sys.executable), ROOT, device=device)

    def params(count: int, quality: str, size: int) -> dict[str, Any]:
        spots = [
            {"u": 0.2 + 0.6 * i / max(count - 1, 1), "v": 0.66, "depth": 1.1, "radius": 0.07} for i in range(count)
        ]
        return {"images": [str(picture)], "probes": spots, "out": str(out / f"{count}_{quality}_{size}"),
                "fov_deg": fov_deg, "quality": quality, "size": size}  # fmt: skip

    try:
        with ProcessWatch() as watch:
            timed(engine, lambda: engine.submit("light", params(1, "draft", 128)), [])
            before = watch.cpu()
            seconds = timed(engine, lambda: engine.submit("light", params(probes, quality, size)), [])
            processor = watch.cpu() - before
    finally:
        engine.stop()
    effort = EFFORTS[quality]
    return {
        "probes": probes, "size": size, "quality": quality, "steps": effort.steps, "takes": effort.takes,
        "seconds": seconds, "processor": processor, "memory_gb": watch.peak / 1e9,
    }  # fmt: skip


def as_table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row a job."""
    lines = ["| probes | map | quality (steps × takes) | s | s a probe | processor s | memory GB |", "| --- " * 7 + "|"]
    for row in rows:
        effort = f"{row['quality']} ({row['steps']} × {row['takes']})"
        lines.append(
            f"| {row['probes']} | {row['size']}×{row['size'] // 2} | {effort} | {row['seconds']:.1f}"
            f" | {row['seconds'] / row['probes']:.2f} | {row['processor']:.1f} | {row['memory_gb']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "speed", help="folder for both files")
    parser.add_argument("--blender", type=Path, help="a Python that has bpy; default: the newest below .envs")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    around = circumstances(options.device, False)
    with tempfile.TemporaryDirectory(prefix="limelight-scaling-") as folder:
        picture, fov_deg = take_picture(options.blender or find_blender(), Path(folder))
        rows = [measure(picture, fov_deg, Path(folder), options.device, row) for row in ROWS]
    table = as_table(rows)
    (options.out / "scaling.json").write_text(json.dumps({**around, "rows": rows}, indent=1), encoding="utf-8")
    (options.out / "scaling.md").write_text(table + "\n", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
