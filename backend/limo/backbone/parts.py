# SPDX-License-Identifier: GPL-3.0-or-later
"""Components of a pipeline's folder: reading one, and telling why it cannot be read or held."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ...devices import half_precision
from ...errors import LimelightError, MissingPart

WHOLE = "It must be a whole diffusers folder with safetensors weights; fetch it again."


def network_dtype(device: str) -> torch.dtype:
    """float32 on the CPU; on a GPU bfloat16, which has float32's range, or float16 where it is only emulated."""
    return torch.float32 if device == "cpu" else half_precision(device) or torch.float32


def part(kind: Any, folder: Path, name: str, **options: Any) -> Any:
    """One component of the pipeline; :class:`MissingPart` if it is absent, damaged or not safetensors."""
    if not (folder / name).is_dir():
        raise MissingPart(f"The model {folder.name} lacks its part '{name}'.", WHOLE)
    try:
        return kind.from_pretrained(folder / name, local_files_only=True, **options)
    except Exception as error:
        # Whatever a library raises on a broken file (there are many kinds), the artist's answer is the same.
        if lacks_memory(error):
            raise
        raise unreadable(folder, name, error) from error


def unreadable(folder: Path, name: str, error: BaseException) -> MissingPart:
    """The sentence for a component that some library could not read."""
    told = (str(error).strip().splitlines() or [""])[0][:120].rstrip(".")
    return MissingPart(
        f"The part '{name}' of the model {folder.name} cannot be read ({type(error).__name__}: {told}).", WHOLE
    )


def scheduler_of(folder: Path) -> Any:
    """The scheduler that the folder names, as long as it is one of diffusers' own."""
    import diffusers

    try:
        settings = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
        kind = getattr(diffusers.schedulers, settings["_class_name"])
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise MissingPart(f"The model {folder.name} has no usable scheduler.", WHOLE) from error
    return part(kind, folder, "scheduler")


def quiet() -> None:
    """Keep diffusers' warnings and bars from the log."""
    from diffusers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def lacks_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a GPU or the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)


@contextmanager
def memory_explained(name: str, device: str) -> Iterator[None]:
    """Turn any running out of memory into one sentence and what to do."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise LimelightError(
            f"The memory of {device} does not suffice for the model {name}.",
            "Close other programs that use it, choose a smaller backbone, or use the embedded model.",
            "memory",
        ) from error
