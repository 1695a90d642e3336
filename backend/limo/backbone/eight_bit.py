# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights in eight bits: half of bfloat16's memory, on any device and without another library.

Every row of a matrix is divided by its largest value and kept in steps of 1/127; the product is taken in the inputs'
own type, so that only the weights lose, at most half a step each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Matrices of fewer numbers are left: they are no memory, and the embeddings among them are delicate.
SMALLEST = 2**16


class EightBitLinear(nn.Module):
    """A linear layer with weights (O, I) as int8 codes and one scale a row."""

    codes: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        full = weight.float()
        scale = full.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
        self.register_buffer("codes", (full / scale).round().to(torch.int8))
        self.register_buffer("scale", scale.to(weight.dtype))
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.in_features, self.out_features = weight.shape[1], weight.shape[0]

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., I) to (..., O)."""
        return F.linear(inputs, self.codes.to(inputs.dtype) * self.scale.to(inputs.dtype), self.bias)


def may_be_eight_bit(network: nn.Module, smallest: int = SMALLEST) -> set[str]:
    """Names of the linear layers whose weights may be kept in eight bits: the large ones of the repeated blocks."""
    return {
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and "blocks" in name and module.weight.numel() >= smallest
    }
