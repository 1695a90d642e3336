# SPDX-License-Identifier: GPL-3.0-or-later
"""Radiance's .hdr pictures (Ward, "Real Pixels", Graphics Gems II, 1991): shared-exponent colours, run lengths.

Read here because imageio gives such files to whatever plugin is installed, a movie reader of eight bits among them.
"""

from __future__ import annotations

import re
from itertools import islice, takewhile
from pathlib import Path
from typing import IO

import numpy as np

#: Scanlines of these widths may be packed channel by channel.
_PACKED = range(8, 32768)
#: Bytes a line and lines that a header may have.
_LONGEST, _LINES = 4096, 256


def read_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture. Raises :class:`ValueError` for what is no upright RGB picture."""
    with path.open("rb") as file:
        return _header(file)


def read_hdr(path: Path) -> np.ndarray:
    """Linear RGB (H, W, 3) float32 of a picture. Raises :class:`ValueError` for what is none, or is cut off."""
    with path.open("rb") as file:
        width, height = _header(file)
        rgbe = _pixels(np.frombuffer(file.read(), np.uint8), height, width)
    scale = np.ldexp(np.float32(1), rgbe[..., 3].astype(np.int32) - 136) * (rgbe[..., 3:] > 0)[..., 0]
    return (rgbe[..., :3] * scale[..., None]).astype(np.float32)


def _header(file: IO[bytes]) -> tuple[int, int]:
    """Width and height, with the file left where the pixels start."""
    head = list(takewhile(bytes.strip, islice(iter(lambda: file.readline(_LONGEST), b""), _LINES)))
    size = re.fullmatch(rb"-Y ([1-9]\d*) \+X ([1-9]\d*)", file.readline(_LONGEST).strip())
    if not head or not head[0].startswith(b"#?") or size is None or b"xyze" in b"".join(head):
        raise ValueError("it has no header of an upright RGB picture")
    return int(size[2]), int(size[1])


def _pixels(data: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, 4) uint8, packed or not."""
    if width not in _PACKED or not _is_packed(data, 0, width):
        if data.size < height * width * 4:
            raise ValueError("it is cut off, or packed in an old way")
        return data[: height * width * 4].reshape(height, width, 4)
    found, at = np.empty((height, 4, width), np.uint8), 0
    for row in range(height):
        if not _is_packed(data, at, width):
            raise ValueError("it is cut off or damaged")
        at += 4
        for channel in range(4):
            at = _unpack(data, at, found[row, channel])
    return found.transpose(0, 2, 1)


def _is_packed(data: np.ndarray, at: int, width: int) -> bool:
    start = data[at : at + 4]
    return start.size == 4 and start[0] == 2 and start[1] == 2 and int(start[2]) * 256 + int(start[3]) == width


def _unpack(data: np.ndarray, at: int, row: np.ndarray) -> int:
    """Fill a channel of a scanline from ``data``; returns where the next one starts."""
    done = 0
    while done < row.size:
        count = int(data[at]) if at < data.size else 0
        run = count > 128
        length = count - 128 if run else count
        told = data[at + 1 : at + 2 if run else at + 1 + length]
        if length == 0 or done + length > row.size or told.size != (1 if run else length):
            raise ValueError("it is cut off or damaged")
        row[done : done + length] = told
        done, at = done + length, at + 1 + told.size
    return at
