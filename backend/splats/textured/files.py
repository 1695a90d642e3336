# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes for textures read from OBJ or PLY; unwrapped where they have no places in a texture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BadInput
from .atlas import overlap, unwrapped
from .geometry import Array, Mesh, smooth_normals, unit

#: Larger files are not what a texture of a few thousand texels can be for.
_MOST_FACES = 2_000_000
#: Share of the texture that may belong to two places; how far corners may be outside of it.
_OVERLAP, _OUTSIDE = 0.05, 1e-3
_PLY_KINDS = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
              "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4",
              "uint32": "u4", "float32": "f4", "float64": "f8"}  # fmt: skip
#: Lists that faces have, by what they are here and their shape; names of a vertex's place in a texture.
_PLY_LISTS = {"vertex_indices": ("corners", (3,)), "vertex_index": ("corners", (3,)), "texcoord": ("uv", (3, 2))}
_PLY_UV = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))


def read_mesh(
    path: Path, texels: int, unwrap: bool = False, check: Callable[[], None] = lambda: None
) -> Mesh:
    """The mesh of an .obj or .ply file, in the file's axes; unwrapped for a texture of ``texels`` if it has no UVs, or
    in any case. ``check`` may end that by raising."""
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
    if unwrap or uv is None or not np.ptp(uv.reshape(-1, 2), axis=0).min() > 1e-6:
        uv = unwrapped(points, faces, texels, check)
    elif not (uv.min() >= -_OUTSIDE and uv.max() <= 1 + _OUTSIDE) or overlap(uv) > _OVERLAP:
        raise BadInput(
            f"In the UV map of {path.name} places of the surface share texels, or lie outside of the square.",
            "Unwrap it without overlap (Smart UV Project in Blender), or add --unwrap.", "shared_texels",
        )  # fmt: skip
    return Mesh(points.astype(np.float32), faces.astype(np.int32), uv.astype(np.float32), normals.astype(np.float32))


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
    return found[0], table[..., 0], uv, None if normals is None else unit(normals)


def _obj_corner(word: str, rows: dict[str, list[list[float]]]) -> tuple[int, int, int]:
    """Indices from 0 of place, UV and normal, −1 where there is none; OBJ counts from 1, or back from the end."""
    parts = [*word.split("/"), "", ""][:3]
    found = []
    for text, kind in zip(parts, ("v", "vt", "vn"), strict=True):
        number = int(text) if text else 0
        found.append(number - 1 if number > 0 else len(rows[kind]) + number if number < 0 else -1)
    return found[0], found[1], found[2]


def _read_ply(path: Path) -> tuple[Array, Array, Array | None, Array | None]:
    """Points, triangles, UVs and normals of the corners, of a binary PLY all of whose faces have three; UVs are those
    of its vertices, or of its faces' corners as MeshLab writes them."""
    found = _ply_elements(path)
    vertex, faces = found["vertex"], found.get("face")
    named = vertex.dtype.names or ()
    points = _columns(vertex, ("x", "y", "z"))
    if faces is None:
        # A point cloud, or splats.
        return points, np.empty((0, 3), np.int64), None, None
    corners, uv, normals = faces["corners"].astype(np.int64), None, None
    if corners.min(initial=0) < 0 or corners.max(initial=0) >= len(points):
        raise ValueError("it has corners that are nowhere")
    pair = next((pair for pair in _PLY_UV if set(pair) <= set(named)), None)
    if "uv" in (faces.dtype.names or ()):
        uv = faces["uv"].astype(np.float64)
    elif pair is not None:
        uv = _columns(vertex, pair)[corners]
    if {"nx", "ny", "nz"} <= set(named):
        normals = unit(_columns(vertex, ("nx", "ny", "nz"))[corners])
    return points, corners, uv, normals


def _ply_elements(path: Path) -> dict[str, Array]:
    """The rows of each element of a binary PLY, lists without their counts' names."""
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
        lists: dict[str, int] = {}
        for words in properties:
            if words[0] == "list":
                called, shape = _PLY_LISTS[words[-1]]
                kinds.append((f"{called} count", "<" + _PLY_KINDS[words[1]]))
                kinds.append((called, "<" + _PLY_KINDS[words[2]], shape))
                lists[called] = int(np.prod(shape))
            else:
                kinds.append((words[-1], "<" + _PLY_KINDS[words[0]]))
        row = np.dtype(kinds)
        found[name], data = np.frombuffer(data, row, count), data[row.itemsize * count :]
        if any((found[name][f"{called} count"] != size).any() for called, size in lists.items()):
            raise ValueError("it has faces that are no triangles")
    return found


def _columns(rows: Array, names: tuple[str, ...]) -> Array:
    return np.stack([rows[name] for name in names], -1).astype(np.float64)
