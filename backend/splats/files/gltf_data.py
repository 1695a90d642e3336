# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of glTF 2.0: its JSON, its buffers, typed accessors and the places of nodes, read without trust."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from .checks import MOST, Source, damaged

Array = np.ndarray[Any, Any]

_LONGEST_JSON = 1 << 26
_KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
#: A tree of nodes deeper or wider than these is refused.
_DEEPEST, _MOST_NODES = 200, 100_000


@dataclass
class Document:
    """The JSON of a file with its buffers. ``folder`` is where a .gltf's buffers may lie; None of bytes in memory."""

    content: dict[str, Any]
    body: Array | None
    name: str
    folder: Path | None
    _buffers: dict[int, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Source) -> Document:
        """Of a .glb or a .gltf."""
        data, body = source.data, None
        if data[:4].tobytes() == b"glTF":
            version, _, length, kind = source.array("<u4", 4, 4).tolist()
            if version != 2 or kind != 0x4E4F534A:
                raise damaged(source.name, "is no glTF of version 2")
            text, rest = source.part(20, length), 20 + length
            if len(data) >= rest + 8:
                size, kind = source.array("<u4", 2, rest).tolist()
                body = source.part(rest + 8, size) if kind == 0x004E4942 else None
        else:
            text = data
        if len(text) > _LONGEST_JSON:
            raise damaged(source.name, "has a glTF description of absurd length")
        try:
            content = json.loads(text.tobytes().decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise damaged(source.name, "has a glTF description that is no JSON") from error
        if not isinstance(content, dict):
            raise damaged(source.name, "has a glTF description that is no object")
        return cls(content, body, source.name, source.folder)

    def items(self, name: str) -> list[dict[str, Any]]:
        """A list of objects of the description."""
        found = self.content.get(name, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise damaged(self.name, f"has a glTF description with wrong {name}")
        return found

    def item(self, name: str, index: Any) -> dict[str, Any]:
        """One of them by its number."""
        found = self.items(name)
        if not isinstance(index, int) or not 0 <= index < len(found):
            raise damaged(self.name, f"points to one of its {name} that is not there")
        return found[index]

    def _buffer(self, index: int) -> Array:
        if index not in self._buffers:
            uri = self.item("buffers", index).get("uri")
            if uri is None and index == 0 and self.body is not None:
                self._buffers[0] = self.body
            else:
                self._buffers[index] = self._outside(uri)
        return self._buffers[index]

    def _outside(self, uri: Any) -> Array:
        """A buffer that is written into the JSON, or lies beside it; nowhere else."""
        if isinstance(uri, str) and uri.startswith("data:") and ";base64," in uri[:200]:
            return np.frombuffer(base64.b64decode(uri.partition(",")[2], validate=True), np.uint8)
        path = PurePosixPath(unquote(uri)) if isinstance(uri, str) and ":" not in uri and "\\" not in uri else None
        if path is None or path.is_absolute() or ".." in path.parts or self.folder is None:
            raise damaged(self.name, "keeps its data where it may not be read from")
        found = self.folder / path
        if not found.is_file() or not found.stat().st_size:
            raise damaged(self.name, f"needs the file {path.name} beside it, which is not there")
        return np.memmap(found, np.uint8, "r")

    def view(self, index: Any) -> Array:
        """The bytes of a buffer view."""
        view = self.item("bufferViews", index)
        if any("meshopt" in name for name in view.get("extensions", {})):
            raise damaged(self.name, "is compressed with meshopt, which is not read")
        data = Source(self._buffer(view["buffer"]), self.name)
        return data.part(_whole(view.get("byteOffset", 0)), _whole(view["byteLength"]))

    def accessor(self, index: Any, width: int) -> Array:
        """(count, width) float32; normalised integers as 0..1 or −1..1."""
        accessor = self.item("accessors", index)
        kind, count = _KINDS[accessor["componentType"]], _whole(accessor["count"])
        if _WIDTHS.get(accessor["type"]) != width or "sparse" in accessor or count > MOST:
            raise damaged(self.name, "has an accessor of an unexpected kind")
        if "bufferView" not in accessor:
            raise damaged(self.name, "has splats without data")
        data = self.view(accessor["bufferView"])
        size = np.dtype(kind).itemsize * width
        stride = _whole(self.item("bufferViews", accessor["bufferView"]).get("byteStride", 0)) or size
        offset = _whole(accessor.get("byteOffset", 0))
        if stride < size or (count and offset + stride * (count - 1) + size > len(data)):
            raise damaged(self.name, "has an accessor that reaches beyond its data")
        rows = np.lib.stride_tricks.as_strided(data[offset:], (count, size), (stride, 1), writeable=False)
        values = np.ascontiguousarray(rows).view(kind).astype(np.float32).reshape(count, width)
        if kind == "<f4" or not accessor.get("normalized"):
            return values
        return np.maximum(values / np.float32(np.iinfo(kind).max), -1)


def _whole(value: Any) -> int:
    """A count or an offset of the description; anything else is a ``ValueError``."""
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def world_matrices(document: Document) -> dict[int, list[Array]]:
    """For each mesh number the matrices (4, 4) of the nodes that show it; a mesh that none shows is not in it."""
    nodes = document.items("nodes")
    children = {child for node in nodes for child in node.get("children", [])}
    scenes = document.items("scenes")
    roots = [index for index in range(len(nodes)) if index not in children]
    if scenes:
        roots = document.item("scenes", document.content.get("scene", 0)).get("nodes", roots)
    found: dict[int, list[Array]] = {}
    waiting = [(index, np.eye(4), 0) for index in roots]
    seen = 0
    while waiting:
        index, parent, depth = waiting.pop()
        seen += 1
        if depth > _DEEPEST or seen > _MOST_NODES:
            raise damaged(document.name, "has nodes in a circle")
        node = document.item("nodes", index)
        matrix = parent @ _local(node)
        if "mesh" in node:
            found.setdefault(node["mesh"], []).append(matrix)
        waiting += [(child, matrix, depth + 1) for child in node.get("children", [])]
    if not all(np.isfinite(matrix).all() for matrices in found.values() for matrix in matrices):
        raise damaged(document.name, "has nodes with numbers out of range")
    return found


def _local(node: dict[str, Any]) -> Array:
    """(4, 4): the matrix of a node, given as one or as translation, rotation (x y z w) and scale."""
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T
    x, y, z, w = (float(part) for part in node.get("rotation", (0, 0, 0, 1)))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), float).reshape(3)
    matrix[:3, 3] = np.array(node.get("translation", (0, 0, 0)), float).reshape(3)
    return matrix
