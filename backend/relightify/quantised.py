# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of a network in 8 bits: one scale an output channel, symmetric (Jacob et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

#: What a quantised tensor's scales are called in a file: its own name and this.
SCALE = ".scale"
#: Tensors of fewer values than this, biases and norms, stay in half precision.
_SMALL = 1024


def pack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """int8 tensors with their scales, float16, and small ones in float16; undone by :func:`unpack`."""
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.numel() < _SMALL or value.dim() < 2:
            packed[name] = value.half()
            continue
        # What is learnt of each place has its channels second.
        own = 0 if value.shape[0] > 1 else 1
        others = [i for i in range(value.dim()) if i != own]
        scale = (value.float().abs().amax(others, keepdim=True) / 127).clamp(min=1e-7).half()
        packed[name] = (value.float() / scale.float()).round().clamp(-127, 127).to(torch.int8)
        packed[name + SCALE] = scale
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state in single precision."""
    return {
        name: value.float() * packed[name + SCALE].float() if name + SCALE in packed else value.float()
        for name, value in packed.items()
        if not name.endswith(SCALE)
    }
