# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats out of the one kind of file that is read without the engine: binary PLY as trainers and the engine write it.

Every other splat file the engine turns into this one. The columns are those of 3DGS, before their activation; the
material's are documented in docs/scripting.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import whole_file

_LONGEST_HEADER = 1 << 16
_PLAIN = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
_SHAPE = ["scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
_MATERIAL = {"albedo": ["albedo_0", "albedo_1", "albedo_2"], "metallic": ["metallic"], "roughness": ["roughness"],
             "progress": ["progress"]}  # fmt: skip
#: The comments by which a file says which of its axes is up; without one, y points down.
_COMMENTS = {"Z_UP": b"comment z up", "Y_UP": b"comment y up"}
#: Numbers beyond this are damage.
_LARGEST = 1e9


@dataclass(frozen=True)
class Cloud:
    """N Gaussians in their file's axes, float32.

    ``means`` (N, 3); ``base`` (N, 4): constant harmonics of red, green, blue, and opacity 0..1; ``scales`` (N, 3)
    linear; ``rotations`` (N, 4) w x y z, unit length; ``harmonics`` (N, K, 3) beyond the constant; ``material`` by
    name; ``left_out`` counts those with impossible numbers.
    """

    means: np.ndarray
    base: np.ndarray
    scales: np.ndarray
    rotations: np.ndarray
    harmonics: np.ndarray
    material: dict[str, np.ndarray]
    left_out: int


def plain(path: Path) -> bool:
    """Whether a file is of the kind that ``read`` reads."""
    return _layout(path) is not None


def axes(path: Path) -> str:
    """What a file says of its axes: Z_UP as Blender's, Y_UP as glTF's, or else Y_DOWN as trainers have them."""
    with path.open("rb") as file:
        lines = file.read(_LONGEST_HEADER).partition(b"end_header")[0].splitlines()
    return next((name for name, comment in _COMMENTS.items() if comment in lines), "Y_DOWN")


def _layout(path: Path) -> tuple[list[str], int, int] | None:
    """Columns, rows and the data's offset; None unless all columns are floats and the file is as long as it says."""
    try:
        with path.open("rb") as file:
            head = file.read(_LONGEST_HEADER)
        size = path.stat().st_size
    except OSError:
        return None
    end = head.find(b"end_header\n")
    if not head.startswith(b"ply\n") or end < 0:
        return None
    names, count, start = [], 0, end + len(b"end_header\n")
    for line in head[:end].decode("latin-1").splitlines()[1:]:
        words = line.split()
        if words[:2] == ["format", "binary_little_endian"] or words[:1] == ["comment"] or not words:
            continue
        if words[:2] == ["element", "vertex"] and not count and words[2:][:1] and words[2].isdecimal():
            count = int(words[2])
        elif words[:2] in (["property", "float"], ["property", "float32"]) and count and len(words) == 3:
            names.append(words[2])
        else:
            return None
    whole = set(names) >= {*_PLAIN, *_SHAPE} and len(set(names)) == len(names)
    return (names, count, start) if whole and count and start + 4 * count * len(names) <= size else None


def read(path: Path) -> Cloud:
    """The Gaussians of a plain file; raises ``ValueError`` with an artist's sentence if there are none to use."""
    found = _layout(path)
    if found is None:
        raise ValueError(f"{path.name} is no binary PLY of Gaussian splats")
    names, count, start = found
    table = np.memmap(path, "<f4", "r", start, (count, len(names)))
    place = {name: index for index, name in enumerate(names)}
    rest = 0
    while f"f_rest_{rest}" in place:
        rest += 1

    def columns(wanted: list[str]) -> np.ndarray:
        first = place[wanted[0]]
        if [place[name] for name in wanted] == list(range(first, first + len(wanted))):
            return np.array(table[:, first : first + len(wanted)], np.float32)
        return np.stack([table[:, place[name]] for name in wanted], -1)

    with np.errstate(over="ignore", invalid="ignore"):
        logits = columns(["opacity"])
        base = np.concatenate([columns(_PLAIN[3:6]), 0.5 + 0.5 * np.tanh(0.5 * logits)], axis=1)
        parts = [columns(_PLAIN[:3]), base, np.exp(columns(_SHAPE[:3])), columns(_SHAPE[3:])]
        parts.append(_harmonics(columns([f"f_rest_{index}" for index in range(rest)]), count) if rest >= 9 else
                     np.empty((count, 0, 3), np.float32))  # fmt: skip
        usable = np.ones(count, bool)
        for part in parts:
            usable &= (np.abs(part.reshape(count, -1)) < _LARGEST).all(axis=1)
    material = {}
    if all(name in place for group in _MATERIAL.values() for name in group):
        values = {name: np.clip(np.nan_to_num(columns(group)), 0, 1) for name, group in _MATERIAL.items()}
        material = {name: value[usable] for name, value in values.items()}
    if not usable.all():
        parts = [part[usable] for part in parts]
    if not len(parts[0]):
        raise ValueError(f"{path.name} holds no Gaussian with usable numbers")
    means, base, scales, rotations, harmonics = parts
    length = np.linalg.norm(rotations, axis=1, keepdims=True)
    rotations = np.where(length > 1e-12, rotations / np.maximum(length, 1e-12), np.array([1, 0, 0, 0], np.float32))
    return Cloud(means, base, np.maximum(scales, 1e-12), rotations, harmonics, material, count - len(means))


def write(path: Path, cloud: Cloud, axes: str = "Y_DOWN") -> None:
    """Write a cloud as the binary PLY that ``read`` reads, whole or not at all, and that it has these ``axes``.

    Raises ``ValueError`` if it has no Gaussians.
    """
    count = len(cloud.means)
    if not count:
        raise ValueError("no Gaussians are left to write")
    opacity = np.clip(cloud.base[:, 3:], 1e-6, 1 - 1e-6)
    rest = cloud.harmonics.transpose(0, 2, 1).reshape(count, -1)
    parts: list[tuple[list[str], np.ndarray]] = [
        (_PLAIN[:3], cloud.means),
        (_PLAIN[3:6], cloud.base[:, :3]),
        ([f"f_rest_{index}" for index in range(rest.shape[1])], rest),
        (_PLAIN[6:], np.log(opacity / (1 - opacity))),
        (_SHAPE[:3], np.log(np.maximum(cloud.scales, 1e-12))),
        (_SHAPE[3:], cloud.rotations),
        *((_MATERIAL[name], values) for name, values in cloud.material.items()),
    ]
    names = [name for group, _ in parts for name in group]
    lines = ["ply", "format binary_little_endian 1.0", "comment Limelight", f"element vertex {count}"]
    if axes in _COMMENTS:
        lines.insert(3, _COMMENTS[axes].decode())
    head = "\n".join([*lines, *(f"property float {name}" for name in names), "end_header\n"]).encode()
    whole_file.write(path, head + np.concatenate([values for _, values in parts], axis=1).astype("<f4").tobytes())


def _harmonics(rest: np.ndarray, count: int) -> np.ndarray:
    """(N, K, 3) of columns that go channel by channel; the complete degrees up to the fourth."""
    each = rest.shape[1] // 3
    kept = next(k for k in (24, 15, 8, 3, 0) if each >= k) if rest.shape[1] % 3 == 0 else 0
    return rest[:, : 3 * each].reshape(count, 3, each)[:, :, :kept].transpose(0, 2, 1)
