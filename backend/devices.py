# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the work runs: what ``auto``, ``cpu`` and ``cuda[:N]`` mean on this computer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from .errors import BadInput, MissingPart

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> str:
    """The torch device for ``auto``, ``cpu`` or ``cuda[:N]``; raises :class:`BadInput` for one that is not here."""
    if name == "cpu":
        return name
    gpu = re.fullmatch(r"cuda(?::(\d{1,3}))?", name)
    if gpu or name == "auto":
        try:
            import torch
        except ImportError as error:
            raise MissingPart("The package torch is missing.", "Set the engine up again.") from error
        if gpu is None:
            return "cuda" if torch.cuda.is_available() else "cpu"
        if int(gpu[1] or 0) < torch.cuda.device_count():
            return name
    raise BadInput(f"There is no device '{name}' here.", "Use auto, cpu or cuda:N with N below the number of GPUs.")


def check_device(name: str) -> None:
    """Refuse a device that is not here; ``auto`` always is, and torch is not loaded for it."""
    if name != "auto":
        pick_device(name)


def half_precision(device: str | torch.device) -> torch.dtype | None:
    """What the hardware computes networks fastest in: bfloat16, float16, or None where it has no half precision.

    torch's own answers count emulation, which takes several times as long as float32 on a processor.
    """
    import torch

    kind = torch.device(device).type
    if kind == "cpu":
        own = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if own else None
    if kind == "cuda" and torch.version.hip is None and torch.cuda.get_device_capability(device) < (8, 0):
        return torch.float16
    return torch.bfloat16


def autocast(device: str | torch.device) -> AbstractContextManager[Any]:
    """A network's products in the hardware's half precision (:func:`half_precision`) meanwhile, if it has one."""
    import torch

    half = half_precision(device)
    return nullcontext() if half is None else torch.autocast(torch.device(device).type, half)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread meanwhile: for small work, or where others fill the cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
