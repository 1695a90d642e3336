# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the main job on a real photo and on a real Blender scene, and lay out what came of it in ``demo/``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from . import photo, sheet

ROOT = Path(__file__).resolve().parent.parent.parent
LAUNCH = ROOT / "bridge" / "launch.py"
_START = time.monotonic()


def say(text: str) -> None:
    """A line of progress."""
    print(f"  demo {time.monotonic() - _START:6.1f} s  {text}", flush=True)


def run(python: Path, *arguments: str | Path) -> None:
    """Run a stage in its own interpreter; its output goes to the log, and to the terminal if it fails."""
    done = subprocess.run(
        [str(python), str(LAUNCH), *map(str, arguments)], check=False, cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:], sep="\n", file=sys.stderr)
        raise SystemExit(f"The demo's stage {arguments[0]} failed.")


def main() -> None:
    """Run all stages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blender", type=Path, required=True, help="a Python that has bpy")
    parser.add_argument("--out", type=Path, default=ROOT / "demo")
    options = parser.parse_args()
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    here = Path(sys.executable)

    say("Taking a photo: a perspective crop of a captured HDRI, so the truth is known")
    shot = photo.take(options.blender, out)
    say("Estimating its light at the probe (limelight light)")
    run(here, "backend", "light", out / "photo.png", "--out", out / "photo", "--camera", out / "camera.json",
        "--probe", ",".join(f"{x:g}" for x in shot["probe"]), "--radius", f"{shot['radius']:g}",
        "--frame", "world")  # fmt: skip
    say("Lighting the still life in Blender by the estimate and by the truth, over the photo (Cycles)")
    run(options.blender, "synthesis.blender.photo_stage", out)
    say("Building an interior; capturing, estimating, baking the truth, lighting the still life (Cycles)")
    run(options.blender, "synthesis.blender.scene_stage", out, here)
    say("Measuring and laying out the contact sheets")
    report = sheet.make(out)
    (out / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    for name, scores in report["probes"].items():
        for ball in ("mirror", "diffuse"):
            ours, grey = (scores[who][ball]["rmse"] for who in ("estimate", "grey"))
            say(f"{name}, {ball} ball: RMSE {ours:.3f}, constant grey {grey:.3f}")
    say(f"Look at {out / 'contact_sheet.png'} and {out / 'scene_sheet.png'}")


if __name__ == "__main__":
    main()
