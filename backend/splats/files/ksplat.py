# SPDX-License-Identifier: GPL-3.0-or-later
""".ksplat (mkkellogg's GaussianSplats3D): sections of Gaussians, plain or quantised within buckets. Read only.

A header of 4096 bytes, then 1024 a section, then each section's buckets and rows. Level 0 stores floats; level 1
positions as 16 bits around the centre of their bucket and halves; level 2 harmonics as bytes too.
Source: SplatBuffer.js (MIT).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cloud import DC, Splats
from ..place import merged
from .checks import Notes, Source, check_count, damaged

Array = np.ndarray[Any, Any]

_FILE_HEADER, _SECTION_HEADER = 4096, 1024
_MOST_SECTIONS = 4096
_RANGE = 1.5


@dataclass(frozen=True)
class _Section:
    """What a section's header says, in its words."""

    count: int
    room: int
    bucket_size: int
    buckets: int
    block: float
    bucket_bytes: int
    scale_range: int
    full: int
    partial: int
    degree: int


def is_ksplat(data: Array) -> bool:
    """Whether bytes begin as such a file: version 0.1 and a known level."""
    return len(data) >= _FILE_HEADER and data[0] == 0 and 1 <= data[1] < 16 and int(data[20:22].view("<u2")[0]) < 3


def read(source: Source, notes: Notes) -> Splats:
    """A cloud from a .ksplat file."""
    start = source.part(0, _FILE_HEADER)
    if not is_ksplat(start):
        raise damaged(source.name, "is no .ksplat of a known version")
    room, _, _, count = start[4:20].view("<u4").tolist()
    level = int(start[20:22].view("<u2")[0])
    check_count(count, source.name)
    if room > _MOST_SECTIONS:
        raise damaged(source.name, f"claims {room} sections")
    low, high = start[36:44].view("<f4").tolist()
    limits = (low or -_RANGE, high or _RANGE)
    offset, clouds = _FILE_HEADER + room * _SECTION_HEADER, []
    for index in range(room):
        section = _section(source, index, level)
        row = _row(level, section.degree)
        lead = section.bucket_bytes * section.buckets + 4 * section.partial
        if section.count:
            clouds.append(_cloud(source, section, level, offset, limits))
        offset += lead + row.itemsize * section.room
    if not clouds:
        raise damaged(source.name, "holds no Gaussians")
    return merged(clouds)


def _section(source: Source, index: int, level: int) -> _Section:
    head = source.part(_FILE_HEADER + index * _SECTION_HEADER, _SECTION_HEADER)
    count, room, bucket_size, buckets = head[:16].view("<u4").tolist()
    full, partial = head[32:40].view("<u4").tolist()
    degree = int(head[40:42].view("<u2")[0])
    if degree > 3 or count > room:
        raise damaged(source.name, "has a section with values out of range")
    scale_range = int(head[24:28].view("<u4")[0]) or (1 if level == 0 else 32767)
    block, stored = float(head[16:20].view("<f4")[0]), int(head[20:22].view("<u2")[0])
    return _Section(count, room, bucket_size, buckets, block, stored, scale_range, full, partial, degree)


def _row(level: int, degree: int) -> np.dtype[Any]:
    number = "<f4" if level == 0 else "<f2"
    rest = ((degree + 1) ** 2 - 1) * 3
    return np.dtype(
        [
            ("mean", "<f4" if level == 0 else "<u2", 3),
            ("scale", number, 3),
            ("rotation", number, 4),
            ("colour", "u1", 4),
            ("rest", ("<f4", "<f2", "u1")[level], rest),
        ]
    )


def _cloud(source: Source, section: _Section, level: int, offset: int, limits: tuple[float, float]) -> Splats:
    lead = section.bucket_bytes * section.buckets + 4 * section.partial
    rows = source.array(_row(level, section.degree), section.count, offset + lead)
    means: Array = rows["mean"].astype(np.float32)
    if level:
        bucket = _buckets(source, section, offset)
        step = section.block / 2 / section.scale_range
        centres = source.array("<f4", 3 * section.buckets, offset + 4 * section.partial).reshape(-1, 3)
        with np.errstate(over="ignore", invalid="ignore"):
            means = ((means - section.scale_range) * step + centres[bucket]).astype(np.float32, copy=False)
    colour = rows["colour"].astype(np.float32) / 255
    sh = np.empty((section.count, (section.degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = (colour[:, :3] - 0.5) / np.float32(DC)
    rest: Array = rows["rest"].astype(np.float32)
    if level == 2:
        rest = limits[0] + rest / 255 * (limits[1] - limits[0])
    for degree in range(1, section.degree + 1):
        # Degree after degree, within each channel after channel.
        first, terms = (degree * degree - 1) * 3, 2 * degree + 1
        band = rest[:, first : first + 3 * terms].reshape(-1, 3, terms)
        sh[:, degree * degree : (degree + 1) ** 2] = band.transpose(0, 2, 1)
    parts = (rows["rotation"].astype(np.float32), rows["scale"].astype(np.float32))
    return Splats(means, parts[0], parts[1], colour[:, 3], sh)


def _buckets(source: Source, section: _Section, offset: int) -> Array:
    """(count,) the bucket of each row: full ones first, then those whose lengths are listed."""
    lengths = source.array("<u4", section.partial, offset).astype(np.int64)
    in_full = min(section.full * section.bucket_size, section.count)
    last = np.cumsum(lengths) + section.full * section.bucket_size
    rows = np.arange(section.count)
    bucket = rows // max(section.bucket_size, 1)
    bucket[in_full:] = section.full + np.searchsorted(last, rows[in_full:], side="right")
    if section.bucket_bytes != 12 or bucket.max() >= section.buckets:
        raise damaged(source.name, "has rows outside its buckets")
    return bucket
