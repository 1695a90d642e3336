# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of those who make models: ``limelight synthesize | train | bench``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import run
from .devices import pick_device
from .errors import BadInput
from .options import AsJson, Device, Ray, Seed, check_used

app = typer.Typer()
_BY_BLENDER = "workers blender family frames assets width samples ray seed"
#: What can be made, trained and scored, with the options that not all use.
_MADE = {
    "rooms": "workers hdris ray seed",
    "lights": "workers hdris blender assets width samples ray seed",
    "faces": "workers hdris skins ray seed",
    **dict.fromkeys(("spheres", "views", "probes", "sequences"), _BY_BLENDER),
    "depths": "workers blender views assets width samples ray seed",
    "crops": "hdris blender seed",
    "splats": "hdris blender views tests width samples",
}
#: Of those, what only some ways of making use.
_MOVING = {"--family still": ""} | {f"--family {name}": "frames" for name in ("sphere", "camera", "light", "sun")}
_LIT = {"lights --blender": "assets", "ray-traced lights": "hdris"}
_CUT = {"crops --hdris": "", "crops of Blender's studio lights": "blender"}
_SPREAD = {"--ray": "", "work on this computer": "workers"}
_LARGE = "views steps backbone rank widened save_memory eight_bit"
_TRAINED = {
    "limo": "hdris scenes views steps start",
    "limo-flux": _LARGE,
    "limo-wan": _LARGE,
    "direction": "hdris scenes views steps backbone",
    "depth": "hdris scenes views steps",
    "luminet": "hdris scenes steps",
    "relightify": "hdris scenes steps",
}
_SCORED = {
    "limo": "quality depth ray",
    "limo-video": "quality lpips",
    "direction": "quality textbook ray",
    "depth": "ray",
    "luminet": "quality form ray",
    "relightify": "quality form hdris ray",
    "splats": "quality",
}


@app.command()
def synthesize(
    context: typer.Context,
    kind: Annotated[
        str,
        typer.Argument(
            help="rooms (ray-traced); lights (rooms once per light source, ray-traced or, with --blender, by Blender);"
            " faces (textures of heads); by Blender: spheres, views, depths (many cameras, no probes); for evaluation:"
            " probes, sequences (by Blender), crops (of HDRIs), splats (objects with known material, by Blender)"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the samples")],
    count: Annotated[int, typer.Option(min=1, help="How many scenes")] = 100,
    workers: Annotated[int, typer.Option(min=1, help="Scenes made at once")] = 1,
    hdris: Annotated[
        Path | None,
        typer.Option(help="Folder of panoramas; rooms, lights, faces, splats: as surroundings; crops: those kept out"),
    ] = None,
    skins: Annotated[
        Path | None, typer.Option(help="faces: folder of free skins in MakeHuman's layout, for half of them")
    ] = None,
    blender: Annotated[Path | None, typer.Option(help="A Python that has bpy")] = None,
    family: Annotated[
        str, typer.Option(help="spheres, views, sequences: still, or what moves: sphere, camera, light, sun (outdoors)")
    ] = "still",
    frames: Annotated[int, typer.Option(min=2, help="Frames of a sequence")] = 21,
    views: Annotated[
        int | None, typer.Option(min=3, help="splats: views to learn from; depths: cameras in a place")
    ] = None,
    tests: Annotated[int | None, typer.Option(min=1, help="splats: views kept for testing")] = None,
    assets: Annotated[str | None, typer.Option(help="Folder of models to set down, or 'libraries': Blender's")] = None,
    width: Annotated[
        int | None, typer.Option(min=32, help="lights: pixels a side; by Blender: pixels across a view")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="lights, by Blender: samples a pixel")] = None,
    ray: Ray = None,
    device: Device = "auto",
    seed: Annotated[
        int | None,
        typer.Option("--seed", "--first", min=0, help="The first scene's; from ten million on they are for evaluation"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make training data and probe sets. Existing samples are kept, so a broken run goes on."""

    def command(report: Any) -> dict[str, Any]:
        if kind not in _MADE:
            raise BadInput(f"There is nothing called '{kind}' to synthesize.", f"Known: {', '.join(_MADE)}.")
        _check_made(context, kind, hdris, blender, family, ray)
        if kind == "crops":
            return _make_crops(out, seed, count, hdris, blender)
        if kind == "splats":
            changed = {"size": width, "samples": samples, "views": views, "tests": tests}
            return _make_splats(out, count, hdris, blender, changed, report)
        if kind == "faces":
            from ..synthesis.faces import write_faces

            made = write_faces(out, seed or 0, count, workers, report.progress, hdris, skins, ray)
            return {"out": str(out), "first": seed or 0, "count": count, "faces": made["faces"]}
        if kind in ("rooms", "lights"):
            settings = {} if kind == "rooms" else {"size": width, "samples": samples, "assets": assets}
            return _trace(kind, out, seed or 0, count, workers, hdris, blender, settings, device, ray, report)
        given: dict[str, Any] = {"family": family, "frames": frames, "assets": assets, "workers": workers, "ray": ray}
        changed = given | {"width": width, "samples": samples, "views": views}
        return _make_by_blender(kind, out, seed, count, blender, changed, report)

    run(command, as_json, lambda answer: typer.echo(answer["out"]), device if ray is None else "auto")


@app.command()
def train(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="limo, limo-flux, limo-wan (at the paper's scale), direction, depth, luminet or relightify"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for data, checkpoints and weights")],
    hdris: Annotated[Path | None, typer.Option(help="Folder of CC0 panoramas (EXR)")] = None,
    scenes: Annotated[
        int,
        typer.Option(min=0, help="Ray-traced scenes: of four probes each, luminet: of ten lights; relightify: heads"),
    ] = 2048,
    views: Annotated[Path | None, typer.Option(help="Scenes by Blender ('synthesize views')")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps; 8000, limo-flux 150000, limo-wan 250000")
    ] = None,
    start: Annotated[Path | None, typer.Option(help="limo: weights to begin from (.safetensors)")] = None,
    backbone: Annotated[
        Path | None,
        typer.Option(help="direction: a frozen transformers model to build on; limo-flux, limo-wan: the base model"),
    ] = None,
    rank: Annotated[int, typer.Option(min=0, help="limo-flux, limo-wan: of low-rank changes; 0 trains everything")] = 0,
    widened: Annotated[
        str, typer.Option(help="limo-flux, limo-wan: how the input starts: paper, released, zero or weights")
    ] = "paper",
    save_memory: Annotated[
        bool, typer.Option("--save-memory", help="limo-flux, limo-wan: compute blocks again for the backward pass")
    ] = False,
    eight_bit: Annotated[
        bool, typer.Option("--eight-bit", help="limo-flux, limo-wan: the optimiser's moments take a byte each")
    ] = False,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Reproduce the weights that ship: make the data, train, export. Goes on where it stopped."""

    def command(report: Any) -> dict[str, Any]:
        if model not in _TRAINED:
            raise BadInput(f"There is no recipe for '{model}'.", f"Known: {', '.join(_TRAINED)}.")
        check_used(context, model, _TRAINED)
        if model.startswith("limo-"):
            settings = {"rank": rank, "start": widened, "save_memory": save_memory, "eight_bit": eight_bit}
            settings |= {"seed": seed} if steps is None else {"seed": seed, "steps": steps}
            return {"weights": str(_train_large(model, out, backbone, views, device, settings, report))}
        given = {"views": views, "start": start, "backbone": backbone}
        own: dict[str, Any] = {name: value for name, value in given.items() if name in _TRAINED[model].split()}
        recipe = importlib.import_module(f"{__package__.rpartition('.')[0]}.training.{model}.recipe")
        weights = recipe.reproduce(
            out, hdris=hdris, scenes=scenes, steps=steps or 8000, device=device, seed=seed,
            report=report.log, **own,
        )  # fmt: skip
        return {"weights": str(weights)}

    run(command, as_json, lambda answer: typer.echo(answer["weights"]), device)


def _train_large(
    model: str, out: Path, base: Path | None, data: Path | None, device: str, settings: dict[str, Any], report: Any
) -> Path:
    """Train limo-flux or limo-wan with these ``settings`` of the recipe."""
    from ..training.limo.large.train import recipe_for, train

    if base is None or data is None:
        raise BadInput(
            f"Training {model} needs a base model and spheres.",
            "Give --backbone, its diffusers folder, and --views, sets by 'limelight synthesize spheres'.",
        )
    family = model.removeprefix("limo-")
    return train(
        recipe_for(family, base=base, data=data, out=out, device=pick_device(device), **settings), report.log
    )


@app.command()
def bench(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="limo, limo-video, direction, depth, luminet, relightify or splats")],
    folder: Annotated[
        Path,
        typer.Argument(
            help="A probe set: folders of image, depth, meta.json, env_ID.exr; limo-video: a folder of sequences;"
            " luminet: of light sets; relightify: of heads; splats: of objects"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for table, JSON, contact sheet and the worst cases")],
    quality: Annotated[str, typer.Option(help="draft, normal or high")] = "normal",
    limit: Annotated[
        int,
        typer.Option(
            help="At most so many probes, heads, objects; limo-video: sequences, luminet: pairs of each kind; 0 is all"
        ),
    ] = 0,
    depth: Annotated[str, typer.Option(help="limo: both, given (the set's) or guessed (from the picture)")] = "both",
    textbook: Annotated[Path | None, typer.Option(help="direction: folder of trained textbook forms")] = None,
    form: Annotated[
        str,
        typer.Option(
            "--model", help="luminet: embedded, a file of its weights, or a folder of a large model; relightify: a file"
        ),
    ] = "embedded",
    hdris: Annotated[Path | None, typer.Option(help="relightify: folder of panoramas (EXR) to relight by")] = None,
    lpips: Annotated[Path | None, typer.Option(help="limo-video: weights of LPIPS's AlexNet (.safetensors)")] = None,
    ray: Ray = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Score what the models say against the truth and the baselines."""

    def command(report: Any) -> dict[str, Any]:
        if model not in _SCORED:
            raise BadInput(f"There is no benchmark for '{model}'.", f"Known: {', '.join(_SCORED)}.")
        check_used(context, model, _SCORED)
        given = {"quality": quality, "depth": depth, "textbook": textbook, "form": form, "hdris": hdris, "lpips": lpips}
        given["ray"] = ray
        own: dict[str, Any] = {name: value for name, value in given.items() if name in _SCORED[model].split()}
        if "form" in own:
            own["model"] = own.pop("form")
        # Depth leaves nothing to chance.
        own |= {} if model == "depth" else {"seed": seed}
        name = "limo.video" if model == "limo-video" else f"{model}.run"
        scored = importlib.import_module(f"{__package__.rpartition('.')[0]}.benchmarks.{name}")
        answer: dict[str, Any] = scored.run_bench(folder, out, limit=limit, device=device, report=report, **own)
        return answer

    run(command, as_json, lambda answer: typer.echo(answer["table"]), device if ray is None else "auto")


def _check_made(
    context: typer.Context, kind: str, hdris: Path | None, blender: Path | None, family: str, ray: str | None
) -> None:
    """Refuse options that the kind, made in this way, does not look at."""
    check_used(context, kind, _MADE)
    if kind == "lights":
        check_used(context, "ray-traced lights" if blender is None else "lights --blender", _LIT)
    elif kind == "crops":
        check_used(context, "crops of Blender's studio lights" if hdris is None else "crops --hdris", _CUT)
    elif kind != "sequences" or family != "still":
        check_used(context, f"--family {family}", _MOVING)
    check_used(context, "work on this computer" if ray is None else "--ray", _SPREAD)


def _trace(
    kind: str, out: Path, first: int, count: int, workers: int, hdris: Path | None, blender: Path | None,
    changed: dict[str, Any], device: str, ray: str | None, report: Any,
) -> dict[str, Any]:  # fmt: skip
    """Rooms, or rooms rendered once per light source, by the ray tracer, or the latter by Blender; ``changed``:
    settings, None is usual."""
    # The tracer knows one GPU; which one that is, CUDA_VISIBLE_DEVICES says.
    here = pick_device(device) if ray is None else device
    where = "cuda" if here.startswith("cuda") else "cpu"
    settings = {name: value for name, value in changed.items() if value is not None} | {"ray": ray}
    if kind == "rooms":
        from ..synthesis.samples import write_samples

        write_samples(out, first, count, workers, report.progress, hdri_folder=hdris, device=where, **settings)
    elif blender is not None:
        from ..synthesis import cycles_light_sets

        cycles_light_sets.write_light_sets(out, first, count, workers, report.progress, blender=blender, **settings)
    else:
        from ..synthesis.light_sets import write_light_sets

        write_light_sets(out, first, count, workers, report.progress, hdris, device=where, **settings)
    return {"out": str(out), "first": first, "count": count, "device": where}


def _make_by_blender(
    kind: str, out: Path, first: int | None, count: int, blender: Path | None, changed: dict[str, Any], report: Any
) -> dict[str, Any]:
    """Spheres, views, depths, probes or sequences; ``changed``: settings, None is usual."""
    from ..synthesis.samples import EVALUATION_SEEDS
    from ..synthesis.sphere_sets import EVALUATED, write_set

    first = first if first is not None else EVALUATION_SEEDS if kind in EVALUATED else 0
    settings = {name: value for name, value in changed.items() if value is not None}
    manifest = write_set(out, kind, first, count, blender=blender, progress=report.progress, **settings)
    return {"out": str(out), "first": first, "count": count, "samples": len(manifest["seeds"])}


def _make_splats(
    out: Path, count: int, hdris: Path | None, blender: Path | None, changed: dict[str, Any], report: Any
) -> dict[str, Any]:
    """Objects for 'bench splats', under the panoramas of a folder or Blender's studio lights; ``changed``: settings,
    None is usual."""
    from ..benchmarks.demo.photo import studio_lights
    from ..synthesis.splat_sets import OBJECTS, write_splat_set

    if blender is None or not blender.is_file():
        raise BadInput("Objects need --blender, a Python that has bpy.", "'python run.py envs' makes one.")
    settings = {key: value for key, value in changed.items() if value is not None}
    lights = hdris or studio_lights(blender)
    made = write_splat_set(out, min(count, len(OBJECTS)), lights, blender, report.progress, **settings)
    return {"out": str(out), **made}


def _make_crops(
    out: Path, first: int | None, count: int, hdris: Path | None, blender: Path | None
) -> dict[str, Any]:
    """A probe set of perspective crops of captured panoramas, by default of Blender's studio lights."""
    from ..benchmarks.demo.photo import studio_lights
    from ..benchmarks.limo.probe_set import kept_maps, write_crops
    from ..synthesis.samples import EVALUATION_SEEDS

    if hdris is None and blender is None:
        raise BadInput("Crops need panoramas.", "Give --hdris FOLDER, or --blender for Blender's studio lights.")
    folder = hdris if blender is None or hdris is not None else studio_lights(blender)
    assert folder is not None
    maps = kept_maps(folder)
    first = EVALUATION_SEEDS if first is None else first
    write_crops(maps, out, count, first)
    return {"out": str(out), "first": first, "count": count, "maps": [path.stem for path in maps]}
