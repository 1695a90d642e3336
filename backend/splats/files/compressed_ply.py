# SPDX-License-Identifier: GPL-3.0-or-later
"""PlayCanvas' compressed PLY (SuperSplat): chunks of 256 Gaussians with their bounds, four words a Gaussian.

Table ``chunk`` has the bounds of positions, log scales and, in newer files, colours; ``vertex`` the words: position and
scale as 11, 10 and 11 bits within the bounds, rotation as two bits for the largest part and ten for each other, colour
and opacity as bytes; ``sh``, if there, a byte for each further coefficient, −4 to 4. Source: PlayCanvas engine and
splat-transform (MIT).
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from ..cloud import DC, Splats
from .checks import Notes, Source, damaged, degree_of
from .ply_table import Y_UP, Header, columns, header_text, read_table

Array = np.ndarray[Any, Any]

_CHUNK = 256
_AXES = "xyz"
_WORDS = ["packed_position", "packed_rotation", "packed_scale", "packed_color"]
#: Logarithms of scales are kept within these when written.
_LOG_SCALES = (-20.0, 20.0)


def _bounds(kind: str) -> tuple[list[str], list[str]]:
    """Columns of the lower and the upper bounds: of positions ``''``, scales ``'scale_'``; of colours ``'colour'``."""
    letters = "rgb" if kind == "colour" else [kind + axis for axis in _AXES]
    return [f"min_{letter}" for letter in letters], [f"max_{letter}" for letter in letters]


def read(source: Source, header: Header, notes: Notes) -> Splats:
    """The cloud of a file whose header was read."""
    chunks, table = read_table(source, header, "chunk"), read_table(source, header, "vertex")
    needed = [name for kind in ("", "scale_") for names in _bounds(kind) for name in names]
    if any(name not in header.names("chunk") for name in needed) or len(chunks) != -(-len(table) // _CHUNK):
        raise damaged(source.name, "has chunks that do not fit its Gaussians")
    if any(name not in header.names("vertex") for name in _WORDS):
        raise damaged(source.name, "lacks some of the words of a compressed Gaussian")
    which = np.arange(len(table)) // _CHUNK
    words = [table[name].astype(np.uint32) for name in _WORDS]

    def within(kind: str, shares: Array) -> Array:
        low, high = (columns(chunks, names)[which] for names in _bounds(kind))
        return low + (high - low) * shares

    colour = np.stack([_bits(words[3], 24, 8), _bits(words[3], 16, 8), _bits(words[3], 8, 8)], -1)
    if "min_r" in header.names("chunk"):
        colour = within("colour", colour)
    with np.errstate(over="ignore", invalid="ignore"):
        return Splats(
            means=within("", _three(words[0])),
            quats=_rotation(words[1]),
            scales=np.exp(within("scale_", _three(words[2]))),
            opacity=_bits(words[3], 0, 8),
            sh=_harmonics(source, header, (colour - 0.5) / np.float32(DC), notes),
        )


def _harmonics(source: Source, header: Header, constant: Array, notes: Notes) -> Array:
    names = header.names("sh")
    count = len([name for name in names if name.startswith("f_rest_")])
    if not count:
        return constant[:, None]
    each = count // 3
    kept = (degree_of(each) + 1) ** 2 - 1
    if kept * 3 != count or header.count("sh") != len(constant):
        raise damaged(source.name, "has harmonics that do not fit its Gaussians")
    table = read_table(source, header, "sh")
    values = np.stack([table[f"f_rest_{index}"] for index in range(count)], -1).astype(np.float32)
    share = np.where(values == 0, 0, np.where(values >= 255, 1, (values + 0.5) / 256))
    rest = ((share - 0.5) * 8).reshape(-1, 3, each).transpose(0, 2, 1)
    return np.concatenate([constant[:, None], rest], axis=1).astype(np.float32)


def _bits(words: Array, shift: int, count: int) -> Array:
    """A field of the words as 0..1."""
    most = (1 << count) - 1
    return ((words >> shift) & most).astype(np.float32) / most


def _three(words: Array) -> Array:
    return np.stack([_bits(words, 21, 11), _bits(words, 11, 10), _bits(words, 0, 11)], -1)


def _rotation(words: Array) -> Array:
    others = np.stack([_bits(words, shift, 10) for shift in (20, 10, 0)], -1) * np.sqrt(2) - np.sqrt(0.5)
    largest = np.sqrt(np.maximum(0, 1 - np.sum(others**2, axis=1)))
    which = words >> 30
    quats = np.empty((len(words), 4), np.float32)
    for place in range(4):
        # The others keep their order around the largest.
        part = np.where(which < place, others[:, max(place - 1, 0)], others[:, min(place, 2)])
        quats[:, place] = np.where(which == place, largest, part)
    return quats


def write(splats: Splats, file: BinaryIO, notes: Notes, y_up: bool = False) -> None:
    """Write the form with bounds of colours, Gaussians along a Morton curve so that chunks are compact.

    ``y_up``: its axes are glTF's.
    """
    if splats.material is not None:
        notes.add("Compressed PLY holds no material; write plain PLY or GLB to keep it.")
    order = morton_order(splats.means)
    splats = splats[order]
    starts = np.arange(0, len(splats), _CHUNK)
    sizes = np.diff([*starts, len(splats)])
    bounds: dict[str, Array] = {}

    def shares(kind: str, values: Array) -> Array:
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        for names, rows in zip(_bounds(kind), (low, high), strict=True):
            bounds.update({name: rows[:, axis] for axis, name in enumerate(names)})
        span = np.where(high > low, high - low, 1)
        if not kind:
            _tell_moved(np.repeat(span, sizes, axis=0), splats, notes)
        return (values - np.repeat(low, sizes, axis=0)) / np.repeat(span, sizes, axis=0)

    words = np.empty(len(splats), [(name, "<u4") for name in _WORDS])
    words["packed_position"] = _pack(shares("", splats.means), (11, 10, 11))
    words["packed_rotation"] = _pack_rotation(splats.quats)
    words["packed_scale"] = _pack(shares("scale_", np.clip(np.log(splats.scales), *_LOG_SCALES)), (11, 10, 11))
    colour = np.concatenate([shares("colour", splats.base_colour), splats.opacity[:, None]], axis=1)
    words["packed_color"] = _pack(colour, (8, 8, 8, 8))
    chunks = np.empty(len(starts), [(name, "<f4") for name in bounds])
    for name, values in bounds.items():
        chunks[name] = values
    tables = [("chunk", chunks), ("vertex", words)]
    if splats.degree:
        rest = splats.sh[:, 1:].transpose(0, 2, 1).reshape(len(splats), -1)
        beyond = float(np.mean(np.abs(rest) > 4))
        if beyond > 0:
            notes.add(f"{beyond:.2%} of the harmonics lie beyond the ±4 that compressed PLY holds and were clipped.")
        packed = np.clip(np.floor((rest / 8 + 0.5) * 256), 0, 255).astype(np.uint8)
        tables.append(("sh", packed.view([(f"f_rest_{index}", "u1") for index in range(packed.shape[1])])[:, 0]))
    file.write(header_text(tables, [Y_UP] if y_up else []))
    for _, table in tables:
        file.write(table.tobytes())


def _tell_moved(span: Array, splats: Splats, notes: Notes) -> None:
    """Say how many Gaussians lie in a chunk so wide, ``span`` (N, 3), that its grid moves them by far."""
    coarse = int((span.max(axis=1) / 2046 > 4 * splats.scales.max(axis=1)).sum())
    if coarse:
        notes.add(
            f"{coarse} Gaussians share a chunk of compressed PLY with far ones, and move by several times their "
            "size: delete what is far from the cloud first."
        )


def _pack(shares: Array, bits: tuple[int, ...]) -> Array:
    """(N,) words of shares (N, len(bits)) in 0..1, the first in the highest bits."""
    word = np.zeros(len(shares), np.uint32)
    for column, count in enumerate(bits):
        most = (1 << count) - 1
        word = (word << np.uint32(count)) | np.round(np.clip(shares[:, column], 0, 1) * most).astype(np.uint32)
    return word


def _pack_rotation(quats: Array) -> Array:
    which = np.argmax(np.abs(quats), axis=1)
    turned = quats * np.where(np.take_along_axis(quats, which[:, None], 1) < 0, -1, 1)
    others = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])[which]
    shares = np.take_along_axis(turned, others, 1) * np.sqrt(0.5) + 0.5
    return (which.astype(np.uint32) << 30) | _pack(shares, (10, 10, 10))


def morton_order(points: Array) -> Array:
    """(N,) numbers of ``points`` (N, 3) along a Morton curve of 1024 cells an axis."""
    low, span = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-12)
    cells = np.minimum((points - low) / span * 1024, 1023).astype(np.uint64)
    code = np.zeros(len(points), np.uint64)
    for bit in range(10):
        for axis in range(3):
            code |= ((cells[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return np.argsort(code, kind="stable")
