# SPDX-License-Identifier: GPL-3.0-or-later
"""Skins that somebody painted or photographed in MakeHuman's layout, as many CC0 ones are, brought into the head's.

The head's UV are MakeHuman's head island turned upright and stretched around the nose
(``training/relightify/head_model.py``, which printed the numbers below), so the way back is a formula.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from ...backend.errors import BadInput
from ...backend.optics.photo import read_photo
from . import spectra
from .layout import fill, layout
from .person import ANGLES

#: The nose in MakeHuman's UV, the stretch along the head's u and v, and the stretched island's least and largest.
_NOSE = np.array([0.871836, 0.483168])
_SHARP = np.array([10.02805006, 14.54592793])
_LOW, _HIGH = np.array([-1.9248473, -1.33574558]), np.array([1.92483005, 1.9248473])
_MARGIN = 0.01
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
#: Painted skins darker or lighter than any albedo of skin or hair are not taken at their word.
_LEAST, _MOST = 0.003, 0.95


def skin_files(folder: Path | None) -> list[Path]:
    """The pictures of a folder, sorted; none without a folder. Raises :class:`BadInput` where it holds none."""
    if folder is None:
        return []
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise BadInput(f"{folder} holds no pictures.", "Name a folder of skins in MakeHuman's layout (PNG, JPEG).")
    return found


def to_makehuman(uv: np.ndarray) -> np.ndarray:
    """MakeHuman's UV (…, 2) of places (…, 2) in the head's UV, both with v upwards."""
    wide = _LOW + (uv - _MARGIN) / (1 - 2 * _MARGIN) * (_HIGH - _LOW)
    flat = np.sinh(wide) / _SHARP
    return np.stack([_NOSE[0] - flat[..., 1], _NOSE[1] + flat[..., 0]], -1)


def albedo(path: Path, size: int) -> np.ndarray:
    """The skin in a picture as linear diffuse albedo (R, R, 3) on the head's square, ``size`` texels a side.

    A picture is taken for albedo as it is: light that was painted into it stays.
    """
    picture = read_photo(path, None).radiance.permute(2, 0, 1)[None]
    at = layout(size)
    u, v = to_makehuman(np.stack([at.u, 1 - at.v], -1)).astype(np.float32).T
    grid = torch.from_numpy(np.stack([u.T * 2 - 1, 1 - v.T * 2], -1))[None]
    found = F.grid_sample(picture, grid, padding_mode="border", align_corners=False)[0].permute(1, 2, 0).numpy()
    # Beside the island the picture shows other parts of the body.
    return fill(found.clip(_LEAST, _MOST), at.mask)


def typology(skin: np.ndarray) -> tuple[int, float]:
    """Tone (an index into :data:`.person.TONES`) and typology angle in degrees of a skin (R, R, 3): its forehead's."""
    angle = float(np.median(spectra.tone_angle(skin[layout(len(skin)).blob(0, 35, 15, 10) > 0.6])))
    return next((tone for tone, (low, _) in enumerate(ANGLES) if angle >= low), len(ANGLES) - 1), angle
