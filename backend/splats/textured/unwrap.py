# SPDX-License-Identifier: GPL-3.0-or-later
"""Run as a program by :func:`.atlas.unwrapped`: xatlas lets no other thread of its process go on meanwhile, so that an
engine would seem dead. Reads points.npy, faces.npy and texels from a folder and writes uv.npy, (F, 3, 2)."""

import sys
from pathlib import Path

import numpy as np
import xatlas

#: Texels between the parts of an unwrapped surface.
_PADDING = 3


def main(folder: Path, texels: int) -> None:
    """Unwrap what lies in the folder."""
    atlas, packing = xatlas.Atlas(), xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = texels, _PADDING, True
    atlas.add_mesh(np.load(folder / "points.npy"), np.load(folder / "faces.npy"))
    atlas.generate(pack_options=packing)
    _, indices, uv = atlas[0]
    np.save(folder / "uv.npy", np.asarray(uv, np.float32)[indices].reshape(-1, 3, 2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
