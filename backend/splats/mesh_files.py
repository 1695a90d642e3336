# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles with normals and colours as PLY (the cloud's own axes) or binary glTF (y up)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import BadInput
from ..glb import Glb
from ..optics.exposure import srgb_eotf

Array = np.ndarray[Any, Any]


def write(path: Path, points: Array, normals: Array, faces: Array, colours: Array) -> None:
    """Write (V, 3) points and normals, (F, 3) faces and (V, 3) display colours 0..1; whole or not at all."""
    writer, half = writer_for(path), path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer(half, points, normals, faces, colours)
        half.replace(path)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise BadInput(f"The file {path} cannot be written ({error.strerror}).", "Choose another place.") from error


def writer_for(path: Path) -> Callable[[Path, Array, Array, Array, Array], None]:
    """What writes a file of this name."""
    writer = {".ply": _ply, ".glb": _glb}.get(path.suffix.lower())
    if writer is None:
        raise BadInput(f"A mesh cannot be written as {path.name}.", "End the name in .ply or .glb.")
    return writer


def _ply(path: Path, points: Array, normals: Array, faces: Array, colours: Array) -> None:
    lines = ["ply", "format binary_little_endian 1.0", "comment Limelight", f"element vertex {len(points)}"]
    lines += [f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")]
    lines += [f"property uchar {name}" for name in ("red", "green", "blue")]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    vertices = np.zeros(len(points), [("p", "<f4", 3), ("n", "<f4", 3), ("c", "u1", 3)])
    vertices["p"], vertices["n"], vertices["c"] = points, normals, np.round(colours * 255)
    triangles = np.zeros(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    triangles["count"], triangles["corners"] = 3, faces
    path.write_bytes(("\n".join(lines) + "\n").encode() + vertices.tobytes() + triangles.tobytes())


def _glb(path: Path, points: Array, normals: Array, faces: Array, colours: Array) -> None:
    file = Glb()
    linear = srgb_eotf(torch.from_numpy(np.ascontiguousarray(colours, np.float32))).numpy()
    attributes = {
        "POSITION": file.array(points.astype(np.float32), bounds=True),
        "NORMAL": file.array(normals.astype(np.float32)),
        "COLOR_0": file.array(linear.astype(np.float32)),
    }
    indices = file.array(faces.astype(np.uint32).ravel(), indices=True)
    material = file.add("materials", {"name": "Proxy", "pbrMetallicRoughness": {"metallicFactor": 0}})
    mesh = {"attributes": attributes, "indices": indices, "material": material}
    file.add("meshes", {"name": path.stem.partition(".")[0], "primitives": [mesh]})
    file.add("nodes", {"mesh": 0})
    file.add("scenes", {"nodes": [0]})
    file.json["scene"] = 0
    file.write(path)
