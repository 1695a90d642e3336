# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of pictures under the light of one reference: goes on after a break, and past pictures that fail."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...bridge.alike import relocated
from ...bridge.messages import preview_of
from ..devices import pick_device
from ..errors import BadInput, Cancelled
from ..limo.frames import PICTURES, passed_over
from ..limo.output import write_json
from ..limo.report import PartReport, Report
from ..serve import explain
from .job import RelightJob, check_paths, relight_picture, result_name, settings_of
from .load import load_relighter
from .reference import reference_code

#: What the results in a folder were made with.
_RECORD = "relight.json"


def run_batch(job: RelightJob, report: Report) -> dict[str, Any]:
    """Relight every picture in the folder ``job.source`` into the folder ``job.out``.

    Returns ``relit``, the entries of what was made now; ``failed``, source, text and remedy of what could not be; and
    ``kept``, how many results were there already.
    """
    report.progress(0.0, "Reading the reference")
    parts = _parts(job)
    _check_record(job)
    todo = [part for part in parts if job.overwrite or not _is_there(part)]
    result: dict[str, Any] = {"version": 1, "out": str(job.out), "relit": [], "failed": [],
                              "kept": len(parts) - len(todo), "warnings": []}  # fmt: skip
    if note := passed_over(job.source):
        report.log(note)
    if not todo:
        return result
    relighter = load_relighter(job.model, pick_device(job.device))
    target, result["warnings"] = reference_code(job.reference, job.reference_kind, relighter)
    for done, part in enumerate(todo):
        name = f"{part.source.name} ({done + 1} of {len(todo)})"
        try:
            check_paths(part)
            part_report = PartReport(report, done / len(todo), 1 / len(todo), name)
            entry = relight_picture(part, relighter, target, [], part_report)
        except (Cancelled, KeyboardInterrupt) as error:
            raise Cancelled(remedy=f"{done} of {len(todo)} pictures are done; run it again to go on.") from error
        except Exception as error:
            told = explain("", error)
            result["failed"].append({"source": str(part.source), "text": told.text, "remedy": told.remedy})
            report.log(f"{part.source.name}: {told.text}")
            continue
        if not result["relit"]:
            if not _is_recorded(job):
                # They are next to be made anew; should this run not come to it, nobody takes them for the new ones.
                _remove_results(other for other in todo if other is not part)
            write_json(job.out / _RECORD, settings_of(job))
        result["relit"].append(entry)
    report.progress(1.0, "Done")
    return result


def _parts(job: RelightJob) -> list[RelightJob]:
    """A job for each picture."""
    if job.out.resolve() == job.source.resolve():
        raise BadInput(f"The results would go to {job.out}, among the sources.", "Choose another folder.")
    for folder in (job.out, job.ratio):
        if folder is not None and folder.is_file():
            raise BadInput(f"{folder} is a file.", "The results of a folder of pictures go to a folder.")
    pictures = sorted(
        path
        for path in job.source.iterdir()
        if path.is_file() and path.suffix.lower() in PICTURES and not path.name.startswith(".")
    )
    if not pictures:
        remedy = "Name a picture or a folder of pictures."
        raise BadInput(f"The folder {job.source} holds no picture.", f"{passed_over(job.source)} {remedy}".strip())
    named = Counter(result_name(path) for path in pictures)
    previews = {preview_of(Path(name)).name for name in named}
    parts = []
    for path in pictures:
        name = result_name(path)
        if named[name] > 1 or name in previews:
            # a.jpg beside a.tif, a_preview.png beside a.png: these keep their whole names.
            name = path.name + Path(name).suffix
        ratio = None if job.ratio is None else job.ratio / f"{Path(name).stem}_ratio.exr"
        parts.append(dataclasses.replace(job, source=path, out=job.out / name, ratio=ratio))
    return parts


def _is_there(part: RelightJob) -> bool:
    """Whether a picture's result is, and its light ratio where one is wanted."""
    return part.out.is_file() and (part.ratio is None or part.ratio.is_file())


def _is_recorded(job: RelightJob) -> bool:
    """Whether the results in the folder were made with the job's settings, as far as anything readable tells."""
    now = settings_of(job)
    try:
        return bool(relocated(json.loads((job.out / _RECORD).read_text(encoding="utf-8")), now) == now)
    except (OSError, ValueError):
        return False


def _remove_results(parts: Iterable[RelightJob]) -> None:
    """Remove earlier results of ``parts``, but never the reference, which may lie among them."""
    for part in parts:
        if part.out.is_file() and not part.out.samefile(part.reference):
            part.out.unlink()


def _check_record(job: RelightJob) -> None:
    """Refuse to go on in a folder whose results were made with other settings."""
    if job.overwrite or not (job.out / _RECORD).is_file():
        return
    if not _is_recorded(job):
        raise BadInput(
            f"The results in {job.out} were made with other settings.",
            "Choose another folder, or add --overwrite to make them anew.",
        )
