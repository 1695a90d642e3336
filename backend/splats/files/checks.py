# SPDX-License-Identifier: GPL-3.0-or-later
"""What every reader of splats relies on: bytes with checked bounds, sane numbers, and sentences for the rest.

A header's count is believed only as far as the file has bytes for it, so memory stays within a small multiple of the
file's size; a compressed file may unpack to two hundred times its size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BadInput
from ..cloud import HIGHEST_DEGREE, Material, Splats

Array = np.ndarray[Any, Any]

#: More Gaussians than this are not opened.
MOST = 50_000_000
#: What compressed data may unpack to: times its own size, and this much in any case.
EXPANSION, SPARE = 200, 1 << 20
#: Positions, sizes and coefficients beyond this are damage.
LARGEST = 1e9
#: The smallest standard deviation, so that no Gaussian is without extent.
THINNEST = 1e-12


@dataclass
class Notes:
    """What a reader or writer had to leave out or mend, as sentences for the artist."""

    lines: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """One more, unless it was said."""
        if text not in self.lines:
            self.lines.append(text)


@dataclass(frozen=True)
class Source:
    """A file's bytes (uint8, perhaps mapped from disk), the name that errors call it, the folder it lies in."""

    data: Array
    name: str
    folder: Path | None = None

    def part(self, offset: int, size: int) -> Array:
        """``size`` bytes from ``offset``; an error if the file ends before."""
        if offset < 0 or size < 0 or offset + size > len(self.data):
            raise cut_short(self.name)
        return self.data[offset : offset + size]

    def array(self, dtype: Any, count: int, offset: int) -> Array:
        """(count,) of ``dtype`` from ``offset``; a view if the file is aligned for it."""
        return self.part(offset, count * np.dtype(dtype).itemsize).view(dtype)


def damaged(name: str, what: str) -> BadInput:
    """The file contradicts itself: ``what`` completes the sentence."""
    return BadInput(f"The splat file {name} {what}.", "Export it again, or choose another file.", "bad_splats")


def cut_short(name: str) -> BadInput:
    """The file is shorter than it says."""
    return damaged(name, "ends before the data that its header promises")


def check_count(count: int, name: str) -> int:
    """``count`` if it can be the number of Gaussians of a file."""
    if count <= 0:
        raise damaged(name, "holds no Gaussians")
    if count > MOST:
        raise damaged(name, f"claims {count} Gaussians, more than the {MOST} that can be opened")
    return count


def check_expansion(size: int, packed: int, name: str) -> None:
    """An error if so few ``packed`` bytes claim to unpack to ``size`` ones that it is a trap and no cloud."""
    if size > packed * EXPANSION + SPARE:
        raise damaged(name, f"claims to unpack to {size} bytes from {packed}")


def degree_of(coefficients: int) -> int:
    """The degree that so many coefficients beyond the constant one fill: 0 to 2 make none, 3 to 7 the first, …."""
    return min(math.isqrt(coefficients + 1) - 1, HIGHEST_DEGREE)


def sigmoid(logits: Array) -> Array:
    """1 / (1 + e^−x) without overflow, float32."""
    return (0.5 + 0.5 * np.tanh(0.5 * logits.astype(np.float32))).astype(np.float32)


def logit(opacity: Array) -> Array:
    """The inverse of ``sigmoid``; of 0 and 1 what float32 comes next to them."""
    clipped = np.clip(opacity.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(clipped / (1 - clipped)).astype(np.float32)


def tidied(splats: Splats, name: str, notes: Notes) -> Splats:
    """The cloud as ``Splats`` promises it: finite, opacity 0..1, quaternions of unit length; the rest is left out."""
    with np.errstate(all="ignore"):
        whole = np.isfinite(splats.opacity)
        for values in (splats.means, splats.quats, splats.scales, splats.sh):
            whole &= (np.abs(values.reshape(len(splats), -1)) < LARGEST).all(axis=1)
        if not whole.all():
            splats = splats[whole]
            notes.add(f"{int((~whole).sum())} Gaussians with numbers out of range were left out.")
        if not len(splats):
            raise damaged(name, "holds no Gaussian with usable numbers")
        length = np.linalg.norm(splats.quats, axis=1, keepdims=True)
        quats = np.where(length > 1e-12, splats.quats / np.maximum(length, 1e-12), np.array([1, 0, 0, 0]))
        parts = [np.ascontiguousarray(values, np.float32) for values in (splats.means, quats)]
        scales = np.maximum(np.abs(splats.scales), THINNEST).astype(np.float32)
        opacity = np.clip(splats.opacity, 0, 1).astype(np.float32)
    sh = np.ascontiguousarray(splats.sh, np.float32)
    material = None if splats.material is None else _clean(splats.material)
    return replace(splats, means=parts[0], quats=parts[1], scales=scales, opacity=opacity, sh=sh, material=material)


def _clean(material: Material) -> Material:
    """Channels in 0..1; what is no number becomes 0."""
    channels = {name: np.clip(np.nan_to_num(value), 0, 1).astype(np.float32) for name, value in vars(material).items()}
    return Material(**channels)
