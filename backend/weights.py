# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of tensors: written whole, and the weights that ship opened with a sentence for what is wrong with one."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import MissingPart
from .workplace import workplace

AGAIN = "Install the extension again."
#: Name, size and time of the last change of a model's files.
Stamp = tuple[tuple[str, int, int], ...]


def write(path: Path, tensors: Mapping[str, Tensor], header: dict[str, str] | None = None) -> None:
    """A safetensors file, whole or not at all, for whoever may read other new files: its library would keep it to its
    owner alone, beside whom others work on a farm or with one folder of models."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with workplace(path.parent, f".{path.name}-") as work:
        file = work / "tensors"
        file.touch()
        rights = stat.S_IMODE(file.stat().st_mode)
        save_file({name: value.contiguous() for name, value in tensors.items()}, file, header)
        file.chmod(rights)
        file.replace(path)


@contextmanager
def opened(weights: Path, model: str, *, missing: str, damaged: str = AGAIN) -> Iterator[Any]:
    """An open safetensors file of the embedded ``model``; ``missing`` and ``damaged`` say what helps.

    Raises :class:`MissingPart` if there is none, and for whatever in it does not fit those who read it inside.
    """
    if not weights.is_file():
        raise MissingPart(f"The embedded {model} model is missing ({weights.name}).", missing)
    try:
        with safe_open(weights, "pt") as file:
            yield file
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise MissingPart(
            f"The weights {weights.name} are damaged or of another version ({type(error).__name__}).", damaged
        ) from error


def stamp(place: Path, aside: str = "") -> Stamp:
    """Changes when a file of weights does, or those in a model's folder but for one called ``aside``.

    So an engine that runs for long does not go on with a model that was trained on meanwhile. It reads no gigabytes.
    """
    kinds = (".safetensors", ".json")
    files = [place] if place.is_file() else [path for path in sorted(place.rglob("*")) if path.suffix in kinds]
    found = [(path.as_posix(), path.stat()) for path in files if path.name != aside and path.is_file()]
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in found)


def parameters(file: Any) -> dict[str, Tensor]:
    """All tensors of an open file by name, in single precision."""
    return {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
