# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangle meshes with a place in a texture for every corner: read from OBJ or PLY, unwrapped where they have none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BadInput

Array = np.ndarray[Any, Any]

#: Larger files are not what a texture of a few thousand texels can be for.
_MOST_FACES = 2_000_000
#: Texels between the parts of an unwrapped surface.
_PADDING = 3
_PLY_KINDS = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
              "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4",
              "uint32": "u4", "float32": "f4", "float64": "f8"}  # fmt: skip


@dataclass(frozen=True)
class Mesh:
    """``points`` (V, 3) float32; ``faces`` (F, 3) int32, counter-clockwise from outside; for every corner ``uv``
    (F, 3, 2), 0..1 from the bottom left, and ``normals`` (F, 3, 3), unit length."""

    points: Array
    faces: Array
    uv: Array
    normals: Array

    def corners(self) -> Array:
        """(F, 3, 3): places of the faces' corners."""
        return self.points[self.faces]

    def sampled(self, count: int) -> tuple[Array, Array, float]:
        """Places (N, 3) evenly on the surface, their faces' normals (N, 3), and the area that each stands for."""
        corners = self.corners().astype(np.float64)
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(cross, axis=1) / 2
        rng = np.random.default_rng(0)
        face = rng.choice(len(area), count, p=area / area.sum())
        a, b = rng.random((2, count))
        flip = a + b > 1
        a, b = np.where(flip, 1 - a, a), np.where(flip, 1 - b, b)
        found = corners[face]
        points = found[:, 0] + a[:, None] * (found[:, 1] - found[:, 0]) + b[:, None] * (found[:, 2] - found[:, 0])
        return points, cross[face] / (2 * area[face, None]), float(area.sum()) / count


def read_mesh(path: Path, texels: int) -> Mesh:
    """The mesh of an .obj or .ply file, in the file's axes; unwrapped for a texture of ``texels`` if it has no UVs."""
    reader = {".obj": _read_obj, ".ply": _read_ply}.get(path.suffix.lower())
    if reader is None:
        raise BadInput(f"A mesh cannot be read from {path.name}.", "Export it as .obj or .ply.")
    try:
        points, faces, uv, normals = reader(path)
    except OSError as error:
        raise BadInput(f"The file {path} cannot be read ({error.strerror}).", "Check the path.") from error
    except (ValueError, IndexError, KeyError) as error:
        raise BadInput(f"The mesh {path.name} is damaged ({error}).", "Export it again.") from error
    if not len(faces) or len(faces) > _MOST_FACES:
        raise BadInput(f"The mesh {path.name} has {len(faces)} triangles.", f"Give 1 to {_MOST_FACES}.")
    if not np.isfinite(points).all() or faces.min() < 0 or faces.max() >= len(points):
        raise BadInput(f"The mesh {path.name} has corners that are nowhere.", "Export it again.")
    corners = points[faces].astype(np.float64)
    solid = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) > 0
    if not solid.any():
        raise BadInput(f"The mesh {path.name} has no area.", "Export it again.")
    faces = faces[solid]
    uv = None if uv is None else uv[solid]
    normals = smooth_normals(points, faces) if normals is None else normals[solid]
    if uv is None or not np.ptp(uv.reshape(-1, 2), axis=0).min() > 1e-6:
        uv = unwrapped(points, faces, texels)
    return Mesh(points.astype(np.float32), faces.astype(np.int32), uv.astype(np.float32), normals.astype(np.float32))


def smooth_normals(points: Array, faces: Array) -> Array:
    """(F, 3, 3): for every corner the mean over the triangles at its place, weighted by their area."""
    corners = points[faces].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    _, place = np.unique(np.round(points, 6), axis=0, return_inverse=True)
    place = place.reshape(-1)
    total = np.zeros((int(place.max()) + 1, 3))
    for corner in range(3):
        np.add.at(total, place[faces[:, corner]], cross)
    found = total[place[faces]]
    return found / np.maximum(np.linalg.norm(found, axis=-1, keepdims=True), 1e-20)


def unwrapped(points: Array, faces: Array, texels: int) -> Array:
    """(F, 3, 2): places in a square texture, by xatlas."""
    import xatlas

    atlas, packing = xatlas.Atlas(), xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = texels, _PADDING, True
    atlas.add_mesh(np.ascontiguousarray(points, np.float32), np.ascontiguousarray(faces, np.uint32))
    atlas.generate(pack_options=packing)
    _, indices, uv = atlas[0]
    if len(indices) != len(faces):
        raise BadInput("The mesh cannot be unwrapped.", "Unwrap it in Blender and export it as .obj.")
    return np.asarray(uv[indices.reshape(-1, 3)], np.float32)


def _read_obj(path: Path) -> tuple[Array, Array, Array | None, Array | None]:
    """Points, triangles, UVs and normals of the corners; polygons become fans."""
    rows: dict[str, list[list[float]]] = {"v": [], "vt": [], "vn": []}
    corners: list[list[tuple[int, int, int]]] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            kind, *words = line.split() or [""]
            if kind in rows:
                rows[kind].append([float(word) for word in words[: 2 if kind == "vt" else 3]])
            elif kind == "f":
                polygon = [_obj_corner(word, rows) for word in words]
                corners += [[polygon[0], polygon[i], polygon[i + 1]] for i in range(1, len(polygon) - 1)]
    table = np.array(corners, np.int64).reshape(-1, 3, 3)
    found = [np.array(rows[kind], np.float64).reshape(-1, 2 if kind == "vt" else 3) for kind in ("v", "vt", "vn")]
    uv, normals = (
        values[table[..., k]] if len(values) and (table[..., k] >= 0).all() else None
        for k, values in ((1, found[1]), (2, found[2]))
    )
    if normals is not None:
        normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-20)
    return found[0], table[..., 0], uv, normals


def _obj_corner(word: str, rows: dict[str, list[list[float]]]) -> tuple[int, int, int]:
    """Indices from 0 of place, UV and normal, −1 where there is none; OBJ counts from 1, or back from the end."""
    parts = [*word.split("/"), "", ""][:3]
    found = []
    for text, kind in zip(parts, ("v", "vt", "vn"), strict=True):
        number = int(text) if text else 0
        found.append(number - 1 if number > 0 else len(rows[kind]) + number if number < 0 else -1)
    return found[0], found[1], found[2]


def _read_ply(path: Path) -> tuple[Array, Array, None, None]:
    """Points and triangles of a binary PLY with a list of corners a face, all faces of three."""
    head, mark, data = path.read_bytes().partition(b"end_header\n")
    lines = [line.split() for line in head.decode("latin-1").splitlines()]
    if not mark or ["format", "binary_little_endian", "1.0"] not in lines:
        raise ValueError("it is no binary little-endian PLY")
    elements: list[tuple[str, int, list[list[str]]]] = []
    for words in lines:
        if words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            elements[-1][2].append(words[1:])
    found: dict[str, Array] = {}
    for name, count, properties in elements:
        kinds: list[Any] = []
        for number, words in enumerate(properties):
            if words[0] == "list":
                kinds += [(f"count{number}", "<" + _PLY_KINDS[words[1]]), ("corners", "<" + _PLY_KINDS[words[2]], 3)]
            else:
                kinds.append((words[-1], "<" + _PLY_KINDS[words[0]]))
        row = np.dtype(kinds)
        found[name], data = np.frombuffer(data, row, count), data[row.itemsize * count :]
    points = np.stack([found["vertex"][axis] for axis in "xyz"], -1).astype(np.float64)
    if "face" not in found:
        # A point cloud, or splats.
        return points, np.empty((0, 3), np.int64), None, None
    faces = found["face"]
    if any((faces[name] != 3).any() for name in faces.dtype.names or () if name.startswith("count")):
        raise ValueError("it has faces that are no triangles")
    return points, faces["corners"].astype(np.int64), None, None
