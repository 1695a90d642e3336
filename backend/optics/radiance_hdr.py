# SPDX-License-Identifier: GPL-3.0-or-later
"""Radiance's .hdr pictures (Ward, "Real Pixels", Graphics Gems II, 1991): shared-exponent colours, run lengths.

Read here because imageio gives such files to whatever plugin is installed, a movie reader of eight bits among them.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

#: Scanlines of these widths may be packed channel by channel.
_PACKED = range(8, 32768)


def read_hdr(path: Path) -> np.ndarray:
    """Linear RGB (H, W, 3) float32 of a picture. Raises :class:`ValueError` for what is none, or is cut off."""
    data = path.read_bytes()
    head, _, rest = data.partition(b"\n\n")
    line, _, body = rest.partition(b"\n")
    size = re.fullmatch(rb"-Y (\d+) \+X (\d+)", line.strip())
    if not head.startswith(b"#?") or size is None or b"xyze" in head:
        raise ValueError("it has no header of an upright RGB picture")
    height, width = (int(number) for number in size.groups())
    if not 0 < height * width <= 2**28:
        raise ValueError(f"it is {width}×{height} pixels")
    rgbe = _pixels(np.frombuffer(body, np.uint8), height, width)
    scale = np.ldexp(np.float32(1), rgbe[..., 3].astype(np.int32) - 136) * (rgbe[..., 3:] > 0)[..., 0]
    return (rgbe[..., :3] * scale[..., None]).astype(np.float32)


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
