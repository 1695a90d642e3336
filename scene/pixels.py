# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of a picture as an array."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import bpy
import numpy as np

from . import compat


def of(image: bpy.types.Image) -> np.ndarray:
    """Values (H, W, C) float32 of an image, rows from the bottom as Blender keeps them."""
    width, height = image.size
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(height, width, image.channels)


def write(path: Path, values: np.ndarray) -> None:
    """Write (H, W) or (H, W, C) values, rows from the top, as they are into an EXR; alpha is 1 unless C is 4."""
    height, width = values.shape[:2]
    image = bpy.data.images.new("limelight", width, height, alpha=True, float_buffer=True)
    try:
        compat.keep_values(image)
        grid = np.ones((height, width, 4), np.float32)
        layers = values.reshape(height, width, -1)
        count = layers.shape[-1] if layers.shape[-1] in {3, 4} else 3
        grid[..., :count] = layers[..., :count]
        image.pixels.foreach_set(grid[::-1].ravel())
        image.filepath_raw, image.file_format = str(path), "OPEN_EXR"
        image.save()
    finally:
        bpy.data.images.remove(image)


def write_png(path: Path, values: np.ndarray) -> None:
    """Write (H, W, 3 or 4) values in 0..1, rows from the top, as 8 bits into a PNG.

    It is not compressed: for a large photo that takes Blender many seconds.
    """
    height, width, channels = values.shape

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))

    with path.open("wb") as file:
        kind = 6 if channels == 4 else 2
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)))
        packer = zlib.compressobj(0)
        # A few rows at a time stay in the processor's cache. Before each stands its filter, 0 for none.
        for top in range(0, height, 64):
            part = values[top : top + 64]
            rows = np.zeros((len(part), 1 + width * channels), np.uint8)
            rows[:, 1:] = (part * np.float32(255) + np.float32(0.5)).reshape(len(part), -1)
            file.write(chunk(b"IDAT", packer.compress(rows.data)))
        file.write(chunk(b"IDAT", packer.flush()) + chunk(b"IEND", b""))


def read(path: Path) -> np.ndarray:
    """Values (H, W, C) float32 as they stand in a file, rows from the top; ``RuntimeError`` if it is unreadable."""
    image = bpy.data.images.load(str(path), check_existing=False)
    try:
        compat.keep_values(image)
        values = of(image)
        if not values.size:
            raise RuntimeError(f"“{path.name}” is damaged or of a kind that Blender does not read")
        return values[::-1].copy()
    finally:
        bpy.data.images.remove(image)
