# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``limelight light | fit | depth | direction | relight | face | models | doctor | serve …``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from .batch.commands import app as batch_app
from .console import run
from .devices import pick_device
from .errors import BadInput, LimelightError, fail
from .options import AsJson, Device, Ray, Seed, camera_params, parse_probe, read_camera, read_object
from .serve import explain
from .splats.commands import app as splat_app
from .workshop import app as workshop_app

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
models_app = typer.Typer(no_args_is_help=True, help="The models that ship with the engine.")
app.add_typer(models_app, name="models")
app.add_typer(splat_app, name="splat")
app.add_typer(batch_app, name="batch")
app.add_typer(workshop_app)
# Typer names the children of this class in public, not the class itself.
_WrongUse: type[Exception] = typer.BadParameter.__base__  # type: ignore[assignment]


@app.command()
def light(
    images: Annotated[
        list[Path], typer.Argument(help="A picture, or a sequence: a folder, shot_####.png, shot_%04d.png, a movie")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results")],
    probe: Annotated[
        list[str] | None, typer.Option(help="U,V[,DEPTH]: picture position 0–1 from the top left, metres")
    ] = None,
    fov: Annotated[float | None, typer.Option(help="Horizontal field of view in degrees")] = None,
    depth: Annotated[Path | None, typer.Option(help="Depth map (EXR, planar metres), or a sequence of them")] = None,
    camera: Annotated[
        Path | None, typer.Option(help="Camera as JSON: intrinsics, camera_to_world; or of each frame, as a track")
    ] = None,
    track: Annotated[list[Path] | None, typer.Option(help="What moves: probes and camera of each frame (JSON)")] = None,
    frame: Annotated[str, typer.Option(help="camera or world")] = "camera",
    radius: Annotated[float | None, typer.Option(help="Radius of the painted sphere in metres")] = None,
    model: Annotated[str, typer.Option(help="embedded, or a diffusers folder by path or name")] = "embedded",
    quality: Annotated[str, typer.Option(help="draft, normal or high")] = "normal",
    size: Annotated[int, typer.Option(help="Width of the HDR map in pixels")] = 512,
    take: Annotated[int, typer.Option(help="One take alone, from 1: sharper, more made up; 0 averages several")] = 0,
    span: Annotated[str | None, typer.Option("--range", help="Frames FIRST-LAST[xSTEP] of a sequence")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do frames again that are there already")] = False,
    front: Annotated[bool, typer.Option(help="Lay the visible surroundings over the map")] = True,
    ray: Ray = None,
    memory: Annotated[
        str, typer.Option(help="How a large model is held: auto, whole, 8bit, offload or offload-8bit")
    ] = "auto",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate the light at points of a picture or of each frame: HDR environments, sphere brackets, result.json."""

    def command(report: Any) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .limo.estimate import run_light
        from .limo.job import LightJob

        given = camera_params(camera)
        tracks = [*(given["track"] or []), *map(str, track or [])]
        params = {
            "images": [str(path) for path in images],
            "probes": [parse_probe(text, i) for i, text in enumerate(probe or [])],
            **given,
            "track": tracks or None,
            "out": str(out),
            "fov_deg": fov,
            "depth": None if depth is None else str(depth),
            **{"frame": frame, "radius": radius, "model": model, "quality": quality, "size": size, "seed": seed},
            **{"take": take, "front": front, "device": device, "range": span, "overwrite": overwrite},
            "memory": memory,
        }
        job = LightJob.from_params(params)
        if ray is None:
            return run_light(job, report)
        from .batch.light_farm import run_light_on

        return run_light_on(ray, job, params, report)

    run(command, as_json, partial(_show_light, out), device if ray is None else "auto")


def _show_light(out: Path, result: dict[str, Any]) -> None:
    """The maps in ``out``, a line each, with what is known of them."""
    for warning in result["warnings"]:
        typer.echo(f"Note: {warning}", err=True)
    for entry in result["probes"]:
        if "frames" in result:
            typer.echo(f"{out / entry['environment']}  ({result['estimated']} frames new, {result['kept']} kept)")
            continue
        lamps, spread, sure = len(entry["lamps"]), entry["spread"], ""
        if spread:
            sure = f", ±{spread['brightness_stops']:.1f} stops, ±{spread['direction_deg']:.0f}° between takes"
        typer.echo(f"{out / entry['environment']}  ({lamps} lamp{'s' * (lamps != 1)}{sure})")


@app.command()
def fit(
    out: Annotated[Path, typer.Option(help="The HDR environment to write (.exr)")],
    mirror: Annotated[list[str] | None, typer.Option(help="FILE@EV: a square picture of a mirror ball")] = None,
    diffuse: Annotated[list[str] | None, typer.Option(help="FILE@EV: a square picture of a white ball")] = None,
    size: Annotated[int, typer.Option(help="Width of the HDR map in pixels")] = 512,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Turn pictures of balls, painted or photographed, into an HDR environment."""

    def command(report: Any) -> dict[str, Any]:
        from .limo.job import SIZES
        from .limo.mirror_ball import fit_files, parse_shot

        if size not in SIZES:
            raise BadInput(f"The panorama's width is {size} pixels.", f"Use one of {', '.join(map(str, SIZES))}.")
        shots = [[parse_shot(text) for text in texts or []] for texts in (mirror, diffuse)]
        return fit_files(shots[0], shots[1], out, height=size // 2, report=report)

    def show(answer: dict[str, Any]) -> None:
        for warning in answer["warnings"]:
            typer.echo(f"Note: {warning}", err=True)
        typer.echo(answer["environment"])

    run(command, as_json, show, device)


@app.command()
def depth(
    image: Path,
    out: Annotated[Path, typer.Option(help="The depth map to write (.exr)")],
    fov: Annotated[float | None, typer.Option(help="Horizontal field of view in degrees")] = None,
    model: Annotated[str | None, typer.Option(help="embedded, guess, or a MoGe or transformers folder")] = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate depth and field of view of a photo."""

    def command(report: Any) -> dict[str, Any]:
        from .depth.estimate import DEFAULT_MODEL, estimate_depth_file

        return estimate_depth_file(image, out, fov, model or DEFAULT_MODEL, pick_device(device))

    def show(answer: dict[str, Any]) -> None:
        for warning in answer["warnings"]:
            typer.echo(f"Note: {warning}", err=True)
        spread = f" ± {answer['fov_spread_deg']:.0f}" if answer["fov_spread_deg"] else ""
        typer.echo(f"{answer['depth']}  (field of view {answer['fov_x_deg']:.1f}{spread} degrees; {answer['model']})")

    run(command, as_json, show, device)


@app.command()
def direction(
    image: Path,
    probe: Annotated[
        list[str] | None, typer.Option(help="U,V or U,V,DEPTH: a point in the picture; without one, the view")
    ] = None,
    fov: Annotated[float | None, typer.Option(help="Horizontal field of view in degrees")] = None,
    depth: Annotated[Path | None, typer.Option(help="Depth map (EXR, planar metres)")] = None,
    camera: Annotated[Path | None, typer.Option(help="Camera as JSON: intrinsics, camera_to_world")] = None,
    model: Annotated[str, typer.Option(help="auto, embedded, shading, or the folder of a trained backbone")] = "auto",
    with_hdri: Annotated[bool, typer.Option("--with-hdri", help="Also fit an HDRI and tell its direction")] = False,
    quality: Annotated[str, typer.Option(help="Of the HDRI: draft, normal or high")] = "normal",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Tell where the key light of a photo comes from: unit vector (camera frame), spread, key-to-fill ratio."""

    def command(report: Any) -> dict[str, Any]:
        from .direction.job import DirectionJob, run_direction

        given = read_camera(camera)
        params = {
            "image": str(image),
            "probes": [parse_probe(text, i) for i, text in enumerate(probe or [])],
            "fov_deg": fov,
            "depth": None if depth is None else str(depth),
            "camera": {k: v for k, v in given.items() if k != "camera_to_world"} or None,
            "camera_to_world": given.get("camera_to_world"),
            **{"model": model, "with_hdri": with_hdri, "quality": quality, "device": device, "seed": seed},
        }
        return run_direction(DirectionJob.from_params(params), report)

    def show(answer: dict[str, Any]) -> None:
        for warning in [*answer["warnings"], *(w for entry in answer["directions"] for w in entry["warnings"])]:
            typer.echo(f"Note: {warning}", err=True)
        for entry in answer["directions"]:
            x, y, z = entry["direction"]
            typer.echo(
                f"{x:+.3f} {y:+.3f} {z:+.3f}  ± {entry['spread_deg']:.0f}°  key/fill {entry['key_to_fill']:.2g}"
                + (f"  HDRI differs by {entry['hdri']['agreement_deg']:.0f}°" if "hdri" in entry else "")
            )

    run(command, as_json, show, device)


@app.command()
def relight(
    source: Annotated[Path, typer.Argument(help="The picture to relight, or a folder of pictures")],
    reference: Annotated[Path, typer.Argument(help="Whose light it gets: a picture, or an HDRI (.exr, .hdr, 2:1)")],
    out: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="The result: .png or .tif (16 bit), .jpg, .exr (linear); or a folder for it"
        ),
    ],
    strength: Annotated[float, typer.Option(help="0 changes nothing, 1 is the reference's light, up to 1.5")] = 1.0,
    ratio: Annotated[Path | None, typer.Option(help="Write the light alone too: relit over source (.exr)")] = None,
    reference_kind: Annotated[str, typer.Option(help="auto, photo or hdri")] = "auto",
    model: Annotated[str, typer.Option(help="embedded, or a diffusers folder by path or name")] = "embedded",
    quality: Annotated[str, typer.Option(help="draft, normal or high: 1, 2 or 6 candidates")] = "normal",
    take: Annotated[int, typer.Option(help="One candidate, from 1; 0 takes the best of them")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do a folder's results again that are there")] = False,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Give a picture, or every picture in a folder, the light of another; exit 2 if one of a folder fails."""

    def command(report: Any) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .luminet.job import RelightJob, run_relight

        params = {
            **{"source": str(source), "reference": str(reference), "out": out, "strength": strength},
            **{"ratio": None if ratio is None else str(ratio), "reference_kind": reference_kind, "model": model},
            **{"quality": quality, "take": take, "overwrite": overwrite, "device": device, "seed": seed},
        }
        return run_relight(RelightJob.from_params(params), report)

    def show(answer: dict[str, Any]) -> None:
        entries = answer["relit"] if "failed" in answer else [answer]
        for warning in dict.fromkeys([*answer["warnings"], *(w for entry in entries for w in entry["warnings"])]):
            typer.echo(f"Note: {warning}", err=True)
        for entry in entries:
            typer.echo(f"{entry['relit']}  (light {entry['code_distance']:.3f} from the reference's)")
        if "failed" in answer:
            typer.echo(f"{len(answer['relit'])} new, {answer['kept']} kept, {len(answer['failed'])} failed")
            for entry in answer["failed"]:
                typer.echo(f"{entry['source']}: {entry['text']} {entry['remedy']}", err=True)

    if run(command, as_json, show, device).get("failed"):
        raise typer.Exit(2)


@app.command()
def face(
    photo: Annotated[Path, typer.Argument(help="A portrait of somebody who agreed")],
    out: Annotated[Path, typer.Option(help="Folder for head, maps and result.json")],
    quality: Annotated[str, typer.Option(help="draft, normal or high: maps of 512, 1024 or 2048 pixels")] = "normal",
    which: Annotated[int | None, typer.Option("--face", help="Which of several faces: 0 is the largest")] = None,
    landmarks: Annotated[
        Path | None, typer.Option(help="JSON with 'landmarks', 468 pairs u,v, to use instead of finding them")
    ] = None,
    fov: Annotated[float | None, typer.Option(help="Horizontal field of view of the photo in degrees")] = None,
    saturation: Annotated[float, typer.Option(help="How many times as strong as in life its colours are")] = 1.0,
    model: Annotated[str, typer.Option(help="embedded, or a file of the prior's weights")] = "embedded",
    head: Annotated[Path | None, typer.Option(help="A copy of ICT-FaceKit to use its head: FaceXModel or .npz")] = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Make a head that can be relit of one portrait: head.glb, its maps, and head.npz for Blender."""

    def command(report: Any) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .relightify.job import FaceJob, run_face

        params = {
            **{"image": str(photo), "out": str(out), "quality": quality, "face": which, "fov_deg": fov, "model": model},
            "landmarks": None if landmarks is None else read_object(landmarks, "landmarks").get("landmarks", []),
            **{"head": None if head is None else str(head), "device": device, "seed": seed, "saturation": saturation},
        }
        return run_face(FaceJob.from_params(params), report)

    def show(answer: dict[str, Any]) -> None:
        for warning in answer["warnings"]:
            typer.echo(f"Note: {warning}", err=True)
        fit, seen = answer["reprojection"], answer["seen"]
        typer.echo(
            f"{out / answer['files']['glb']}  (landmarks off by {fit:.1%} of the eyes' distance, {seen:.0%} seen)"
        )

    run(command, as_json, show, device)


@models_app.command("list")
def models_list(device: Device = "auto", seed: Seed = 0, as_json: AsJson = False) -> None:
    """What there is, and whether it is whole."""
    from .models import backbones, listing

    def show(answer: dict[str, Any]) -> None:
        for entry in answer["models"]:
            typer.echo(f"{entry['name']}: {entry['state']} ({entry['licence']}) {entry['purpose']}")

    run(lambda report: {"models": listing() + backbones()}, as_json, show, device)


@models_app.command("verify")
def models_verify(device: Device = "auto", seed: Seed = 0, as_json: AsJson = False) -> None:
    """Check every model's checksum; exit 3 if one is missing or damaged."""
    from .models import verify

    run(lambda report: {"models": verify()}, as_json, lambda answer: typer.echo("All models are whole."), device)


@models_app.command("fetch")
def models_fetch(
    name: Annotated[str, typer.Argument(help="As 'models list' names it")],
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Download a larger model."""
    from .models import fetch

    def command(report: Any) -> dict[str, Any]:
        fetch(name)
        return {"fetched": name}

    run(command, as_json, lambda answer: typer.echo(f"{name} is there."), device)


@models_app.command("plan")
def models_plan(
    name: Annotated[str, typer.Argument(help="A large model: its folder, or its name in the models folder")],
    width: Annotated[int, typer.Option(min=32, help="Pixels across what is painted")] = 512,
    height: Annotated[int, typer.Option(min=32, help="Pixels down")] = 512,
    frames: Annotated[int, typer.Option(min=1, help="Frames of a clip")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps of each picture")] = 20,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """What memory a large model needs in each way of holding it, what is free, and how long a probe will take."""

    def command(report: Any) -> dict[str, Any]:
        from .devices import pick_device
        from .limo.backbone.plan import overview
        from .models import find_backbone

        return overview(find_backbone(name), pick_device(device), width, height, frames, steps)

    def show(answer: dict[str, Any]) -> None:
        for way in answer["ways"]:
            fits = f"{way['time']} a probe" if way["fits"] else "does not fit"
            main = f" and {way['host'] / 1e9:.1f} GB of main memory" if way["host"] else ""
            typer.echo(f"{way['mode']}: {way['bytes'] / 1e9:.1f} of {answer['free'] / 1e9:.1f} GB free{main}: {fits}")

    run(command, as_json, show, device)


@models_app.command("adopt")
def models_adopt(
    weights: Annotated[Path, typer.Argument(help="Released LIMO weights: .safetensors, .pt, or an exported pipeline")],
    base: Annotated[str, typer.Option(help="The base model: its folder, or its name in the models folder")],
    convention: Annotated[
        str | None, typer.Option(help="How they were trained: limo-image, limo-video or paper; by default by the base")
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Put LIMO weights that you have beside the base model they were trained on, mapped and checked by name."""

    def command(report: Any) -> dict[str, Any]:
        from .limo.backbone.adopt import adopt
        from .models import find_backbone

        return adopt(weights, find_backbone(base), convention)

    def show(answer: dict[str, Any]) -> None:
        typer.echo(f"{answer['weights']}: {answer['tensors']} tensors, convention {answer['convention']}")
        for text in answer["differs"]:
            typer.echo(f"  {text}")

    run(command, as_json, show, device)


@app.command()
def doctor(device: Device = "auto", seed: Seed = 0, as_json: AsJson = False) -> None:
    """Examine the engine: versions, devices (the named one computes), models, disk; exit 3 if a package is missing."""
    from .doctor import examine

    def show(answer: dict[str, Any]) -> None:
        typer.echo(f"Python {answer['python']} on {answer['system']}")
        for found in answer["devices"]:
            typer.echo(f"{found['id']}: {found['name']}")
        typer.echo("\n".join(answer["problems"]) or "The engine is well.")

    answer = run(lambda report: examine(device), as_json, show, device)
    if answer["missing"]:
        raise typer.Exit(3)


@app.command()
def serve(device: Device = "auto", seed: Seed = 0, as_json: AsJson = False) -> None:
    """Speak the wire on stdin and stdout (JSON with or without --json); Blender starts this.

    Device and seed are for the jobs that name none.
    """
    from .serve import serve as loop

    loop(device, seed)


def main() -> None:
    """Run the command line. Wrong options end as any other bad input: one sentence, exit 2, an object with --json."""
    as_json = "--json" in sys.argv
    try:
        try:
            code = app(prog_name="limelight", standalone_mode=False)
        except _WrongUse as error:
            told = error.format_message().rstrip(".")  # type: ignore[attr-defined]
            if not told:
                raise SystemExit(2) from error
            fail(BadInput(f"{told}.", "Add --help to see what there is."), as_json)
        except LimelightError as error:
            fail(error, as_json)
    except BrokenPipeError as error:
        # Whoever read the answer has gone.
        raise SystemExit(1) from error
    except OSError as error:
        # The answer found no place: stdout leads to a disk that is full, so nothing more goes there.
        full = explain("", error, terse=True)
        fail(BadInput(full.text, full.remedy, full.code), as_json=False)
    if code == 130:
        # So Typer ends what Ctrl-C reached before a command's own work or after it.
        raise KeyboardInterrupt
    raise SystemExit(code or 0)


if __name__ == "__main__":
    main()
