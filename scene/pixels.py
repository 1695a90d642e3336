# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of a picture as an array."""

from __future__ import annotations

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
