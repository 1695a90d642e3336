# SPDX-License-Identifier: GPL-3.0-or-later
"""Tensors out of a file that torch saved (.pt, .pth, .bin, .ckpt), without running anything that stands in it.

Such a file is a zip of raw numbers and of a pickle that says what they are. The pickle is read by an interpreter that
knows tensors, dictionaries and plain values; whatever else it names becomes an inert object that does nothing.
"""

from __future__ import annotations

import collections
import mmap
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import BadInput

_TYPES = {
    "FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64, "LongStorage": torch.int64, "IntStorage": torch.int32, "ByteStorage": torch.uint8,
    "CharStorage": torch.int8, "BoolStorage": torch.bool,
}  # fmt: skip
#: How deep dictionaries are searched for the network's tensors.
_DEEPEST = 4


class _Inert:
    """Stands for anything that is not a tensor: takes every argument and state, and does nothing with it."""

    def __init__(self, *args: Any, **named: Any) -> None:
        pass

    def __call__(self, *args: Any, **named: Any) -> _Inert:
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        """A list's."""

    def extend(self, values: Any) -> None:
        """A list's."""

    def add(self, value: Any) -> None:
        """A set's."""


class _Reader(pickle.Unpickler):
    """The interpreter; ``numbers`` gives the raw bytes of a storage by its name."""

    def __init__(self, file: Any, numbers: Mapping[str, memoryview]) -> None:
        super().__init__(file)
        self._numbers = numbers

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return lambda data, *rest: data
        if module in ("torch", "torch.storage") and name in _TYPES:
            return _TYPES[name]
        return _Inert

    def persistent_load(self, reference: Any) -> Any:
        _, kind, name, _, count = reference
        if not isinstance(kind, torch.dtype) or not count:
            return torch.empty(0)
        return torch.frombuffer(self._numbers[name], dtype=kind, count=count)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any) -> Tensor:
    return storage.as_strided(size, stride, offset) if storage.numel() else storage.reshape(-1)[:0].reshape(size)


def read_torch_file(path: Path) -> dict[str, Tensor]:
    """A network's tensors by name, left on disk (memory-mapped); of a training's state those of its network.

    Raises :class:`BadInput` if it is no such file, or holds no tensors by name.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            # A private map can be written to, which torch asks for; the file stays as it is.
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
            entries = {info.filename: info for info in archive.infolist()}
            words = next(name for name in entries if name.endswith("data.pkl"))
            start = words[: -len("data.pkl")] + "data/"
            numbers = {
                name[len(start) :]: _raw(mapped, info) for name, info in entries.items() if name.startswith(start)
            }
            with archive.open(words) as pickled:
                content = _Reader(pickled, numbers).load()
    except Exception as error:
        # A broken pickle can raise anything at all.
        raise BadInput(
            f"{path.name} is no file of tensors that torch saved ({type(error).__name__}).",
            "Give the weights as .safetensors, or the file as it was published.",
        ) from error
    found = max(_dictionaries(content), key=len, default={})
    if not found:
        raise BadInput(f"{path.name} holds no tensors by name.", "Give the file of the network's weights.")
    return found


def _raw(mapped: memoryview, info: zipfile.ZipInfo) -> memoryview:
    """The bytes of a stored entry."""
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError("compressed numbers")
    name, extra = struct.unpack_from("<HH", mapped, info.header_offset + 26)
    start = info.header_offset + 30 + name + extra
    return mapped[start : start + info.file_size]


def _dictionaries(content: Any, depth: int = 0) -> Iterator[dict[str, Tensor]]:
    """Every dictionary in it, as far as its values are tensors."""
    if not isinstance(content, dict) or depth > _DEEPEST:
        return
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if tensors:
        yield tensors
    for value in content.values():
        yield from _dictionaries(value, depth + 1)
