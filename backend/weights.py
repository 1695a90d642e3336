# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights files that ship with the engine: opened with a sentence for what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from .errors import MissingPart

AGAIN = "Install the extension again."


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


def parameters(file: Any) -> dict[str, Tensor]:
    """All tensors of an open file by name, in single precision."""
    return {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
