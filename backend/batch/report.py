# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a list, for people and spreadsheets: a line a job, and counts, times and errors of all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ...bridge.joblist import GOOD, JobList
from ..errors import BadInput

#: Columns of the table, in order; what a job has no number for stays empty.
COLUMNS = (
    *("id", "kind", "state", "attempts", "seconds", "where", "image", "out", "probes", "lamps"),
    *("radiance_r", "radiance_g", "radiance_b", "brightness_stops", "direction_deg", "warnings"),
    *("code", "text", "remedy"),
)

#: What a text starts with that spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows(listed: JobList) -> list[dict[str, Any]]:
    """A line a job, with absolute paths; radiance, lamps and spread are the first probe's."""
    found = []
    for entry in listed.entries.values():
        params, told = listed.params(entry), entry.summary
        images = params.get("images") or [params.get("image") or params.get("source")]
        line = {name: getattr(entry, name) for name in COLUMNS if hasattr(entry, name)}
        line |= {name: told[name] for name in COLUMNS if name in told}
        line |= {"image": images[0], "out": params.get("out")}
        line["warnings"] = " ".join(told.get("warnings", []))
        if "mean_radiance" in told:
            line |= dict(zip(("radiance_r", "radiance_g", "radiance_b"), told["mean_radiance"], strict=True))
        found.append(line)
    return found


def summary(listed: JobList, names: Collection[str] | None = None) -> dict[str, Any]:
    """Counts by state, seconds a job that is done took on average, and what failed of ``names``, by default of all;
    those of ``names`` that wait for others."""
    seconds = [entry.seconds for entry in listed.entries.values() if entry.state == "done"]
    failed = [
        {"id": entry.id, "code": entry.code, "text": entry.text, "remedy": entry.remedy}
        for entry in listed.entries.values()
        if entry.state == "failed" and (names is None or entry.id in names)
    ]
    waiting = []
    for entry in (listed.entries[name] for name in names or ()):
        after = [name for name in entry.after if listed.entries[name].state not in GOOD]
        if entry.state == "queued" and after:
            waiting.append({"id": entry.id, "after": after})
    return {
        "list": str(listed.path),
        "jobs": len(listed.entries),
        "counts": listed.counts,
        "seconds_per_job": round(sum(seconds) / len(seconds), 3) if seconds else None,
        "failed": failed,
        "waiting": waiting,
    }


def _inert(value: Any) -> Any:
    """A cell that no spreadsheet computes: such texts get an apostrophe in front. Numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def check_report(path: Path) -> None:
    """Raises :class:`BadInput` if no report is written under that name."""
    if path.suffix.lower() not in (".csv", ".json"):
        raise BadInput(f"A report is not written as '{path.suffix or path.name}'.", "Name a .csv or a .json file.")


def write_report(listed: JobList, path: Path) -> None:
    """Write the table as .csv, or summary and table as .json; whole or not at all."""
    check_report(path)
    if path.suffix.lower() == ".csv":
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore", lineterminator="\r\n")
        table.writeheader()
        table.writerows({name: _inert(value) for name, value in line.items()} for line in rows(listed))
        data = text.getvalue()
    else:
        data = json.dumps({**summary(listed), "rows": rows(listed)}, indent=1)
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(data)
        os.replace(partial, path)
    except OSError as error:
        raise BadInput(f"The report {path} cannot be written ({error.strerror}).", "Check the path.") from error
