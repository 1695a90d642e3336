# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight splat …``: what is in a splat file, and the same splats as another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import run
from ..options import AsJson, Device, Seed

app = typer.Typer(no_args_is_help=True, help="Gaussian splats: files of others and ours.")


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
