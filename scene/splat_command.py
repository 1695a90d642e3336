# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender -b FILE --command limelight capture …``: an object's pictures from all around, and splats of them."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import bpy

from . import paths, splat_capture


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of the command."""
    made = commands.add_parser("capture", help="render an object from all around, and learn splats of it")
    made.add_argument("--object", action="append", required=True, help="name of an object; its children come with it")
    made.add_argument("--out", required=True, help="folder for pictures and cameras; an unfinished capture goes on")
    made.add_argument("--views", type=int, default=100, help="to learn from; an eighth more for testing")
    made.add_argument("--size", type=int, default=400, help="pixels along a side")
    made.add_argument("--samples", type=int, default=64, help="of a picture, in Cycles")
    made.add_argument("--lowest", type=float, default=-20.0, help="degrees above the horizon, negative from below")
    made.add_argument("--train", help="learn splats too and write them to this .ply")
    made.add_argument("--iterations", type=int, help="of the training; default: what suits the device")
    made.add_argument("--resolution", type=int, help="pixels to train at; default: what suits the device")
    made.add_argument("--gaussians", type=int, help="the most there may be; default: what suits the device")
    made.add_argument("--save", help="bring the splats in and save the file to this path")
    made.add_argument("--engine", help="the engine's Python; default: LIMELIGHT_ENGINE_PYTHON, then preferences")
    made.add_argument("--device", help="auto, cpu or cuda[:N]; default: preferences")


def run(context: bpy.types.Context, options: argparse.Namespace) -> int:
    """Capture, and train if asked to; raises ``ValueError`` or ``RuntimeError`` with what is wrong."""
    from . import command

    missing = [name for name in options.object if name not in context.scene.objects]
    if missing:
        known = ", ".join(thing.name for thing in context.scene.objects)
        return command.refuse(f"There is no object '{missing[0]}'; the scene has: {known or 'none'}.", 2)
    least = {"views": 8, "size": 32, "samples": 1}
    for name, number in least.items():
        if getattr(options, name) < number:
            return command.refuse(f"The {name} are {getattr(options, name)}; give at least {number}.", 2)
    if not -89 <= options.lowest <= 70:
        return command.refuse("The lowest angle lies between -89 and 70 degrees.", 2)
    kinds = [suffix.lower() for suffix in Path(options.train or "splats.ply").suffixes]
    if kinds[-1:] != [".ply"] or kinds[-2:-1] == [".compressed"]:
        # Told before the hours of training: no other file keeps what was learnt, or is brought in.
        return command.refuse(f"'{options.train}' cannot keep the material: write the splats to a .ply.", 2)
    python = command.engine_python(context, options.engine)
    if options.train and python is None:
        return command.refuse(command.no_engine(options.engine), 3)
    folder = paths.of_argument(options.out)
    _capture(context, options, folder)
    print(folder, flush=True)
    if not options.train:
        return 0
    assert python is not None
    return _train(context, options, folder, python)


def _capture(context: bpy.types.Context, options: argparse.Namespace, folder: Path) -> None:
    things = splat_capture.with_children([context.scene.objects[name] for name in options.object])
    planned = splat_capture.plan(
        context, things, views=options.views, size=options.size, samples=options.samples,
        lowest=math.radians(options.lowest),
    )  # fmt: skip
    if splat_capture.is_whole(folder, planned):
        return
    made = splat_capture.begin(context, things, planned, folder)
    while not made.over:
        print(f"{made.done / made.total:4.0%} View {made.done + 1} of {made.total}", file=sys.stderr, flush=True)
        made.step()
    made.finish()


def _train(context: bpy.types.Context, options: argparse.Namespace, folder: Path, python: Path) -> int:
    from ..bridge.messages import TrainSplats
    from . import command, splats

    out = str(paths.of_argument(options.train))
    asked = TrainSplats(
        str(folder), out, options.iterations, options.resolution, options.gaussians, tone="srgb", device=options.device
    )
    engine = command.make_engine(context, python, options.device)
    try:
        job = engine.wait(engine.submit(asked.kind, asked.params), command.tell)
    finally:
        engine.stop()
    if job.state != "done" or job.result is None:
        return command.failed(job)
    levels = ", ".join(f"{name} {value:.1f}" for name, value in job.result["psnr"].items())
    print(f"{out}  ({job.result['gaussians']} Gaussians; PSNR in dB after each stage: {levels})", flush=True)
    if options.save:
        splats.add(context, Path(out), Path(out).stem, "Z_UP")
        bpy.ops.wm.save_as_mainfile(filepath=str(paths.of_argument(options.save)), copy=True)
    return 0
