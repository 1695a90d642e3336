# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of splat formats: which file is which, what each can hold, and reading and writing by it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import BadInput
from ..cloud import HIGHEST_DEGREE, Splats
from ..place import turned, uprighting
from . import compressed_ply, gltf, ksplat, ply, splat, spz
from .checks import Notes, Source, damaged, tidied
from .ply_table import Y_UP

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Format:
    """A row of the table. ``y_up``: the axes are glTF's and SPZ's, else by custom COLMAP's, y down."""

    name: str
    suffixes: tuple[str, ...]
    y_up: bool
    degree: int
    read: Callable[[Source, Notes], Splats]
    write: Callable[[Splats, BinaryIO, Notes], None] | None


FORMATS = (
    Format("compressed-ply", (".compressed.ply",), False, HIGHEST_DEGREE, ply.read, compressed_ply.write),
    Format("ply", (".ply",), False, HIGHEST_DEGREE, ply.read, ply.write),
    Format("splat", (".splat",), False, 0, splat.read, splat.write),
    Format("spz", (".spz",), True, HIGHEST_DEGREE, spz.read, spz.write),
    Format("ksplat", (".ksplat",), False, 3, ksplat.read, None),
    Format("gltf", (".glb", ".gltf"), True, HIGHEST_DEGREE, gltf.read, gltf.write),
)
_BY_NAME = {row.name: row for row in FORMATS}
#: Whose axes splats have that were learnt of photos, but for those that say that z is up.
PLAIN = _BY_NAME["ply"]


@dataclass(frozen=True)
class Loaded:
    """A cloud in its file's own axes, the format's row, and what the artist should know."""

    splats: Splats
    format: Format
    notes: list[str]


def read(path: Path) -> Loaded:
    """The splats of a file of any known format, told by its content, then by its name."""
    try:
        if not path.is_file():
            raise BadInput(f"There is no file {path}.", "Check the path.")
        # An empty file cannot be mapped.
        data = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)
    except OSError as error:
        raise BadInput(f"The file {path} cannot be read ({error.strerror}).", "Check the path.") from error
    return decode(Source(data, path.name, path.parent))


def decode(source: Source) -> Loaded:
    """The same of bytes: whatever they are, a cloud or one sentence."""
    row, notes = recognised(source), Notes()
    try:
        with np.errstate(all="ignore"):
            cloud = tidied(row.read(source, notes), source.name, notes)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, struct.error) as error:
        # Readers name what they expect; this is what contradicts itself in a way that none foresaw.
        raise damaged(source.name, "is damaged") from error
    except MemoryError as error:
        raise damaged(source.name, "is too large for this machine's memory") from error
    return Loaded(cloud, row, notes.lines)


def recognised(source: Source) -> Format:
    """The format of a file."""
    data, suffix = source.data, Path(source.name).suffix.lower()
    if not len(data):
        raise damaged(source.name, "is empty")
    start = data[:4].tobytes()
    if start.startswith(b"ply"):
        head = data[:4096].tobytes().partition(b"end_header")[0]
        row = _BY_NAME["compressed-ply" if b"packed_position" in head else "ply"]
        return replace(row, y_up=f"comment {Y_UP}".encode() in head.splitlines())
    if start == spz.MAGIC or start.startswith(b"\x1f\x8b"):
        return _BY_NAME["spz"]
    if start == b"glTF" or (suffix == ".gltf" and data[:64].tobytes().lstrip().startswith(b"{")):
        return _BY_NAME["gltf"]
    if suffix == ".ksplat" or (suffix != ".splat" and ksplat.is_ksplat(data)):
        return _BY_NAME["ksplat"]
    if suffix == ".splat":
        return _BY_NAME["splat"]
    known = ", ".join(end for row in FORMATS for end in row.suffixes)
    raise BadInput(f"The file {source.name} is in no known splat format.", f"Known are {known}.", "no_splats")


def format_for(path: Path) -> Format:
    """The format that a file name asks for."""
    name = path.name.lower()
    row = next((row for row in FORMATS if name.endswith(row.suffixes)), None)
    if row is None or row.write is None or name.endswith(".gltf"):
        known = ", ".join(end for row in FORMATS if row.write for end in row.suffixes if end != ".gltf")
        raise BadInput(f"Splats cannot be written as {path.name}.", f"End the name in one of {known}.")
    return row


def encode(splats: Splats, row: Format, notes: Notes) -> bytes:
    """A cloud as a file's bytes, in the axes it has."""
    file = BytesIO()
    if splats.degree > row.degree > 0:
        splats = splats.with_degree(row.degree)
    assert row.write is not None
    row.write(splats, file, notes)
    return file.getvalue()


def write(splats: Splats, path: Path, turn_from: Format | None = None, *, y_up: bool = False) -> list[str]:
    """Write a cloud; notes say what was left out. The file appears whole or not at all.

    ``turn_from`` is the format whose axes the cloud has: it is turned about x so that viewers of both show it upright,
    but for a cloud with z up in a PLY, which says so. Without it axes stay; ``y_up``: a PLY is to say so of them.
    """
    row, notes = format_for(path), Notes()
    says_so = splats.z_up and row.write is ply.write
    turn = None if turn_from is None or says_so else uprighting(splats, turn_from.y_up, row.y_up)
    if turn is not None:
        notes.add(f"Turned about x: {'y is up' if row.y_up else 'y is down'} in this format.")
        splats = turned(splats, turn)
    if y_up and turn_from is None and row.write in (ply.write, compressed_ply.write):
        row = replace(row, write=partial(row.write, y_up=True))
    data = encode(splats, row, notes)
    half = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(data)
        half.replace(path)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise BadInput(f"The file {path} cannot be written ({error.strerror}).", "Choose another place.") from error
    return notes.lines
