# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a PLY file, read without trust: binary of both byte orders, or text.

Own code because libraries allocate what a header claims, or read lists row by row; here a table is a view of the file.
Lists may follow the tables that are wanted, not come before them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .checks import Source, cut_short, damaged

Array = np.ndarray[Any, Any]

#: The header's comments on a cloud whose z is up, or y.
Z_UP, Y_UP = "z up", "y up"
#: A header longer than this is none.
_LONGEST_HEADER = 1 << 16
_TYPES = {
    **{"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2"},
    **{"uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4"},
    **{"double": "f8", "float64": "f8"},
}
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}


@dataclass(frozen=True)
class Element:
    """One table of the header: rows, and columns as (name, numpy type); ``dtype`` is None of rows with lists."""

    name: str
    count: int
    columns: tuple[tuple[str, str], ...]
    lists: bool


@dataclass(frozen=True)
class Header:
    """What the header says: byte order ('=' is text), tables in the file's order, comments, where the data begins."""

    order: str
    elements: tuple[Element, ...]
    comments: tuple[str, ...]
    offset: int

    def names(self, element: str) -> set[str]:
        """The columns of a table; none of one that is not there."""
        return {name for found in self.elements if found.name == element for name, _ in found.columns}

    def count(self, element: str) -> int:
        """The rows of a table."""
        return next((found.count for found in self.elements if found.name == element), 0)


def read_header(source: Source) -> Header:
    """The header of a PLY file."""
    start = source.data[:_LONGEST_HEADER].tobytes()
    end = start.find(b"end_header")
    line_end = start.find(b"\n", end)
    if not start.startswith(b"ply") or end < 0 or line_end < 0:
        raise damaged(source.name, "has no complete PLY header")
    order, elements, comments = "", [], []
    for line in start[:end].decode("latin-1").splitlines()[1:]:
        words = line.split()
        if words[:1] == ["comment"]:
            comments.append(line.strip()[8:])
        elif words[:1] == ["format"] and len(words) > 1:
            order = _ORDERS.get(words[1], "")
        elif words[:1] == ["element"] and len(words) == 3 and words[2].isdecimal() and len(words[2]) < 19:
            elements.append(Element(words[1], int(words[2]), (), False))
        elif words[:1] == ["property"] and elements:
            elements[-1] = _with_column(elements[-1], words, source.name)
        elif words and words[0] not in ("obj_info",):
            raise damaged(source.name, f"has a PLY header with the line '{line.strip()[:60]}'")
    if not order:
        raise damaged(source.name, "has a PLY header without a known format")
    return Header(order, tuple(elements), tuple(comments), line_end + 1)


def _with_column(element: Element, words: list[str], name: str) -> Element:
    if len(words) > 1 and words[1] == "list":
        return Element(element.name, element.count, element.columns, True)
    if len(words) != 3 or words[1] not in _TYPES or words[2] in (known for known, _ in element.columns):
        raise damaged(name, f"has a PLY header with the line '{' '.join(words)[:60]}'")
    return Element(element.name, element.count, (*element.columns, (words[2], _TYPES[words[1]])), element.lists)


def read_table(source: Source, header: Header, wanted: str) -> Array:
    """(count,) structured array of the table ``wanted``: of binary files a view."""
    if header.order == "=":
        return _text_table(source, header, wanted)
    offset = header.offset
    for element in header.elements:
        if element.lists:
            raise damaged(source.name, f"has lists in its PLY table '{element.name}', which splats have not")
        dtype = np.dtype([(name, header.order + kind) for name, kind in element.columns])
        if element.name == wanted:
            if not dtype.itemsize:
                raise damaged(source.name, f"has a PLY table '{wanted}' without columns")
            return source.array(dtype, element.count, offset)
        offset += element.count * dtype.itemsize
    raise damaged(source.name, f"has no PLY table '{wanted}'")


def _text_table(source: Source, header: Header, wanted: str) -> Array:
    """The same of a text file; a row is a line."""
    skipped = 0
    for element in header.elements:
        if element.name == wanted:
            break
        skipped += element.count
    else:
        raise damaged(source.name, f"has no PLY table '{wanted}'")
    # Each number takes two characters at least, so memory is bounded by the file.
    if element.lists or skipped + element.count * 2 * len(element.columns) > len(source.data) - header.offset:
        raise cut_short(source.name)
    start = header.offset
    if skipped:
        ends = np.flatnonzero(source.data[start:] == ord("\n"))
        start += int(ends[skipped - 1]) + 1 if skipped <= len(ends) else len(source.data)
    text = source.data[start:].tobytes().decode("latin-1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        numbers = np.fromstring(text, np.float64, element.count * len(element.columns), sep=" ")
    if numbers.size < element.count * len(element.columns):
        raise cut_short(source.name)
    rows = numbers.reshape(element.count, len(element.columns))
    table = np.empty(element.count, [(name, kind) for name, kind in element.columns])
    with np.errstate(invalid="ignore", over="ignore"):
        for index, (name, _) in enumerate(element.columns):
            table[name] = rows[:, index]
    return table


def columns(table: Array, names: list[str]) -> Array:
    """(count, len(names)) float32 of a structured array's columns."""
    first = table.dtype.fields[names[0]] if table.dtype.fields else None
    adjacent = first is not None and all(
        table.dtype.fields is not None
        and table.dtype.fields[name][0] == np.dtype("<f4")
        and table.dtype.fields[name][1] == first[1] + 4 * index
        for index, name in enumerate(names)
    )
    if adjacent and first is not None and table.dtype.itemsize % 4 == 0 and first[1] % 4 == 0:
        # Neighbours of one kind are copied as a block: ten times as fast as one by one.
        start = first[1] // 4
        words = table.view("<f4").reshape(len(table), -1)
        return words[:, start : start + len(names)].astype(np.float32)
    with np.errstate(over="ignore"):
        return np.stack([table[name].astype(np.float32) for name in names], -1)


def header_text(tables: list[tuple[str, Array]], comments: list[str]) -> bytes:
    """The header of a little-endian file that holds the structured arrays ``tables`` in this order."""
    words = {"f4": "float", "u4": "uint", "u1": "uchar"}
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {comment}" for comment in comments)]
    for name, table in tables:
        lines.append(f"element {name} {len(table)}")
        lines += [f"property {words[table.dtype[column].str[1:]]} {column}" for column in table.dtype.names or ()]
    return ("\n".join([*lines, "end_header"]) + "\n").encode("ascii")
