# SPDX-License-Identifier: GPL-3.0-or-later
""".splat (antimatter15's viewer): 32 bytes a Gaussian and nothing else.

Position and scale as three floats each, colour and opacity as four bytes, rotation w x y z as four bytes around 128.
No harmonics beyond the constant, no header: the length tells the count. Viewers want large, opaque Gaussians first.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from ..cloud import DC, Splats
from .checks import Notes, Source, check_count, damaged

ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("colour", "u1", 4), ("rotation", "u1", 4)])


def read(source: Source, notes: Notes) -> Splats:
    """A cloud from a .splat file."""
    if len(source.data) % ROW.itemsize:
        raise damaged(source.name, f"is no .splat: its length is no multiple of {ROW.itemsize} bytes")
    count = check_count(len(source.data) // ROW.itemsize, source.name)
    rows = source.array(ROW, count, 0)
    colour = rows["colour"].astype(np.float32) / 255
    return Splats(
        means=rows["mean"].astype(np.float32),
        quats=(rows["rotation"].astype(np.float32) - 128) / 128,
        scales=rows["scale"].astype(np.float32),
        opacity=colour[:, 3],
        sh=((colour[:, :3] - 0.5) / np.float32(DC))[:, None],
    )


def write(splats: Splats, file: BinaryIO, notes: Notes) -> None:
    """Write it, the most visible first."""
    if splats.degree or splats.material is not None:
        notes.add("A .splat file holds neither view-dependent colour nor material; both were left out.")
    order = np.argsort(-splats.opacity * np.prod(splats.scales.astype(np.float64), axis=1), kind="stable")
    splats = splats[order]
    rows = np.empty(len(splats), ROW)
    rows["mean"], rows["scale"] = splats.means, splats.scales
    colour = np.concatenate([splats.base_colour, splats.opacity[:, None]], axis=1)
    # Rounding alone reaches half a step beyond.
    beyond = float(np.mean(np.abs(colour - 0.5) > 0.5 + 0.5 / 255))
    if beyond > 0:
        notes.add(f"{beyond:.2%} of the colours lie beyond the 0 to 1 that .splat holds and were clipped.")
    rows["colour"] = np.round(np.clip(colour, 0, 1) * 255)
    rows["rotation"] = np.clip(np.round(splats.quats * 128 + 128), 0, 255)
    file.write(rows.tobytes())
