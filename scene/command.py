# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender -b FILE --command limelight light …``: the same job without a window, for scripts and farms."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from . import capture, compat, domes, lamps, probes, problems, results, world

if TYPE_CHECKING:
    from ..bridge import Job

_FORMATS = {".exr": "OPEN_EXR", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
_ROOT = Path(__file__).resolve().parent.parent


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(prog="blender -b FILE --command limelight", description=__doc__)
    light = made.add_subparsers(dest="command", required=True).add_parser("light", help="estimate and apply light")
    light.add_argument("--probe", default="all", help="name of a probe, or all")
    light.add_argument("--apply", choices=("world", "lamps", "domes", "none"), default="world")
    light.add_argument("--render", help="render the frame to this path afterwards")
    light.add_argument("--save", help="save the file to this path afterwards")
    light.add_argument("--engine", help="the engine's Python; default: preferences, then LIMELIGHT_ENGINE_PYTHON")
    light.add_argument("--quality", choices=("draft", "normal", "high"))
    light.add_argument("--seed", type=int)
    return made


def main(argv: list[str]) -> int:
    """Run the command; 0 done, 2 bad input, 3 engine missing. Says on stderr what is wrong, in a line."""
    options = parser().parse_args(argv)
    context = bpy.context
    settings = context.scene.limelight
    if options.quality:
        settings.quality = options.quality.upper()
    if options.seed is not None:
        settings.seed = options.seed
    if options.probe != "all":
        names = [probe.name for probe in probes.probes(context.scene)]
        if options.probe not in names:
            return _refuse(f"There is no probe '{options.probe}'; the scene has: {', '.join(names) or 'none'}.", 2)
        for probe in probes.probes(context.scene):
            probe.limelight.use = probe.name == options.probe
    context.view_layer.update()
    found = problems.find_problems(context)
    if found:
        return _refuse("; ".join(p.text for p in found) + ".", 2)
    python = options.engine or os.environ.get("LIMELIGHT_ENGINE_PYTHON") or _preferred(context)
    if not python or not Path(python).is_file():
        return _refuse("The engine is not set up: give --engine PYTHON, or set it up in the preferences.", 3)
    try:
        job, lit = estimate(context, Path(python))
    except ValueError as error:
        return _refuse(f"The view could not be captured: {error}.", 2)
    if job.state != "done":
        assert job.error is not None
        return _refuse(
            f"{job.error.text} {job.error.remedy}", {"missing_part": 3, "cancelled": 130}.get(job.error.code, 2)
        )
    apply(context.scene, lit, options.apply)
    if options.render:
        render_to(context.scene, options.render)
    if options.save:
        bpy.ops.wm.save_as_mainfile(filepath=str(Path(options.save).resolve()), copy=True)
    return 0


def estimate(context: bpy.types.Context, python: Path) -> tuple[Job, list[bpy.types.Object]]:
    """Capture, run the engine to the end, load: the job and the probes that got light."""
    from ..bridge import Engine

    engine = Engine(python, _ROOT)
    try:
        with tempfile.TemporaryDirectory(prefix="limelight-") as folder:
            params = capture.capture(context, Path(folder))
            job = engine.wait(engine.submit("light", params), lambda job: print(f"{job.fraction:4.0%} {job.stage}"))
            if job.state != "done" or job.result is None:
                return job, []
            return job, results.load_results(context, Path(params["out"]), job.result)
    finally:
        engine.stop()


def apply(scene: bpy.types.Scene, lit: list[bpy.types.Object], how: str) -> None:
    """Light the scene with what was estimated; world and lamps take the first probe."""
    if how == "world":
        world.apply_world(scene, lit[0])
    elif how == "lamps":
        lamps.apply_lamps(scene, lit[0])
    elif how == "domes":
        domes.apply_domes(scene, lit)


def render_to(scene: bpy.types.Scene, path: str) -> None:
    """Render the current frame to a path; its suffix chooses the file format, each # is a digit of the frame."""
    suffix = Path(path).suffix.lower()
    if suffix in _FORMATS:
        compat.set_still_format(scene.render.image_settings, _FORMATS[suffix])
    scene.render.filepath = path
    scene.render.filepath = scene.render.frame_path(frame=scene.frame_current)
    bpy.ops.render.render(write_still=True)


def _preferred(context: bpy.types.Context) -> str | None:
    from .. import preferences

    python = preferences.settings(context).python
    return None if python is None else str(python)


def _refuse(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code
