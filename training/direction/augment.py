# SPDX-License-Identifier: GPL-3.0-or-later
"""From stored examples to a training batch: one asked point each, another exposure, white balance and tone, mirrored.

Whatever changes the light in the picture changes the label's irradiance alike; a tone curve or noise changes only the
picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...backend.direction.network import Inputs, encode_values
from .examples import Example

_MIRROR = (-1.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs, the true unit direction (B, 3), the encoded values (B, 5) and the key-to-fill ratio (B)."""

    inputs: Inputs
    towards: Tensor
    values: Tensor
    ratio: Tensor

    def flipped(self) -> Batch:
        """In a mirror, left for right."""
        return Batch(self.inputs.flipped(), self.towards * self.towards.new_tensor(_MIRROR), self.values, self.ratio)

    def part(self, rows: slice) -> Batch:
        """Some of its rows."""
        return _made([getattr(self.inputs, n)[rows] for n in _INPUTS], [getattr(self, n)[rows] for n in _TRUE])

    def to(self, device: torch.device | str) -> Batch:
        """On another device."""
        return _made(
            [getattr(self.inputs, n).to(device) for n in _INPUTS], [getattr(self, n).to(device) for n in _TRUE]
        )

    @staticmethod
    def joined(batches: list[Batch]) -> Batch:
        """Several batches as one."""
        return _made(
            [torch.cat([getattr(b.inputs, n) for b in batches]) for n in _INPUTS],
            [torch.cat([getattr(b, n) for b in batches]) for n in _TRUE],
        )


_INPUTS, _TRUE = ("picture", "lens", "probe"), ("towards", "values", "ratio")


def _made(inputs: list[Tensor], true: list[Tensor]) -> Batch:
    return Batch(Inputs(*inputs), *true)


def plain(examples: Example, asked: Tensor) -> Batch:
    """Examples as they are, clipped at display white; ``asked`` (B) picks the point of each."""
    rows = torch.arange(len(asked))
    key, ratio = examples["key"][rows, asked], examples["ratio"][rows, asked]
    values = encode_values(key, ratio, examples["size"][rows, asked])
    inputs = Inputs(examples["picture"].clamp(0, 1), examples["lens"], examples["probe"][rows, asked])
    return Batch(inputs, examples["towards"][rows, asked], values, ratio)


def augmented(examples: Example, generator: torch.Generator) -> Batch:
    """A training batch, half of it mirrored; a third is asked without a probe."""
    count, points = examples["ratio"].shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    asked = torch.randint(1, points, (count,), generator=generator)
    asked = asked * (torch.rand(count, generator=generator) > 0.34)
    gain = torch.exp2((0.7 * normal(count, 1)).clamp(-1.6, 1.6)) * torch.exp(0.1 * normal(count, 3))
    lit = {**examples, "picture": examples["picture"] * gain[..., None, None]}
    lit["key"] = examples["key"] * gain[:, None]
    # A camera's shoulder, between none and one that keeps half of the highlights under white.
    bent = (0.5 * normal(count, 1, 1, 1)).clamp(0, 0.8)
    picture = lit["picture"].clamp(0, 8)
    picture = picture * (1 + bent * picture) / (1 + bent * (picture + picture**2))
    noise = 0.02 * torch.exp(normal(count, 1, 1, 1) - 1)
    picture = picture + noise * normal(1, 1, *picture.shape[2:]) * picture
    half, batch = count // 2, plain({**lit, "picture": picture}, asked)
    return Batch.joined([batch.part(slice(0, half)).flipped(), batch.part(slice(half, None))])
