# SPDX-License-Identifier: GPL-3.0-or-later
"""AdamW whose moments take one byte a number each (after Dettmers et al., 2022), on any device.

Moments are kept as 8-bit floats in blocks of 256 that share a scale; of the second, which spans many decades, its root.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_BLOCK = 256
#: Three bits of mantissa, up to 448.
_KIND, _LARGEST = torch.float8_e4m3fn, 448.0


def pack(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values of any shape to 8-bit floats (blocks, 256) and their scales (blocks, 1)."""
    flat = values.flatten()
    blocks = nn.functional.pad(flat, (0, -len(flat) % _BLOCK)).reshape(-1, _BLOCK)
    scale = blocks.abs().amax(1, keepdim=True).clamp(min=1e-30) / _LARGEST
    return (blocks / scale).to(_KIND), scale


def unpack(codes: Tensor, scale: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of :func:`pack`, up to a sixteenth of each value."""
    return (codes.to(torch.float32) * scale).flatten()[: shape.numel()].reshape(shape)


class EightBitAdamW(Optimizer):
    """As torch's AdamW; a step is never larger than Adam's own bound, whatever the codes lost."""

    #: What the state holds of each parameter.
    moments = ("exp_avg", "exp_avg_scale", "exp_avg_sq", "exp_avg_sq_scale")

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step by the gradients that are there."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad.float(), group)

    def _move(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state, (keep, keep_sq) = self.state[parameter], group["betas"]
        if not state:
            state["step"] = torch.tensor(0.0)
            zero = pack(torch.zeros_like(gradient))
            state.update(zip(self.moments, (*zero, *zero), strict=True))
        state["step"] += 1
        mean, mean_scale, root, root_scale = (state[name] for name in self.moments)
        average = unpack(mean, mean_scale, gradient.shape).lerp_(gradient, 1 - keep)
        square = unpack(root, root_scale, gradient.shape).square_().mul_(keep_sq)
        square.addcmul_(gradient, gradient, value=1 - keep_sq)
        steps = float(state["step"])
        direction = average / (1 - keep**steps) / ((square / (1 - keep_sq**steps)).sqrt() + group["eps"])
        bound = (1 - keep) / (1 - keep_sq) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(direction.clamp(-bound, bound).to(parameter.dtype), alpha=-group["lr"])
        state.update(zip(self.moments, (*pack(average), *pack(square.sqrt())), strict=True))
