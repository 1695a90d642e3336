# SPDX-License-Identifier: GPL-3.0-or-later
"""Places of a mesh's corners in its texture: made where there are none, and looked at where there are."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ...compiled import njit
from ...errors import BadInput
from ..raster.project import JIT
from .geometry import Array

#: Seconds between looks at a surface that is being unwrapped.
_PAUSE = 0.1
#: Texels a side of the square in which parts that lie over each other are looked for.
_LOOKED = 512


def unwrapped(points: Array, faces: Array, texels: int, check: Callable[[], None] = lambda: None) -> Array:
    """(F, 3, 2): places in a square texture, by xatlas in a process of its own; ``check`` may end it by raising."""
    with TemporaryDirectory(prefix="limelight-") as name:
        folder = Path(name)
        np.save(folder / "points.npy", np.ascontiguousarray(points, np.float32))
        np.save(folder / "faces.npy", np.ascontiguousarray(faces, np.uint32))
        program = Path(__file__).with_name("unwrap.py")
        with subprocess.Popen(
            [sys.executable, "-I", "-B", str(program), name, str(texels)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ) as process:  # fmt: skip
            try:
                while process.poll() is None:
                    check()
                    time.sleep(_PAUSE)
            finally:
                process.kill()
        uv = np.load(folder / "uv.npy") if (folder / "uv.npy").is_file() else np.empty((0, 3, 2), np.float32)
    if len(uv) != len(faces):
        raise BadInput("The mesh cannot be unwrapped.", "Unwrap it in Blender and export it as .obj.")
    return uv


def overlap(uv: Array) -> float:
    """The share of what corners (F, 3, 2) cover of the square that more than one triangle covers."""
    count = np.zeros((_LOOKED, _LOOKED), np.int32)
    _cover(uv.astype(np.float64) * _LOOKED, count)
    return float((count > 1).sum() / max(1, (count > 0).sum()))


@njit(**JIT)
def _cover(uv: Any, count: Any) -> None:
    """Count the triangles over the middle of every texel; an edge belongs to one of its two sides."""
    size = len(count)
    for n in range(len(uv)):
        x, y = uv[n, :, 0] - 0.5, uv[n, :, 1] - 0.5
        area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
        if area == 0:
            continue
        left, right = max(0, int(np.ceil(x.min()))), min(size - 1, int(np.floor(x.max())))
        bottom, top = max(0, int(np.ceil(y.min()))), min(size - 1, int(np.floor(y.max())))
        for row in range(bottom, top + 1):
            for column in range(left, right + 1):
                inside = True
                for k in range(3):
                    i, j = (k + 1) % 3, (k + 2) % 3
                    side = ((x[i] - column) * (y[j] - row) - (x[j] - column) * (y[i] - row)) / area
                    if side <= 0:
                        inside = False
                if inside:
                    count[row, column] += 1
