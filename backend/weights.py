# SPDX-License-Identifier: GPL-3.0-or-later
"""Trained weights as they ship: matrices in 8 bits with a scale a row, everything else in half floats."""

from __future__ import annotations

import torch
from torch import Tensor

_SCALE = ".scale"
#: Tensors with fewer numbers stay half floats: nothing to gain, and a norm's gain must be exact.
_SMALLEST = 4096


def pack(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A network's state for a safetensors file.

    A matrix or kernel (O, ...) of 4096 numbers or more becomes ``name`` int8 and ``name.scale`` (O,) float32, the
    largest magnitude of each output row over 127; the error of a weight is at most half of that.
    """
    packed = {}
    for name, value in state.items():
        if value.ndim < 2 or value.numel() < _SMALLEST:
            packed[name] = value.half().contiguous()
            continue
        rows = value.float().flatten(1)
        scale = rows.abs().amax(1).clamp(min=1e-12) / 127
        packed[name] = (rows / scale[:, None]).round().to(torch.int8).reshape(value.shape).contiguous()
        packed[name + _SCALE] = scale.contiguous()
    return packed


def unpack(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state (float32) of what :func:`pack` wrote; files of plain floats pass as they are."""
    state = {}
    for name, value in tensors.items():
        if name.endswith(_SCALE) and name[: -len(_SCALE)] in tensors:
            continue
        scale = tensors.get(name + _SCALE)
        state[name] = value.float() if scale is None else value * scale.reshape(-1, *[1] * (value.ndim - 1))
    return state
