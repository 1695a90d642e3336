# SPDX-License-Identifier: GPL-3.0-or-later
"""The exact sRGB curve, both ways; the engine's own is in backend/optics/exposure.py."""

import numpy as np


def linear(shown: np.ndarray) -> np.ndarray:
    """Linear light, float32, of display values in [0, 1]; brighter ones follow the curve on."""
    return np.where(shown > 0.04045, ((shown + 0.055) / 1.055) ** 2.4, shown / 12.92).astype(np.float32)


def encoded(light: np.ndarray) -> np.ndarray:
    """Display values, float32, of linear light, 0 or more."""
    return np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light).astype(np.float32)
