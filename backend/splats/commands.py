# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight splat …``: what is in a splat file, and the same splats as another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import run
from ..options import AsJson, Device, Seed, check_used

app = typer.Typer(no_args_is_help=True, help="Gaussian splats: files of others and ours.")
#: From where a cloud is looked at, and what only one of the two uses.
_LOOKED = {"--cameras": "", "places all around": "views"}


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="PLY (plain or compressed), .splat, .spz, .ksplat, .glb or .gltf")],
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Tell what is in a splat file: how many Gaussians, colours of which degree, material, extent, what is amiss."""

    def command(report: Any) -> dict[str, Any]:
        from .describe import described

        return described(file)

    def show(answer: dict[str, Any]) -> None:
        for note in answer["notes"]:
            typer.echo(f"Note: {note}", err=True)
        low, high = answer["bounds"]
        spans = " × ".join(f"{b - a:.3g}" for a, b in zip(low, high, strict=True))
        material = f"material (progress {answer['material']['progress']:.2f})" if answer["material"] else "no material"
        typer.echo(f"{answer['count']} Gaussians, degree {answer['degree']}, {material}; {answer['format']}")
        typer.echo(f"{spans} units, nine in ten Gaussians; {answer['axes']}")
        typer.echo(f"opacity {answer['opacity']:.2f}, size {answer['size']:.3g} (medians)")

    run(command, as_json, show, device)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="The splat file to read")],
    out: Annotated[Path, typer.Argument(help="The file to write: .ply, .compressed.ply, .splat, .spz or .glb")],
    degree: Annotated[int | None, typer.Option(min=0, max=4, help="Keep view-dependent colour up to this")] = None,
    least_opacity: Annotated[float, typer.Option(min=0, max=1, help="Leave out fainter Gaussians")] = 0.0,
    axes: Annotated[
        str, typer.Option(help="turn: upright in the other format as in the first; keep: numbers as they are")
    ] = "turn",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there")] = False,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write splats in another format, keeping all that it can hold; notes tell what it cannot."""

    def command(report: Any) -> dict[str, Any]:
        report.progress(0.0, "Reading splats")
        from .describe import converted

        return converted(source, out, degree, least_opacity, axes, overwrite)

    def show(answer: dict[str, Any]) -> None:
        for note in answer["notes"]:
            typer.echo(f"Note: {note}", err=True)
        typer.echo(f"{answer['out']}  ({answer['count']} Gaussians, {answer['bytes'] / 1e6:.1f} MB)")

    run(command, as_json, show, device)


@app.command()
def train(
    scene: Annotated[
        Path, typer.Argument(help="Folder with transforms.json, or with images and COLMAP's sparse model; or the .json")
    ],
    out: Annotated[
        Path, typer.Option(help="The splats to write (.ply keeps materials); a folder for checkpoints beside")
    ],
    iterations: Annotated[int | None, typer.Option(help="Of all stages; usual: 6 000, on a GPU 75 000")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels along a picture's longer side; usual: 256, GPU 1600")] = None,
    gaussians: Annotated[int | None, typer.Option(help="The most there may be; usual: 20 000, GPU 500 000")] = None,
    start: Annotated[
        Path | None, typer.Option(help="A trained splat file of this scene, to skip the first stage")
    ] = None,
    tone: Annotated[str, typer.Option(help="How light became pixels: aces (film curve) or srgb (none)")] = "aces",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start again, replace what is there")] = False,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Learn splats with material and light from photos with known cameras. Called again, a broken run goes on."""

    def command(report: Any) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .train.job import TrainJob, run_train

        params = {
            **{"scene": str(scene), "out": str(out), "iterations": iterations, "size": size, "gaussians": gaussians},
            **{"start": None if start is None else str(start), "tone": tone, "overwrite": overwrite},
            **{"device": device, "seed": seed},
        }
        return run_train(TrainJob.from_params(params), report)

    def show(answer: dict[str, Any]) -> None:
        for note in answer["notes"]:
            typer.echo(f"Note: {note}", err=True)
        levels = ", ".join(f"{name} {value:.1f}" for name, value in answer["psnr"].items())
        typer.echo(f"{answer['out']}  ({answer['gaussians']} Gaussians; PSNR in dB after each stage: {levels})")
        typer.echo(answer["environment"])

    run(command, as_json, show, device)


@app.command()
def relight(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Splats with material, as 'splat train' writes them")],
    env: Annotated[Path, typer.Option(help="The new light: an HDRI (.exr, twice as wide as high), world frame, z up")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures (PNG with alpha)")],
    cameras: Annotated[
        Path | None, typer.Option(help="A scene whose cameras are taken: those for testing, or all")
    ] = None,
    views: Annotated[int, typer.Option(help="Without --cameras: so many places all around")] = 8,
    size: Annotated[int, typer.Option(help="Pixels along a picture's longer side")] = 512,
    raw: Annotated[
        float, typer.Option(help="0: physical shading alone; 1: where it is not trusted, the old light")
    ] = 0.0,
    exposure: Annotated[float, typer.Option(help="Stops")] = 0.0,
    tone: Annotated[str, typer.Option(help="How light becomes pixels: srgb or aces, as in training")] = "srgb",
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Show splats with material under another light."""

    def command(report: Any) -> dict[str, Any]:
        check_used(context, "places all around" if cameras is None else "--cameras", _LOOKED)
        report.progress(0.0, "Loading the engine's libraries")
        from .relight import Relighting, run_relighting

        return run_relighting(Relighting(file, env, out, cameras, views, size, raw, exposure, tone, device), report)

    def show(answer: dict[str, Any]) -> None:
        for note in answer["notes"]:
            typer.echo(f"Note: {note}", err=True)
        for picture in answer["pictures"]:
            typer.echo(picture)

    run(command, as_json, show, device)


@app.command()
def mesh(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The splat file to read")],
    out: Annotated[Path, typer.Option(help="The mesh to write, with colours: .ply, or .glb")],
    cells: Annotated[int, typer.Option(help="Cells along the longest side, 16 to 512")] = 128,
    views: Annotated[int, typer.Option(help="Places all around that look at an object")] = 48,
    cameras: Annotated[
        Path | None, typer.Option(help="A scene whose cameras look instead, as into a room; the mesh may stay open")
    ] = None,
    least_part: Annotated[float, typer.Option(help="Loose parts smaller than this share of the largest go")] = 0.01,
    axes: Annotated[
        str, typer.Option(help="turn: upright in the other kind of file; keep: numbers as they are")
    ] = "turn",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there")] = False,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Make a mesh that stands for splats, for shadows and contact: depth of many views, fused."""

    def command(report: Any) -> dict[str, Any]:
        check_used(context, "places all around" if cameras is None else "--cameras", _LOOKED)
        report.progress(0.0, "Loading the engine's libraries")
        from .mesh import MeshJob, run_mesh

        return run_mesh(MeshJob(file, out, cells, views, cameras, least_part, axes, device, overwrite), report)

    def show(answer: dict[str, Any]) -> None:
        for note in answer["notes"]:
            typer.echo(f"Note: {note}", err=True)
        kind = "closed" if answer["closed"] else "open"
        typer.echo(f"{answer['out']}  ({answer['vertices']} vertices, {answer['faces']} triangles, {kind})")

    run(command, as_json, show, device)


@app.command()
def texture(
    mesh: Annotated[Path, typer.Argument(help="A scan (.obj or .ply) that lies as the cameras saw it")],
    scene: Annotated[Path, typer.Argument(help="Its photos with cameras, as 'splat train' reads them")],
    out: Annotated[
        Path, typer.Option(help="Folder for mesh.glb, textures and the light; a folder for checkpoints beside")
    ],
    texels: Annotated[int | None, typer.Option(help="Along a side of the textures; usual: 512, GPU 1024")] = None,
    iterations: Annotated[int | None, typer.Option(help="Of all stages; usual: 3 000, on a GPU 20 000")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels along a picture's longer side; usual: 256, GPU 1024")] = None,
    tone: Annotated[str, typer.Option(help="How light became pixels: aces (film curve) or srgb (none)")] = "aces",
    unwrap: Annotated[bool, typer.Option("--unwrap", help="Make new UVs, also for a mesh that has some")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start again, replace what is there")] = False,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Learn textures that take new light for a scanned mesh from photos: the splats' method on a surface that stays.

    Called again, a broken run goes on.
    """

    def command(report: Any) -> dict[str, Any]:
        report.progress(0.0, "Loading the engine's libraries")
        from .textured.job import TextureJob, run_texture

        job = TextureJob(
            scene, out, iterations, size, tone, seed, device, overwrite, mesh=mesh, texels=texels, unwrap=unwrap
        )
        return run_texture(job, report)

    def show(answer: dict[str, Any]) -> None:
        for note in answer["notes"]:
            typer.echo(f"Note: {note}", err=True)
        levels = ", ".join(f"{name} {value:.1f}" for name, value in answer["psnr"].items())
        typer.echo(f"{Path(answer['out']) / answer['files']['mesh']}  (PSNR in dB after each stage: {levels})")

    run(command, as_json, show, device)
