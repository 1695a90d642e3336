# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender -b FILE --command limelight light …``: the same job without a window, for scripts and farms."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from . import camera as cameras
from . import capture, compat, domes, frames, lamps, paths, probes, problems, results, shot_range, splat_command, world

if TYPE_CHECKING:
    from ..bridge import Engine, Job

#: The variable that names the engine's Python where no option does.
_ENGINE = "LIMELIGHT_ENGINE_PYTHON"
_FORMATS = {".exr": "OPEN_EXR", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = argparse.ArgumentParser(prog="blender -b FILE --command limelight", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True)
    splat_command.add(commands)
    light = commands.add_parser("light", help="estimate and apply light")
    light.add_argument("--probe", default="all", help="name of a probe, or all")
    light.add_argument("--apply", choices=("world", "lamps", "domes", "none"), default="world")
    told = "frames FIRST-LAST or FIRST-LASTxSTEP instead of the current one; negative ones as --range=-10-5"
    light.add_argument("--range", help=told)
    light.add_argument("--camera", help="name of the camera; default: the scene's")
    light.add_argument("--out", help="folder that keeps the light of a range; default: as the file says")
    light.add_argument("--anew", action="store_true", help="of a range, keep no frame that is there")
    light.add_argument("--keep", action="store_true", help="of a range, keep what was written down")
    light.add_argument("--render", help="render the frame, or the range, to this path afterwards; #### is the frame")
    light.add_argument("--save", help="save the file to this path afterwards")
    light.add_argument("--engine", help="the engine's Python; default: LIMELIGHT_ENGINE_PYTHON, then preferences")
    light.add_argument("--quality", choices=("draft", "normal", "high"))
    light.add_argument("--seed", type=int)
    light.add_argument("--device", help="auto, cpu or cuda[:N]; default: preferences")
    return made


def main(argv: list[str]) -> int:
    """Run the command; 0 done, 2 bad input, 3 engine missing, 130 cancelled. What is wrong is a line on stderr."""
    options = parser().parse_args(argv)
    try:
        return (splat_command.run if options.command == "capture" else _light)(bpy.context, options)
    except KeyboardInterrupt:
        return refuse("Cancelled.", 130)
    except (OSError, RuntimeError, ValueError) as error:
        return refuse(f"{str(error).removeprefix('Error: ').strip().rstrip('.')}.", 2)


def _light(context: bpy.types.Context, options: argparse.Namespace) -> int:
    _choose(context.scene, options)
    with _seen_by(context.scene, options.camera):
        context.view_layer.update()
        found = problems.find_problems(context)
        if found:
            return refuse("; ".join(p.told for p in found) + ".", 2)
        python = engine_python(context, options.engine)
        if python is None:
            return refuse(no_engine(options.engine), 3)
        if options.range:
            job, lit = estimate_frames(context, python, options.device, anew=options.anew, keep=options.keep)
        else:
            job, lit = estimate(context, python, options.device)
        if job.state != "done":
            return failed(job)
        apply(context.scene, lit, options.apply)
    # Before the render, for one that fails shall not take the light with it.
    if options.save:
        bpy.ops.wm.save_as_mainfile(filepath=str(paths.of_argument(options.save)), copy=True)
    if options.render:
        with _seen_by(context.scene, options.camera):
            _render(context.scene, options)
    return 0


def _choose(scene: bpy.types.Scene, options: argparse.Namespace) -> None:
    """Let the scene's settings be what the options say. Raises ``ValueError`` with a sentence."""
    settings = scene.limelight
    if options.quality:
        settings.quality = options.quality.upper()
    if options.seed is not None:
        settings.seed = options.seed
    if options.probe != "all":
        names = [probe.name for probe in probes.probes(scene)]
        if options.probe not in names:
            raise ValueError(f"There is no probe '{options.probe}'; the scene has: {', '.join(names) or 'none'}")
        for probe in probes.probes(scene):
            probe.limelight.use = probe.name == options.probe
    settings.frames.use = bool(options.range)
    if options.range:
        shot_range.ask(settings.frames, options.range, options.out)


def _seen_by(scene: bpy.types.Scene, name: str | None) -> AbstractContextManager[None]:
    """The scene seen by the camera of this name alone (None: as it is); ``ValueError`` if there is none."""
    if name is None:
        return nullcontext()
    names = [thing.name for thing in scene.objects if thing.type == "CAMERA"]
    if name not in names:
        raise ValueError(f"There is no camera '{name}'; the scene has: {', '.join(names) or 'none'}")
    return cameras.only(scene, scene.objects[name])


def engine_python(context: bpy.types.Context, asked: str | None) -> Path | None:
    """The Python that runs the engine: the one asked for, else the environment's, else the preferences'."""
    found = asked or os.environ.get(_ENGINE) or _preferred(context)
    return Path(found) if found and Path(found).is_file() else None


def no_engine(asked: str | None) -> str:
    """Why :func:`engine_python` found nothing, and what helps."""
    named = asked or os.environ.get(_ENGINE)
    why = f"There is no file '{named}' to run the engine" if named else "The engine is not set up"
    return f"{why}: give its Python by --engine, or set it up in the preferences."


def failed(job: Job) -> int:
    """Tell why a job has no result; the exit code."""
    assert job.error is not None
    text = f"{job.error.text} {job.error.remedy}"
    return refuse(text, {"missing_part": 3, "cancelled": 130}.get(job.error.code, 2))


def make_engine(context: bpy.types.Context, python: Path, device: str | None = None) -> Engine:
    """An engine run by ``python``, all else as the preferences say; ``device`` goes before theirs."""
    from .. import preferences
    from ..bridge import Engine

    wanted = preferences.settings(context)
    return Engine(
        python, preferences.ROOT, device=device or wanted.device, log_file=wanted.log_file, models=wanted.models
    )


def estimate(context: bpy.types.Context, python: Path, device: str | None = None) -> tuple[Job, list[bpy.types.Object]]:
    """Capture, run the engine to the end, load: the job and the probes that got light.

    Raises ``OSError``, ``RuntimeError`` or ``ValueError`` with a sentence if the view cannot be captured.
    """
    engine = make_engine(context, python, device)
    try:
        with tempfile.TemporaryDirectory(prefix="limelight-") as folder:
            params = capture.capture(context, Path(folder))
            job = engine.wait(engine.submit("light", params), tell)
            if job.state != "done" or job.result is None:
                return job, []
            return job, results.load_results(context.scene, Path(params["out"]), job.result)
    finally:
        engine.stop()


def estimate_frames(
    context: bpy.types.Context, python: Path, device: str | None = None, *, anew: bool = False, keep: bool = False
) -> tuple[Job, list[bpy.types.Object]]:
    """As :func:`estimate`, for the range of frames that the scene's settings name. One that was broken off goes on.

    ``anew`` begins another folder. ``keep`` leaves pictures and depths there, for runs of other parts of the shot.
    """
    from . import results_frames, shot, shot_folder

    scene = context.scene
    taken = shot.Shot(scene, shot_range.base(scene), shot_range.wanted_frames(scene), anew=anew)
    engine = make_engine(context, python, device)
    try:
        with tempfile.TemporaryDirectory(prefix="limelight-") as folder:
            while not taken.ready:
                taken.step(context, Path(folder))
        job = engine.wait(engine.submit("light", taken.request()), tell)
        if job.state != "done":
            return job, []
        lit = results_frames.load_shot(scene, taken.folder, taken.numbers)
        if not keep:
            shot_folder.forget_pictures(taken.folder)
        return job, lit
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


def _render(scene: bpy.types.Scene, options: argparse.Namespace) -> None:
    """Render what was lit to the path that was asked for, which in a folder is the frame's number."""
    path = paths.of_argument(options.render)
    if options.render.endswith(("/", os.sep)):
        path = path / "####"
    elif options.range and "#" not in path.name:
        path = path.with_name(f"{path.stem}####{path.suffix}")
    for frame in shot_range.wanted_frames(scene) if options.range else [scene.frame_current]:
        scene.frame_set(frame)
        render_to(scene, path)


def render_to(scene: bpy.types.Scene, path: Path) -> None:
    """Render the current frame to a path; its suffix chooses the file format, each # is a digit of the frame."""
    suffix = path.suffix.lower()
    with compat.output_kept(scene.render):
        if suffix in _FORMATS:
            compat.set_still_format(scene.render.image_settings, _FORMATS[suffix])
        scene.render.filepath = str(frames.numbered(str(path), scene.frame_current))
        bpy.ops.render.render(write_still=True)


def tell(job: Job) -> None:
    """How far a job is, on stderr."""
    print(f"{job.fraction:4.0%} {job.stage}", file=sys.stderr, flush=True)


def _preferred(context: bpy.types.Context) -> str | None:
    from .. import preferences

    python = preferences.settings(context).python
    return None if python is None else str(python)


def refuse(text: str, code: int) -> int:
    """One line on stderr, and the exit code."""
    print(text, file=sys.stderr)
    return code
