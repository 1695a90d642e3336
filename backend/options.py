# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that every command takes (architecture.md §4), and how the values of others are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import BadInput

# What runs on the processor alone, or leaves nothing to chance, takes them too and refuses the same values.
Device = Annotated[str, typer.Option(help="auto, cpu or cuda[:N]")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Same seed, same result")]
#: What in a camera file is not about its lens.
_NO_LENS = ("camera_to_world", "frames", "version")
#: Of what can be spread over a cluster; its machines choose among their own devices.
Ray = Annotated[str | None, typer.Option(help="Ray cluster that does the work: auto or an address")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, progress on stderr")]


def check_used(context: typer.Context, kind: str, used: Mapping[str, str]) -> None:
    """Refuse options that were given but that ``kind`` does not look at.

    ``used``: by kind the names of those that it uses, with spaces between; those that are in none are used by all.
    """
    own = {name for names in used.values() for name in names.split()}
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name not in own or source is None or source.name != "COMMANDLINE":
            continue
        if kind in used and option.name not in used[kind].split():
            takers = ", ".join(other for other, names in used.items() if option.name in names.split())
            text = f"'{context.info_name} {kind}' does not use {option.opts[0]}."
            raise BadInput(text, f"Leave it out; it is for {takers}.")


def parse_probe(text: str, index: int) -> dict[str, Any]:
    """``U,V`` or ``U,V,DEPTH`` as a probe of a light job."""
    parts = text.split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError as error:
        raise BadInput(
            f"The probe '{text}' is not made of numbers.", "Write U,V or U,V,DEPTH, e.g. 0.5,0.6."
        ) from error
    if len(numbers) not in (2, 3):
        raise BadInput(f"The probe '{text}' has {len(numbers)} numbers.", "Write U,V or U,V,DEPTH, e.g. 0.5,0.6.")
    return {"name": f"probe_{index}", **dict(zip(("u", "v", "depth"), numbers, strict=False))}


def read_camera(path: Path | None) -> dict[str, Any]:
    """A camera file: an object with fx, fy, cx, cy or fov_x_deg, and camera_to_world; empty without a path."""
    return {} if path is None else read_object(path, "fov_x_deg", "camera ")


def camera_params(path: Path | None) -> dict[str, Any]:
    """What a camera file tells a light job: ``camera``, ``camera_to_world``, and itself as ``track`` if with frames."""
    given = read_camera(path)
    return {
        "camera": {name: value for name, value in given.items() if name not in _NO_LENS} or None,
        "camera_to_world": given.get("camera_to_world"),
        "track": [str(path)] if "frames" in given else None,
    }


def read_object(path: Path, name: str, kind: str = "") -> dict[str, Any]:
    """The object in a JSON file that should have ``name``; ``kind`` is what file it is."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"The {kind}file {path} cannot be read ({error.strerror}).", "Check the path.") from error
    except ValueError as error:
        raise BadInput(f"The {kind}file {path.name} is not JSON.", f"Write an object with {name}.") from error
    if not isinstance(data, dict):
        raise BadInput(f"The {kind}file {path.name} holds no object.", f"Write an object with {name}.")
    return data
