# SPDX-License-Identifier: GPL-3.0-or-later
"""A small writer of binary glTF 2.0: arrays and pictures into one buffer, JSON in front of it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

_MAGIC, _JSON, _BINARY = b"glTF", b"JSON", b"BIN\0"
_COMPONENTS = {np.dtype(np.float32): 5126, np.dtype(np.uint16): 5123, np.dtype(np.uint32): 5125}
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
#: What a buffer view is for.
_VERTICES, _INDICES = 34962, 34963
_LINEAR, _MIPMAPS, _REPEAT, _CLAMP = 9729, 9987, 10497, 33071


class Glb:
    """Collects what a file holds; lists such as ``meshes`` in ``json`` are filled by :meth:`add`."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {"asset": {"version": "2.0", "generator": "Limelight"}}
        self._binary = bytearray()

    def add(self, kind: str, entry: dict[str, Any]) -> int:
        """Append an entry to the list ``kind`` ("meshes", "nodes", …); returns its index there."""
        entries = self.json.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1

    def array(self, values: np.ndarray, *, indices: bool = False, bounds: bool = False) -> int:
        """An accessor of (N,) or (N, 2..4) values: float32, uint16 or uint32; positions need their ``bounds``."""
        rows = values.reshape(len(values), -1)
        view = self._view(rows.tobytes(), _INDICES if indices else _VERTICES)
        entry: dict[str, Any] = {
            "bufferView": view,
            "componentType": _COMPONENTS[values.dtype],
            "count": len(rows),
            "type": _TYPES[rows.shape[1]],
        }
        if bounds:
            entry |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        return self.add("accessors", entry)

    def texture(self, name: str, png: bytes, *, round_u: bool = False) -> int:
        """A texture of a PNG file; ``round_u``: its left edge goes on at its right one."""
        view = self._view(png, None)
        image = self.add("images", {"name": name, "mimeType": "image/png", "bufferView": view})
        wrap = {"wrapS": _REPEAT if round_u else _CLAMP, "wrapT": _CLAMP}
        sampler = self.add("samplers", {"magFilter": _LINEAR, "minFilter": _MIPMAPS, **wrap})
        return self.add("textures", {"source": image, "sampler": sampler})

    def write(self, path: Path) -> None:
        """Write the file; every part of it begins at a multiple of four bytes."""
        self.json["buffers"] = [{"byteLength": len(self._binary)}]
        text = json.dumps(self.json, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        length = 12 + 8 + len(text) + 8 + len(self._binary)
        with path.open("wb") as file:
            file.write(struct.pack("<4sII", _MAGIC, 2, length))
            file.write(struct.pack("<I4s", len(text), _JSON) + text)
            file.write(struct.pack("<I4s", len(self._binary), _BINARY) + self._binary)

    def _view(self, data: bytes, target: int | None) -> int:
        entry = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(data)}
        self._binary += data + bytes(-len(data) % 4)
        return self.add("bufferViews", entry if target is None else {**entry, "target": target})
