# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight batch add | run | show | report``: many pictures, sequences and probes, on one computer or many."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ...bridge.batch import Batch, Seat
from ...bridge.joblist import STATES, SUFFIX, JobList, JobListError
from ..console import run
from ..errors import BadInput
from ..options import AsJson, Device, Ray, Seed, parse_probe
from .report import check_report, summary, write_report

app = typer.Typer(no_args_is_help=True, help="Lists of jobs: made, worked off, looked at.")
_List = Annotated[Path, typer.Argument(help=f"The list, e.g. photos{SUFFIX}")]


@app.command()
def add(
    listed: _List,
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, folders of them, sequences as shot_####.png")],
    out: Annotated[Path, typer.Option(help="Folder for the results, a folder a picture")],
    probe: Annotated[list[str] | None, typer.Option(help="U,V[,DEPTH]: a point of every picture")] = None,
    probes: Annotated[Path | None, typer.Option(help="Points by picture: JSON of {NAME: [{u, v, …}]}")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Folders within folders too")] = False,
    sequences: Annotated[bool, typer.Option("--sequences", help="Each folder of pictures is a sequence")] = False,
    span: Annotated[str | None, typer.Option("--range", help="Frames FIRST-LAST[xSTEP] of each sequence")] = None,
    chunk: Annotated[int, typer.Option(min=0, help="Cut sequences into jobs of so many frames; 0: one job")] = 0,
    fov: Annotated[float | None, typer.Option(help="Horizontal field of view in degrees")] = None,
    depth: Annotated[Path | None, typer.Option(help="Depth map for all, or a folder of NAME.exr")] = None,
    camera: Annotated[Path | None, typer.Option(help="Camera file for all, or a folder of NAME.json")] = None,
    frame: Annotated[str, typer.Option(help="camera or world")] = "camera",
    radius: Annotated[float | None, typer.Option(help="Radius of the painted sphere in metres")] = None,
    model: Annotated[str, typer.Option(help="embedded, or a diffusers folder by path or name")] = "embedded",
    quality: Annotated[str, typer.Option(help="draft, normal or high")] = "normal",
    size: Annotated[int, typer.Option(help="Width of the HDR map in pixels")] = 512,
    take: Annotated[int, typer.Option(help="One take alone, from 1: sharper, more made up; 0 averages several")] = 0,
    front: Annotated[bool, typer.Option(help="Lay the visible surroundings over the map")] = True,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Add light jobs to a list, which is made if need be; jobs that are in it already are left as they are."""

    def command(report: Any) -> dict[str, Any]:
        report.progress(0.0, "Looking at the pictures")
        from .light_jobs import Beside, add_light_jobs, find_sources, light_jobs, read_probes

        settings = {"fov_deg": fov, "frame": frame, "radius": radius, "model": model, "quality": quality, "size": size,
                    "seed": seed, "take": take or None,
                    "front": None if front else False, "device": None if device == "auto" else device}  # fmt: skip
        points = [parse_probe(text, i) for i, text in enumerate(probe or [])]
        beside = Beside(points, None if probes is None else read_probes(probes), depth, camera)
        sources = find_sources(pictures, deep=deep, sequences=sequences, span=span, chunk=chunk, tell=report.log)
        jobs = light_jobs(sources, out, beside, settings)
        found = opened(listed, make=True)
        before = len(found.entries)
        add_light_jobs(found, jobs)
        return {"list": str(found.path), "added": len(found.entries) - before, "jobs": len(found.entries)}

    run(command, as_json, lambda told: typer.echo(f"{told['list']}  ({told['added']} new of {told['jobs']})"), device)


@app.command("run")
def work(
    listed: _List,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Engines at once: 1 here unless said, on a cluster one a GPU or core")
    ] = None,
    ray: Ray = None,
    retries: Annotated[int, typer.Option(min=0, help="Tries more for what may pass: a crash, full memory")] = 1,
    again: Annotated[str | None, typer.Option(help="Do jobs again that are failed, cancelled, skipped, done")] = None,
    only: Annotated[str | None, typer.Option(help="Jobs FIRST-LAST by number from 1, or names with * and ?")] = None,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Pass over results of these settings, newer than their pictures"),
    ] = False,
    table: Annotated[Path | None, typer.Option("--report", help="Write a .csv or .json report at the end")] = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Work a list off; goes on where it was left. Exit 2 if a job of what is asked for failed, at the end."""

    def command(report: Any) -> dict[str, Any]:
        from .farm import seats as hired
        from .seats import engines

        if table is not None:
            check_report(table)
        found = opened(listed)
        names = chosen(found, only)
        requeue(found, names, again)
        seats: Sequence[Seat]
        seats = engines(workers or 1, device) if ray is None else hired(ray, len(found.entries), device, workers)
        try:
            batch = Batch(found, seats, retries=retries, only=names, skip_existing=skip_existing)
            batch.wait(lambda batch: tell(report, batch))
        except JobListError as error:
            raise BadInput(str(error)) from error
        finally:
            for seat in seats:
                seat.stop()
        if table is not None:
            write_report(found, table)
        return summary(found, names)

    told = run(command, as_json, show_summary, device if ray is None else "auto")
    if told["failed"]:
        raise typer.Exit(2)


@app.command()
def show(listed: _List, device: Device = "auto", seed: Seed = 0, as_json: AsJson = False) -> None:
    """Tell how far a list is: counts, pace, what failed and why."""
    run(lambda report: summary(opened(listed)), as_json, show_summary, device)


@app.command("report")
def write(
    listed: _List,
    out: Annotated[Path, typer.Option(help="A .csv or .json file")],
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write a table of all jobs: state, time, numbers of the light, errors."""

    def command(report: Any) -> dict[str, Any]:
        write_report(opened(listed), out)
        return {"report": str(out)}

    run(command, as_json, lambda told: typer.echo(told["report"]), device)


def opened(path: Path, make: bool = False) -> JobList:
    """A list; raises :class:`BadInput` if it cannot be used."""
    try:
        return JobList.make(path) if make else JobList(path)
    except JobListError as error:
        raise BadInput(str(error)) from error


def chosen(listed: JobList, only: str | None) -> list[str] | None:
    """Names of the jobs that ``only`` means: ``3``, ``3-7`` by number from 1, or a pattern of names; None is all."""
    names = list(listed.entries)
    if only is None:
        return None
    first, _, last = only.partition("-")
    if first.isdecimal() and (last or first).isdecimal():
        found = names[max(int(first), 1) - 1 : int(last or first)]
    else:
        found = fnmatch.filter(names, only)
    if not found:
        raise BadInput(f"No job is meant by '{only}'.", f"There are {len(names)} jobs, e.g. {', '.join(names[:3])}.")
    return found


def requeue(listed: JobList, names: list[str] | None, again: str | None) -> None:
    """Put jobs back that are over in one of the states of ``again``, with commas between."""
    if again is None:
        return
    states = again.split(",")
    known = [state for state in STATES if state not in ("queued", "running")]
    if not set(states) <= set(known):
        raise BadInput(f"Jobs that are '{again}' cannot be done again.", f"Use one or more of {','.join(known)}.")
    entries = listed.entries.values() if names is None else [listed.entries[name] for name in names]
    listed.requeue([entry.id for entry in entries if entry.state in states])


def tell(report: Any, batch: Batch) -> None:
    """One line of progress: how many are over, and what is being done."""
    entries = batch.entries
    over, lost = sum(entry.over for entry in entries), sum(entry.state == "failed" for entry in entries)
    running = [entry for entry in entries if entry.state == "running"]
    share = (over + sum(entry.fraction for entry in running)) / max(len(entries), 1)
    failed = f", {lost} failed" if lost else ""
    now = f": {running[0].id}, {running[0].stage}" if running else ""
    report.progress(share, f"{over} of {len(entries)} jobs{failed}{now}")


def show_summary(told: dict[str, Any]) -> None:
    """A list's state for people."""
    states = ", ".join(f"{count} {state}" for state, count in told["counts"].items() if count)
    pace = f"; {told['seconds_per_job']:.1f} s a job" if told["seconds_per_job"] is not None else ""
    typer.echo(f"{told['list']}: {states or 'no job'}{pace}")
    for entry in told["failed"]:
        typer.echo(f"{entry['id']}: {entry['text']} {entry['remedy']}", err=True)
    for entry in told["waiting"]:
        first, others = entry["after"][0], len(entry["after"]) - 1
        more = f" and {others} other{'s' * (others > 1)}" if others else ""
        typer.echo(f"{entry['id']}: It still waits for '{first}'{more}. Run the list without --only.", err=True)
